//! Components are compiled, loaded, instantiated and dropped.

use super::{Parts, Plan, told};
use crate::report::Budget;
use crate::{Which, large, limits, ours, peer, wasi};

/// A program of WASI 0.2: code of a real size, and imports as compilers make them.
const PROGRAM: &[u8] = include_bytes!("../../../guests/wasm/tally-p2.wasm");

/// All of it.
pub fn add(plans: &mut Vec<Plan>) {
    both!(
        plans,
        "instances",
        "instantiate and drop, without a memory",
        "small",
        Some(Budget::new(800.0, 1010.0)),
        Some(limits::core_instance(false).map_err(told)?),
        instances::instantiate()
    );
    both!(
        plans,
        "instances",
        "instantiate and drop, with a memory",
        "small-with-memory",
        Some(Budget::new(1800.0, 2460.0)),
        Some(limits::core_instance(true).map_err(told)?),
        instances::instantiate()
    );
    both!(
        plans,
        "instances",
        "instantiate and drop, with a memory and eight imports",
        "host-calls",
        None,
        None,
        host_calls::instantiate()
    );
    both!(
        plans,
        "instances",
        "instantiate and drop, a large component (12 components, 23 core modules)",
        (wat::parse_str(large::component())?),
        None,
        None,
        instances::instantiate()
    );
    plans.push(wasi::rows::instantiate(PROGRAM));
    both!(
        plans,
        "instances",
        "compile",
        "guest-calls",
        None,
        None,
        instances::compile()
    );
    both!(
        plans,
        "instances",
        "compile, a large component",
        (wat::parse_str(large::component())?),
        None,
        None,
        instances::compile()
    );
    both!(
        plans,
        "instances",
        "compile, a WASI 0.2 program of 120 KB",
        (PROGRAM),
        None,
        None,
        instances::compile()
    );
    both!(
        plans,
        "instances",
        "load what was compiled before",
        "guest-calls",
        None,
        None,
        instances::load()
    );
    both!(
        plans,
        "instances",
        "load, a large component",
        (wat::parse_str(large::component())?),
        None,
        None,
        instances::load()
    );
    both!(
        plans,
        "instances",
        "load, a WASI 0.2 program of 120 KB",
        (PROGRAM),
        None,
        None,
        instances::load()
    );
}

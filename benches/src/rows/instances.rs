//! Components are compiled, loaded, instantiated and dropped.

use super::{Plan, told};
use crate::report::Budget;
use crate::{Which, large, limits, ours, peer, wasi};

/// A program of WASI 0.2: code of a real size, and imports as compilers make them.
const PROGRAM: &[u8] = include_bytes!("../../../guests/wasm/tally-p2.wasm");

const GROUP: &str = "instances";

/// All of it.
pub fn add(plans: &mut Vec<Plan>) {
    let (large, program) = ("a large component", "a WASI 0.2 program of 120 KB");
    plans.extend([
        both!(
            GROUP,
            "instantiate and drop, without a memory",
            wat!("small"),
            instances::instantiate()
        )
        .limit(|| limits::core_instance(false))
        .budget(Budget::new(800.0, 1010.0)),
        both!(
            GROUP,
            "instantiate and drop, with a memory",
            wat!("small-with-memory"),
            instances::instantiate()
        )
        .limit(|| limits::core_instance(true))
        .budget(Budget::new(1800.0, 2460.0)),
        both!(
            GROUP,
            "instantiate and drop, with a memory and eight imports",
            wat!("host-calls"),
            host_calls::instantiate()
        ),
        both!(
            GROUP,
            format!("instantiate and drop, {large} (12 components, 23 core modules)"),
            large::component(),
            instances::instantiate()
        ),
        wasi::rows::instantiate(GROUP, format!("instantiate and drop, {program}"), PROGRAM),
        both!(GROUP, "compile", wat!("guest-calls"), instances::compile()),
        both!(
            GROUP,
            format!("compile, {large}"),
            large::component(),
            instances::compile()
        ),
        both!(
            GROUP,
            format!("compile, {program}"),
            PROGRAM,
            instances::compile()
        ),
        both!(
            GROUP,
            "load what was compiled before",
            wat!("guest-calls"),
            instances::load()
        ),
        both!(
            GROUP,
            format!("load, {large}"),
            large::component(),
            instances::load()
        ),
        both!(
            GROUP,
            format!("load, {program}"),
            PROGRAM,
            instances::load()
        ),
    ]);
}

//! Many guests at once.

use super::{Parts, Plan, told};
use crate::report::Budget;
use crate::{Which, ours, peer};

/// The heading of rows of waking guests.
pub const SCALE: &str = "scale";

/// The heading of rows whose figures are bytes.
pub const MEMORY: &str = "scale, bytes each";

/// The heading of rows whose figures are processor time of guests that wait.
pub const IDLE: &str = "scale, processor time of 3 s";

/// Many guests, `most` at most. Each has its mappings, of which a process may have 65,530 unless it is allowed more (`vm.max_map_count`).
pub fn add(plans: &mut Vec<Plan>, most: usize) {
    for guests in [1, 1000, most] {
        both!(
            plans,
            SCALE,
            format!("wake one of {guests} guests (callback)"),
            "parked",
            None,
            None,
            scale::wake_one(guests)
        );
        both!(
            plans,
            SCALE,
            format!("wake one of {guests} guests (own stack)"),
            "parked-stack",
            None,
            None,
            scale::wake_one(guests)
        );
    }
    for guests in [1000, most] {
        both!(
            plans,
            SCALE,
            format!("wake all of {guests} guests (callback)"),
            "parked",
            None,
            None,
            scale::wake_all(guests)
        );
        both!(
            plans,
            SCALE,
            format!("wake all of {guests} guests (own stack)"),
            "parked-stack",
            None,
            None,
            scale::wake_all(guests)
        );
    }
    for guests in [1000, most] {
        both!(
            plans,
            MEMORY,
            format!("{guests} guests (callback)"),
            "parked",
            Some(Budget::new(10_240.0, 20_480.0)),
            None,
            scale::memory(guests)
        );
        both!(
            plans,
            MEMORY,
            format!("{guests} guests (own stack)"),
            "parked-stack",
            Some(Budget::new(16_384.0, 19_968.0)),
            None,
            scale::memory(guests)
        );
    }
    both!(
        plans,
        IDLE,
        format!("{most} guests (callback)"),
        "parked",
        None,
        None,
        scale::idle(most)
    );
    both!(
        plans,
        IDLE,
        format!("{most} guests (own stack)"),
        "parked-stack",
        None,
        None,
        scale::idle(most)
    );
}

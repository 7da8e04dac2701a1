//! Many guests at once.

use super::{KIB, Plan, told};
use crate::report::Budget;
use crate::{Which, ours, peer};

/// The heading of rows of waking guests.
pub const SCALE: &str = "scale";

/// The heading of rows whose figures are bytes.
pub const MEMORY: &str = "scale, bytes each";

/// The heading of rows whose figures are processor time of guests that wait.
pub const IDLE: &str = "scale, processor time of 3 s";

/// Guests that wait in a callback, and guests that keep their stacks: what they are called, their component, and the most bytes that one may take.
const KINDS: [(&str, &str, Budget); 2] = [
    ("callback", wat!("parked"), Budget::new(10_240.0, 20_480.0)),
    (
        "own stack",
        wat!("parked-stack"),
        Budget::new(16_384.0, 19_968.0),
    ),
];

/// Many guests, `most` at most. Each has its mappings, of which a process may have 65,530 unless it is allowed more (`vm.max_map_count`).
pub fn add(plans: &mut Vec<Plan>, most: usize) {
    for guests in [1, 1000, most] {
        for (kind, component, _) in KINDS {
            let name = format!("wake one of {guests} guests ({kind})");
            plans.push(both!(SCALE, name, component, scale::wake_one(guests)));
        }
    }
    for guests in [1000, most] {
        for (kind, component, _) in KINDS {
            let name = format!("wake all of {guests} guests ({kind})");
            plans.push(both!(SCALE, name, component, scale::wake_all(guests)));
        }
    }
    for guests in [1000, most] {
        for (kind, component, budget) in KINDS {
            let name = format!("{guests} guests ({kind})");
            let plan = both!(MEMORY, name, component, scale::memory(guests, None));
            plans.push(plan.budget(budget));
        }
        let (_, component, budget) = KINDS[1];
        let name = format!("{guests} guests (own stack of 256 KiB)");
        let plan = both!(
            MEMORY,
            name,
            component,
            scale::memory(guests, Some(256 * KIB))
        );
        plans.push(plan.budget(budget));
    }
    for (kind, component, _) in KINDS {
        let name = format!("{most} guests ({kind})");
        plans.push(both!(IDLE, name, component, scale::idle(most)));
    }
}

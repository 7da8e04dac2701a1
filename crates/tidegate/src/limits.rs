//! What a store may take.

use tidegate_core::abi::DEFAULT_LIFTED_BYTES;

use crate::ConcurrencyLimits;

/// The limits of a store. Reaching one is a trap or an error that names it: `max-handles` for `concurrency.handles`, and so on ([`set`](Self::set)).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// What each isolate may take: memory, tables, core instances. One that holds a [group](crate::Config::groups) of instances may take as much as
    /// they could apart.
    pub isolate: tidegate_engine::Limits,
    /// Bytes of host memory that the values of one call may take when they are lifted. Default: 512 MiB.
    pub max_lifted_bytes: usize,
    /// Handles, tasks, threads, ends of streams and the like that the instances of the store may have.
    pub concurrency: ConcurrencyLimits,
}

impl Limits {
    /// The names of all limits, as traps have them.
    pub const NAMES: [&'static str; 12] = [
        "max-handles",
        "max-tasks",
        "max-threads",
        "max-waitables",
        "max-waitable-sets",
        "max-error-context-bytes",
        "max-lifted-bytes",
        "max-memory-bytes",
        "max-table-elements",
        "max-instances",
        "max-memories",
        "max-tables",
    ];

    /// Sets a limit by its name, for those who have it from a command line or a configuration. A number that the limit cannot be set to means the
    /// nearest that it can. Gives whether there is such a limit.
    pub fn set(&mut self, name: &str, value: u64) -> bool {
        let few = u32::try_from(value).unwrap_or(u32::MAX);
        let (isolate, concurrency) = (&mut self.isolate, &mut self.concurrency);
        match name {
            "max-handles" => concurrency.handles = few,
            "max-tasks" => concurrency.tasks = few,
            "max-threads" => concurrency.threads = few,
            "max-waitables" => concurrency.waitables = few,
            "max-waitable-sets" => concurrency.waitable_sets = few,
            "max-error-context-bytes" => concurrency.error_context_bytes = few,
            "max-lifted-bytes" => {
                self.max_lifted_bytes = usize::try_from(value).unwrap_or(usize::MAX);
            }
            "max-memory-bytes" => isolate.memory_bytes = value,
            "max-table-elements" => isolate.table_elements = value,
            "max-instances" => isolate.instances = few,
            "max-memories" => isolate.memories = few,
            "max-tables" => isolate.tables = few,
            _ => return false,
        }
        true
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            isolate: tidegate_engine::Limits::default(),
            max_lifted_bytes: DEFAULT_LIFTED_BYTES,
            concurrency: ConcurrencyLimits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_sets_a_limit_of_its_own() {
        let mut before = format!("{:?}", Limits::default());
        let mut limits = Limits::default();
        for (index, name) in Limits::NAMES.iter().enumerate() {
            assert!(limits.set(name, 7 + index as u64), "{name}");
            let now = format!("{limits:?}");
            assert_ne!(now, before, "{name}");
            before = now;
        }
        assert!(!limits.set("handles", 1));
    }
}

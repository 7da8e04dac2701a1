//! How much an isolate may take.

/// Limits of one isolate, over everything instantiated in it.
///
/// A guest that grows a memory or table beyond them is told so as the specification has it (`memory.grow` gives -1); an
/// instantiation beyond them is an error that names the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all linear memories together. Default: 4 GiB.
    pub memory_bytes: u64,
    /// Elements of all tables together. Default: 1,000,000 (8 bytes each).
    pub table_elements: u64,
    /// Core instances. Default: 1,000.
    pub instances: u32,
    /// Linear memories. Default: 1,000.
    pub memories: u32,
    /// Tables. Default: 1,000.
    pub tables: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 4 << 30,
            table_elements: 1_000_000,
            instances: 1_000,
            memories: 1_000,
            tables: 1_000,
        }
    }
}

/// A limit was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit of {limit} exceeded: {asked} asked for, {allowed} allowed")]
pub struct LimitExceeded {
    /// Which one, in the words of [`Limits`]: "memory bytes", "table elements", "instances", "memories" or "tables".
    pub limit: &'static str,
    /// What there would have been in all.
    pub asked: u64,
    /// What is allowed.
    pub allowed: u64,
}

/// Counts what an isolate has taken.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: Limits,
    used: Usage,
    /// What was used before the growth that was asked for last.
    before: u64,
    /// How often a memory has asked to grow.
    growths: u64,
    /// The last refusal, to explain a failed instantiation.
    refused: Option<LimitExceeded>,
}

#[derive(Debug, Default)]
struct Usage {
    memory_bytes: u64,
    table_elements: u64,
    instances: u32,
    memories: u32,
    tables: u32,
}

impl Limiter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            used: Usage::default(),
            before: 0,
            growths: 0,
            refused: None,
        }
    }

    /// Takes what a module defines, or nothing.
    pub(crate) fn instantiate(&mut self, memories: u32, tables: u32) -> Result<(), LimitExceeded> {
        self.refused = None;
        let instances = count(self.used.instances, 1, self.limits.instances, "instances")?;
        let memories = count(
            self.used.memories,
            memories,
            self.limits.memories,
            "memories",
        )?;
        let tables = count(self.used.tables, tables, self.limits.tables, "tables")?;
        self.used.instances = instances;
        self.used.memories = memories;
        self.used.tables = tables;
        Ok(())
    }

    /// Why the last growth was refused, if it was.
    pub(crate) fn take_refusal(&mut self) -> Option<LimitExceeded> {
        self.refused.take()
    }

    /// How often a memory has asked to grow, a new one among them. Until the next time each is where it was, and as long.
    #[inline]
    pub(crate) fn growths(&self) -> u64 {
        self.growths
    }

    /// Whether a memory may grow. Growth that the memory's own maximum forbids is refused without being counted. Growth that
    /// the system then cannot carry out stays counted where the engine does not tell it apart from growth that was never asked here:
    /// giving back too much would let a guest past its limit.
    pub(crate) fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> bool {
        self.growths += 1;
        let (used, allowed) = (&mut self.used.memory_bytes, self.limits.memory_bytes);
        self.before = *used;
        let grown = grow(used, allowed, "memory bytes", current, desired, maximum);
        self.remember(grown)
    }

    /// The same for a table.
    pub(crate) fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> bool {
        let (used, allowed) = (&mut self.used.table_elements, self.limits.table_elements);
        self.before = *used;
        let grown = grow(used, allowed, "table elements", current, desired, maximum);
        self.remember(grown)
    }

    /// A memory that was allowed to grow last did not.
    pub(crate) fn memory_not_grown(&mut self) {
        self.used.memory_bytes = self.before;
    }

    /// The same for a table.
    pub(crate) fn table_not_grown(&mut self) {
        self.used.table_elements = self.before;
    }

    /// Whether something may grow; a refusal by limit is kept.
    fn remember(&mut self, grown: Result<bool, LimitExceeded>) -> bool {
        grown.unwrap_or_else(|refusal| {
            self.refused = Some(refusal);
            false
        })
    }
}

/// Counts a growth from `current` to `desired`, unless it is more than `maximum`: then it is refused without being counted.
fn grow(
    used: &mut u64,
    allowed: u64,
    limit: &'static str,
    current: usize,
    desired: usize,
    maximum: Option<usize>,
) -> Result<bool, LimitExceeded> {
    if maximum.is_some_and(|maximum| desired > maximum) {
        return Ok(false);
    }
    let asked = used.saturating_add(desired.saturating_sub(current) as u64);
    if asked > allowed {
        return Err(LimitExceeded {
            limit,
            asked,
            allowed,
        });
    }
    *used = asked;
    Ok(true)
}

fn count(used: u32, added: u32, allowed: u32, limit: &'static str) -> Result<u32, LimitExceeded> {
    match used.checked_add(added) {
        Some(asked) if asked <= allowed => Ok(asked),
        asked => Err(LimitExceeded {
            limit,
            asked: asked.map_or(u64::from(u32::MAX), u64::from),
            allowed: u64::from(allowed),
        }),
    }
}

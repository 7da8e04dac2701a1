//! Engines and their configuration.

use crate::Result;
use crate::interrupt::Ticker;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};
use tidegate_core::runtime::Rules;
use tidegate_engine as engine;
pub use tidegate_engine::EngineKind;

/// Which core engine runs an isolate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Compiled code, except where only the interpreter can do what a component needs.
    #[default]
    Auto,
    /// Always this one.
    Always(EngineKind),
}

/// How components are compiled and run.
#[derive(Clone, Debug)]
pub struct Config {
    strategy: Strategy,
    intra_component_copies: bool,
    groups: bool,
    time_slice: Option<Duration>,
    pause_often: Option<NonZeroU32>,
    core: engine::EngineConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            strategy: Strategy::Auto,
            intra_component_copies: true,
            groups: true,
            time_slice: Some(Duration::from_millis(10)),
            pause_often: None,
            core: engine::EngineConfig::new(EngineKind::Wasmtime),
        }
    }

    /// Which core engine to use; [`Strategy::Auto`] by default.
    pub fn strategy(&mut self, strategy: Strategy) -> &mut Self {
        self.strategy = strategy;
        self
    }

    /// Whether a component instance may read from a stream or future that it writes to itself, whatever the items are; true by default.
    ///
    /// The Component Model's specification allows numbers only, "temporarily", and demands a trap otherwise: `false` gives that.
    pub fn intra_component_copies(&mut self, allowed: bool) -> &mut Self {
        self.intra_component_copies = allowed;
        self
    }

    /// Whether instances of a component that call each other share an isolate, so that such calls cost what calls within a module do; true by default.
    ///
    /// Components that use async are never grouped. A trap makes the same instances unusable either way. What a group has in common:
    ///
    /// * its [`Limits::isolate`](crate::Limits::isolate), which is that of one isolate times the number of its instances;
    /// * the bound on the native stack of guests;
    /// * its end, if a call into it is dropped midway: then none of its instances is usable any more.
    ///
    /// `false` gives each instance an isolate of its own.
    pub fn groups(&mut self, allowed: bool) -> &mut Self {
        self.groups = allowed;
        self
    }

    /// How long a guest may compute before it lets others have its thread; `None` for ever. Default: 10 ms. Takes effect if
    /// [`interruptible`](tidegate_engine::EngineConfig::interruptible) is set.
    pub fn time_slice(&mut self, slice: Option<Duration>) -> &mut Self {
        self.time_slice = slice.filter(|slice| !slice.is_zero());
        self
    }

    /// Interrupts guests at every so many opportunities, and has them go on: each check of code that computes, and each wait. For tests that nothing
    /// is lost or repeated by that; everything runs on stacks of its own, and slowly. Sets
    /// [`interruptible`](tidegate_engine::EngineConfig::interruptible).
    pub fn pause_often(&mut self, opportunities: NonZeroU32) -> &mut Self {
        self.pause_often = Some(opportunities);
        self.core.interruptible = true;
        self
    }

    /// The settings of the core engines; which of them is chosen by [`strategy`](Self::strategy).
    pub fn core(&mut self) -> &mut engine::EngineConfig {
        &mut self.core
    }
}

/// Compiles components and is shared by their stores. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    config: Config,
    wasmtime: OnceLock<engine::Engine>,
    wasmi: OnceLock<engine::Engine>,
    ticker: Ticker,
    made: Instant,
}

/// How many ticks a time slice has: the first tick may come at once.
const TICKS: u32 = 4;

impl crate::interrupt::Tick for Weak<Inner> {
    fn tick(&self) {
        if let Some(inner) = self.upgrade() {
            inner.tick();
        }
    }
}

impl Inner {
    fn new(config: Config) -> Self {
        Self {
            config,
            wasmtime: OnceLock::new(),
            wasmi: OnceLock::new(),
            ticker: Ticker::default(),
            made: Instant::now(),
        }
    }

    /// Moves the clock of time slices on.
    fn tick(&self) {
        for engine in [&self.wasmtime, &self.wasmi] {
            if let Some(engine) = engine.get() {
                engine.tick();
            }
        }
    }
}

impl Engine {
    /// An engine with these settings.
    ///
    /// # Errors
    /// Settings that this machine cannot satisfy.
    pub fn new(config: &Config) -> Result<Self> {
        let engine = Self(Arc::new(Inner::new(config.clone())));
        engine.core(engine.kind())?;
        Ok(engine)
    }

    /// Which core engine its configuration asks for.
    pub fn strategy(&self) -> Strategy {
        self.0.config.strategy
    }

    /// Where stores depart from the specification.
    pub(crate) fn rules(&self) -> Rules {
        let mut rules = Rules::default();
        rules.intra_component_copies = self.0.config.intra_component_copies;
        rules
    }

    /// Whether instances may share an isolate.
    pub(crate) fn has_groups(&self) -> bool {
        self.0.config.groups
    }

    /// Whether several functions, and several modules, are compiled at a time.
    pub(crate) fn compiles_in_parallel(&self) -> bool {
        self.0.config.core.parallel_compilation && self.kind() == EngineKind::Wasmtime
    }

    /// The core engine that an isolate gets unless it needs another.
    pub fn kind(&self) -> EngineKind {
        match self.0.config.strategy {
            Strategy::Auto => EngineKind::Wasmtime,
            Strategy::Always(kind) => kind,
        }
    }

    /// The core engine of a kind, made when first asked for.
    pub(crate) fn core(&self, kind: EngineKind) -> Result<&engine::Engine> {
        let slot = match kind {
            EngineKind::Wasmtime => &self.0.wasmtime,
            EngineKind::Wasmi => &self.0.wasmi,
        };
        if let Some(engine) = slot.get() {
            return Ok(engine);
        }
        let config = engine::EngineConfig {
            kind,
            ..self.0.config.core.clone()
        };
        let engine = engine::Engine::new(&config)?;
        Ok(slot.get_or_init(|| engine))
    }

    /// Whether guests can be interrupted while they compute.
    pub fn is_interruptible(&self) -> bool {
        self.0.config.core.interruptible
    }

    /// Whether modules can share memories.
    pub(crate) fn has_threads(&self) -> bool {
        self.0.config.core.threads && self.kind() == EngineKind::Wasmtime
    }

    pub(crate) fn pause_often(&self) -> Option<NonZeroU32> {
        self.0.config.pause_often
    }

    pub(crate) fn has_slices(&self) -> bool {
        self.is_interruptible() && self.0.config.time_slice.is_some()
    }

    /// How long a guest may compute at a time.
    pub(crate) fn time_slice(&self) -> Option<Duration> {
        self.0.config.time_slice
    }

    /// From when the engine was made until then.
    pub(crate) fn nanoseconds(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.0.made);
        // That is enough for centuries.
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The ticks after which a guest has had its time slice.
    pub(crate) fn ticks_per_slice(&self) -> Option<NonZeroU64> {
        self.0.config.time_slice.and(NonZeroU64::new(TICKS.into()))
    }

    /// The clock of time slices, going, if there are any.
    pub(crate) fn ticker(&self) -> Option<&Ticker> {
        let slice = self.time_slice().filter(|_| self.has_slices())?;
        self.0
            .ticker
            .start(|| Arc::downgrade(&self.0), slice, TICKS);
        Some(&self.0.ticker)
    }

    /// A hash of everything that precompiled code depends on, apart from its source: versions and settings. A part of a cache's key.
    ///
    /// # Errors
    /// The core engine cannot be made.
    pub fn compatibility(&self) -> Result<u64> {
        let core = self.core(self.kind())?.compatibility();
        Ok(core.wrapping_add(self.has_groups().into()))
    }

    /// Whether both are the same engine.
    pub fn same(a: &Engine, b: &Engine) -> bool {
        Arc::ptr_eq(&a.0, &b.0)
    }
}

impl Default for Engine {
    /// An engine with the default settings.
    fn default() -> Self {
        Self(Arc::new(Inner::new(Config::default())))
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

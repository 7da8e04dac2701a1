//! Engines and their configuration.

use crate::Result;
use std::sync::{Arc, OnceLock};
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
}

impl Engine {
    /// An engine with these settings.
    ///
    /// # Errors
    /// Settings that this machine cannot satisfy.
    pub fn new(config: &Config) -> Result<Self> {
        let engine = Self(Arc::new(Inner {
            config: config.clone(),
            wasmtime: OnceLock::new(),
            wasmi: OnceLock::new(),
        }));
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

    /// A hash of everything that precompiled code depends on, apart from its source: versions and settings. A part of a cache's key.
    ///
    /// # Errors
    /// The core engine cannot be made.
    pub fn compatibility(&self) -> Result<u64> {
        Ok(self.core(self.kind())?.compatibility())
    }

    /// Whether both are the same engine.
    pub fn same(a: &Engine, b: &Engine) -> bool {
        Arc::ptr_eq(&a.0, &b.0)
    }
}

impl Default for Engine {
    /// An engine with the default settings.
    fn default() -> Self {
        Self(Arc::new(Inner {
            config: Config::default(),
            wasmtime: OnceLock::new(),
            wasmi: OnceLock::new(),
        }))
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

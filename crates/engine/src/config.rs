//! Which engine, and how it is set up.

use std::sync::{Arc, OnceLock};

use crate::error::EngineError;

/// Which engine executes core code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// Compiled by Cranelift.
    Wasmtime,
    /// Interpreted.
    Wasmi,
}

impl EngineKind {
    /// Both, in the order of preference.
    pub const ALL: [Self; 2] = [Self::Wasmtime, Self::Wasmi];

    /// The name a user knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wasmtime => "wasmtime",
            Self::Wasmi => "wasmi",
        }
    }
}

/// How an [`Engine`] is set up. Plain data, checked by [`Engine::new`].
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Which engine.
    pub kind: EngineKind,
    /// Lets guests be interrupted while they compute: see [`Isolate::set_time_slice`](crate::Isolate::set_time_slice) and
    /// [`Isolate::interrupt_handle`](crate::Isolate::interrupt_handle).
    /// Compiled code pays a few percent for it, and tight loops more: it has checks in it.
    pub interruptible: bool,
    /// Preallocated slots for instances, which make instantiation cheaper where many instances come and go (wasmtime only).
    pub pooling: Option<Pooling>,
    /// Address space reserved for a linear memory, in bytes, so that it need not move when it grows. `None`: 4 GiB, which
    /// lets bounds checks of 32-bit memories be left out (wasmtime only).
    pub memory_reservation: Option<u64>,
    /// Address space after each linear memory that stays inaccessible, in bytes. `None`: 32 MiB, which lets bounds checks of accesses with smaller
    /// offsets be left out. With 0 beside a small reservation, memories of a pool lie next to each other: they share mappings, and pages of the
    /// system's tables (wasmtime only).
    pub memory_guard: Option<u64>,
    /// Native stack that guest code may use on one stack, in bytes (wasmtime only; wasmi keeps guest frames on its heap).
    pub max_wasm_stack: usize,
    /// Native stack that the threads entering guests have, in bytes. Nested isolates share it: an entry that might not fit
    /// is a "call stack exhausted" trap rather than an overflow of the native stack.
    pub native_stack: usize,
    /// Accept modules that use exceptions (`try_table`, `throw`, tags).
    pub exceptions: bool,
    /// Let modules have shared memories (wasmtime only, whose support for them is of its second tier). Atomic instructions
    /// work on wasmtime either way.
    pub threads: bool,
    /// Compile functions in parallel (wasmtime only).
    pub parallel_compilation: bool,
    /// Accept precompiled modules, whose machine code is executed as it stands: whoever sets this vouches that all of them come,
    /// unmodified, from [`Module::serialize`](crate::Module::serialize), by way of places that only trusted programs of the same
    /// user can write. The checksum in them finds accidents, not forgeries.
    pub trust_artifacts: bool,
    /// Make every NaN that a guest computes the canonical one, so that runs are reproducible (wasmtime only).
    pub canonicalize_nans: bool,
}

impl EngineConfig {
    /// The default set-up of an engine.
    pub fn new(kind: EngineKind) -> Self {
        Self {
            kind,
            interruptible: false,
            pooling: None,
            memory_reservation: None,
            memory_guard: None,
            max_wasm_stack: 512 << 10,
            native_stack: 2 << 20,
            exceptions: true,
            threads: false,
            parallel_compilation: true,
            trust_artifacts: false,
            canonicalize_nans: false,
        }
    }
}

/// Sizes of the pooling allocator. Virtual memory is reserved for all slots at once: each memory slot takes the memory
/// reservation and its guard.
#[derive(Clone, Debug)]
pub struct Pooling {
    /// Core instances at the same time.
    pub instances: u32,
    /// Linear memories at the same time.
    pub memories: u32,
    /// Tables at the same time.
    pub tables: u32,
    /// Stacks at the same time.
    pub stacks: u32,
    /// The most bytes one memory can grow to.
    pub max_memory_bytes: usize,
    /// The most elements one table can have.
    pub table_elements: usize,
    /// Bytes of a memory that are zeroed rather than given back to the system when a slot is freed.
    pub keep_resident: usize,
}

impl Default for Pooling {
    fn default() -> Self {
        Self {
            instances: 1000,
            memories: 1000,
            tables: 1000,
            stacks: 1000,
            max_memory_bytes: 4 << 30,
            table_elements: 20_000,
            keep_resident: 64 << 10,
        }
    }
}

/// A core engine. Cheap to clone; modules and isolates made with one engine work with it only.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: EngineInner,
    pub(crate) config: Arc<EngineConfig>,
    pub(crate) stacks: crate::wasmtime::StackDefinitions,
    /// Worked out when it is first asked for, which takes longer than loading a small module.
    pub(crate) compatibility: Arc<OnceLock<u64>>,
}

#[derive(Clone)]
pub(crate) enum EngineInner {
    Wasmtime(crate::wasmtime::WasmtimeEngine),
    Wasmi(crate::wasmi::WasmiEngine),
}

impl Engine {
    /// Sets an engine up.
    ///
    /// # Errors
    /// The configuration cannot be had on this machine, with the engine's reason.
    pub fn new(config: &EngineConfig) -> Result<Self, EngineError> {
        let inner = match config.kind {
            EngineKind::Wasmtime => {
                EngineInner::Wasmtime(crate::wasmtime::WasmtimeEngine::new(config)?)
            }
            EngineKind::Wasmi => EngineInner::Wasmi(crate::wasmi::WasmiEngine::new(config)),
        };
        Ok(Self {
            inner,
            config: Arc::new(config.clone()),
            stacks: crate::wasmtime::StackDefinitions::default(),
            compatibility: Arc::default(),
        })
    }

    /// Which engine this is.
    pub fn kind(&self) -> EngineKind {
        self.config.kind
    }

    /// How it was set up.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Moves the clock of time slices on by one tick. May be called from any thread and from a signal handler; costs an atomic operation or two for
    /// each guest with a time slice that runs, and a look at a bit of memory for each 512 isolates.
    pub fn tick(&self) {
        match &self.inner {
            EngineInner::Wasmtime(engine) => engine.tick(),
            EngineInner::Wasmi(engine) => engine.tick(),
        }
    }
}

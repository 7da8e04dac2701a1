//! Memories that several isolates have at the same time.

use std::fmt;

use crate::{
    config::{Engine, EngineInner},
    error::EngineError,
    types::MemoryType,
};

/// A linear memory that isolates on any threads can share. Cheap to clone; it lives until the last of them is gone.
///
/// To import it, an isolate must be told of it first: [`Cx::add_shared_memory`](crate::Cx::add_shared_memory). Limits of
/// isolates do not count it.
#[derive(Clone)]
pub struct SharedMemory {
    pub(crate) inner: ::wasmtime::SharedMemory,
}

impl SharedMemory {
    /// A new one, of zeros. Its address space is reserved up to its maximum, but taken only as it grows.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] on wasmi, where the engine was not set up for
    /// [`threads`](crate::EngineConfig::threads), or where the type is not that of a shared memory.
    pub fn new(engine: &Engine, ty: &MemoryType) -> Result<Self, EngineError> {
        let EngineInner::Wasmtime(inner) = &engine.inner else {
            return Err(EngineError::Unsupported(
                "this engine has no shared memories".into(),
            ));
        };
        crate::wasmtime::shared_memory(inner, ty).map(|inner| Self { inner })
    }

    /// Its size in bytes, which other threads may have made larger by the time this returns.
    pub fn size(&self) -> usize {
        self.inner.data_size()
    }

    /// Whether the two are one memory.
    pub fn same(&self, other: &Self) -> bool {
        std::ptr::eq(self.inner.data().as_ptr(), other.inner.data().as_ptr())
    }
}

impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMemory")
            .field("size", &self.size())
            .finish()
    }
}

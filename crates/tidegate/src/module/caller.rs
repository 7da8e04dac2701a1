//! What a host function of a core module gets to see.

use crate::baton::Baton;
use crate::{Result, StoreContextMut};
use anyhow::{Context, bail};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use tidegate_engine::{Cx, Memory, SharedMemory};

/// How a host function of a core module ends.
pub enum Outcome {
    /// The results are in the slots.
    Done,
    /// Nothing could be done yet: the guest is parked until the future is ready, and then the function is called again with the same
    /// parameters, which it must have left in the slots.
    Wait(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// The guest is parked until the future is ready, whose output is the function's one result.
    Later(Pin<Box<dyn Future<Output = u64> + Send>>),
}

/// The memory of the calling instance.
#[derive(Debug)]
pub enum GuestMemory<'a> {
    /// Its own: nobody else has it meanwhile.
    Own(&'a mut [u8]),
    /// One that other threads of the program read and write at the same time.
    Shared(&'a SharedMemory),
}

impl<'a> From<&'a mut [u8]> for GuestMemory<'a> {
    fn from(bytes: &'a mut [u8]) -> Self {
        Self::Own(bytes)
    }
}

/// The calling instance and its store.
pub struct Caller<'a, T: Send + 'static> {
    pub(super) cx: Cx<'a, Baton>,
    memory: &'a MemorySlot,
    data: PhantomData<fn() -> T>,
}

/// The memory that an instance exports, known once it is made.
pub(super) type MemorySlot = Arc<OnceLock<Exported>>;

/// A memory that an instance exports.
pub(super) enum Exported {
    Own(Memory),
    Shared(SharedMemory),
}

impl<'a, T: Send + 'static> Caller<'a, T> {
    pub(super) fn new(cx: Cx<'a, Baton>, memory: &'a MemorySlot) -> Self {
        Self {
            cx,
            memory,
            data: PhantomData,
        }
    }

    /// The embedder's data.
    pub fn data_mut(&mut self) -> &mut T {
        self.cx.data_mut().user_data()
    }

    /// The store.
    pub fn as_store(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut::new(self.cx.data_mut())
    }

    /// The memory that the calling instance exports as `memory`.
    ///
    /// # Errors
    /// There is none, it is shared, or the instance's start function is still running.
    pub fn memory_mut(&mut self) -> Result<&mut [u8]> {
        Ok(self.memory_and_data_mut()?.0)
    }

    /// That memory and the embedder's data at once.
    ///
    /// # Errors
    /// As [`memory_mut`](Self::memory_mut).
    pub fn memory_and_data_mut(&mut self) -> Result<(&mut [u8], &mut T)> {
        match self.guest_memory_and_data_mut()? {
            (GuestMemory::Own(bytes), data) => Ok((bytes, data)),
            (GuestMemory::Shared(_), _) => {
                bail!(
                    "the calling module's memory is shared with other threads, which this host function cannot work with"
                )
            }
        }
    }

    /// That memory, whether it is the instance's own or shared, and the embedder's data at once.
    ///
    /// # Errors
    /// As [`memory_mut`](Self::memory_mut), but for shared memories.
    pub fn guest_memory_and_data_mut(&mut self) -> Result<(GuestMemory<'_>, &mut T)> {
        match self.memory.get().context(
            "the calling module has no memory: it must export one as `memory`, and not use it in its start function",
        )? {
            Exported::Own(memory) => {
                let (bytes, baton) = self.cx.memory_and_data_mut(*memory);
                Ok((GuestMemory::Own(bytes), baton.user_data()))
            }
            Exported::Shared(memory) => {
                Ok((GuestMemory::Shared(memory), self.cx.data_mut().user_data()))
            }
        }
    }
}

//! Where a consumer takes its items from.

use super::{LiftItem, MAX_CHUNK, ReadBuffer, WriteBuffer};
use crate::call::items::CopyOptions;
use crate::{AsContextMut, Result, WrongStore};
use std::any::Any;
use std::io;
use tidegate_core::abi::{LiftBudget, LiftContext};
use tidegate_core::runtime::Lends;

/// Where a [consumer](super::StreamConsumer) takes its items from: the writer's buffer.
pub struct Source<'a, T> {
    pub(super) items: Items<'a, T>,
    /// How many were taken in this call.
    pub(super) taken: &'a mut usize,
}

/// What the writer offers.
pub(super) enum Items<'a, T> {
    /// The write of a guest.
    Guest(Offered<'a>),
    /// An end of the host.
    Host(&'a mut dyn WriteBuffer<T>),
}

/// What lies in a guest's memory.
#[derive(Clone, Copy)]
pub(super) struct Offered<'a> {
    pub(super) memory: &'a [u8],
    pub(super) options: &'a CopyOptions,
    /// Where the first item lies.
    pub(super) pointer: usize,
    /// Bytes from one to the next.
    pub(super) size: usize,
    pub(super) count: usize,
}

impl<T: 'static> Source<'_, T> {
    /// How many items there are to be taken now; 0 if the writer only asks whether it would wait, or if all were taken before.
    ///
    /// If an end of the host writes, there may be more behind.
    pub fn remaining(&self) -> usize {
        match &self.items {
            Items::Guest(offered) => offered.count.saturating_sub(*self.taken),
            Items::Host(items) => items.remaining().len(),
        }
    }

    /// The same for a shorter time.
    pub fn reborrow(&mut self) -> Source<'_, T> {
        Source {
            items: match &mut self.items {
                Items::Guest(offered) => Items::Guest(*offered),
                Items::Host(items) => Items::Host(&mut **items),
            },
            taken: self.taken,
        }
    }
}

impl<T: LiftItem> Source<'_, T> {
    /// Takes as many items as there are, as `buffer` [has room](ReadBuffer::remaining_capacity) for, and as [`MAX_CHUNK`] allows.
    ///
    /// # Errors
    /// Items that are not what their type demands: to be handed on, for the guest to trap. [`WrongStore`].
    pub fn read<B: ReadBuffer<T>>(
        &mut self,
        mut store: impl AsContextMut,
        buffer: &mut B,
    ) -> Result<()> {
        let count = self
            .remaining()
            .min(buffer.remaining_capacity())
            .min(MAX_CHUNK);
        if count == 0 {
            return Ok(());
        }
        match &mut self.items {
            Items::Guest(offered) => {
                let pointer = offered.pointer + *self.taken * offered.size;
                let options = &offered.options.options;
                let runtime = &mut **store.as_context_mut().slot;
                if runtime.id != options.shared.store {
                    return Err(WrongStore.into());
                }
                let mut cx = LiftContext {
                    types: options.shared.types(),
                    resources: &options.shared.resources,
                    memory: offered.memory,
                    memory64: options.memory64,
                    encoding: options.encoding,
                    state: &mut runtime.state,
                    instance: options.instance,
                    lends: &mut Lends::default(),
                    task: None,
                    budget: LiftBudget::new(runtime.limits.max_lifted_bytes),
                };
                buffer.extend(&mut |items| {
                    let lifted: &mut dyn Any = &mut *items;
                    if let Some(bytes) = lifted.downcast_mut::<Vec<u8>>() {
                        // Checked when the guest wrote; memories never shrink.
                        let given = cx.memory.get(pointer..pointer + count);
                        bytes.extend_from_slice(given.unwrap_or_default());
                        return Ok(());
                    }
                    items.append(&mut T::lift_items(
                        &mut cx,
                        offered.options.element,
                        pointer,
                        count,
                    )?);
                    Ok(())
                })?;
            }
            Items::Host(from) => buffer.extend(&mut |items| {
                from.take(count, items);
                Ok(())
            })?,
        }
        *self.taken += count;
        Ok(())
    }
}

impl<'a> Source<'a, u8> {
    /// The writer's own memory: bytes are read from there without having been copied.
    #[inline]
    pub fn as_direct(self, store: impl AsContextMut) -> DirectSource<'a> {
        // Guests cannot run, and so move their memory, as long as whoever holds the store is the consumer.
        let _ = store;
        // What was just written in parts is not moved as a whole.
        let bytes = match self.items {
            Items::Guest(Offered {
                memory,
                pointer,
                count,
                ..
            }) => Direct::Guest(memory.get(pointer..pointer + count).unwrap_or_default()),
            Items::Host(items) => Direct::Host(items),
        };
        DirectSource {
            bytes,
            taken: self.taken,
        }
    }
}

/// The memory of a writer of bytes.
pub struct DirectSource<'a> {
    bytes: Direct<'a>,
    taken: &'a mut usize,
}

enum Direct<'a> {
    /// All that the guest offers, with what is taken already.
    Guest(&'a [u8]),
    Host(&'a mut dyn WriteBuffer<u8>),
}

impl DirectSource<'_> {
    /// What was not read yet.
    #[inline]
    pub fn remaining(&self) -> &[u8] {
        match &self.bytes {
            Direct::Guest(bytes) => bytes.get(*self.taken..).unwrap_or_default(),
            Direct::Host(items) => items.remaining(),
        }
    }

    /// Says that the first `count` bytes of [`remaining`](Self::remaining) are read. More than there are is a breach of the contract.
    #[inline]
    pub fn mark_read(&mut self, count: usize) {
        *self.taken = self.taken.saturating_add(count);
        if let Direct::Host(items) = &mut self.bytes {
            let offered = items.remaining().len();
            if count > offered {
                *self.taken = usize::MAX;
            }
            items.skip(count.min(offered));
        }
    }
}

impl io::Read for DirectSource<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.remaining();
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.mark_read(count);
        Ok(count)
    }
}

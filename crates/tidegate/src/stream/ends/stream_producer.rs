//! The host's writable end of a stream.

use super::splice::{ProduceItems, Produced};
use super::{Answer, Checked, HostEnd, Turn, Wanted};
use crate::StoreContextMut;
use crate::stream::destination::{Chunk, Room};
use crate::stream::{
    Breach, Destination, LowerItem, Rule, StreamProducer, StreamResult, WriteBuffer,
};
use anyhow::Result;
use std::any::{Any, TypeId};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate_core::runtime::Lends;

pub(in crate::stream) struct StreamProducerEnd<P: StreamProducer<D>, D: Send + 'static> {
    producer: Pin<Box<P>>,
    /// What the reader did not take yet.
    buffer: P::Buffer,
    /// Whether the producer has said that there will be no more.
    ended: bool,
    checked: Checked,
    data: PhantomData<fn(D)>,
}

impl<P: StreamProducer<D>, D: Send + 'static> StreamProducerEnd<P, D> {
    pub(in crate::stream) fn new(producer: P) -> Self {
        Self {
            producer: Box::pin(producer),
            buffer: P::Buffer::default(),
            ended: false,
            checked: Checked::default(),
            data: PhantomData,
        }
    }

    /// Calls the producer, and checks what it says. `written` is counted where `room` says.
    fn produce(
        &mut self,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        room: Room<'_, P::Item>,
        finish: bool,
    ) -> Result<Option<StreamResult>> {
        let destination = Destination {
            room,
            buffer: &mut self.buffer,
        };
        match self
            .producer
            .as_mut()
            .poll_produce(cx, store, destination, finish)
        {
            Poll::Pending => Ok(None),
            Poll::Ready(result) => result.map(Some),
        }
    }

    /// Checks the producer's answer. `room` is how much there was, `written` what it wrote directly.
    fn judge(
        &mut self,
        result: Option<StreamResult>,
        room: usize,
        written: usize,
        finish: bool,
    ) -> Result<(), Breach> {
        let some = written > 0 || !self.buffer.remaining().is_empty();
        let rule = match result {
            _ if written > room => Rule::WroteTooMuch {
                marked: written,
                room,
            },
            Some(StreamResult::Completed) if !some && room > 0 => Rule::CompletedWithoutItem,
            Some(StreamResult::Cancelled) if !finish => Rule::CancelledUnasked,
            None if some => Rule::PendingAfterWriting,
            Some(StreamResult::Dropped) => {
                self.ended = true;
                return Ok(());
            }
            _ => return Ok(()),
        };
        Err(rule.broken_by::<P>("StreamProducer"))
    }
}

impl<P, D> StreamProducerEnd<P, D>
where
    P: StreamProducer<D, Item: LowerItem>,
    D: Send + 'static,
{
    /// Asks the producer on behalf of a guest's read. Gives how many bytes it wrote into the guest's memory.
    fn ask_producer(
        &mut self,
        turn: &mut Turn<'_, '_>,
        cx: &mut Context<'_>,
    ) -> Result<(usize, Option<StreamResult>)> {
        let (room, pointer, finish) = (turn.room(), turn.pointer(), turn.offer.cancelling);
        let mut written = 0;
        let (memory, baton) = match turn.options.options.memory {
            Some(memory) => turn.cx.memory_and_data_mut(memory),
            None => (&mut [][..], turn.cx.data_mut()),
        };
        let bytes = if TypeId::of::<P::Item>() == TypeId::of::<u8>() {
            // Checked when the guest read; memories never shrink.
            memory.get_mut(pointer..pointer + room).unwrap_or_default()
        } else {
            &mut []
        };
        let offered = Room::Guest {
            items: room,
            bytes,
            written: &mut written,
        };
        let result = self.produce(cx, StoreContextMut::new(baton), offered, finish)?;
        self.judge(result, room, written, finish)?;
        Ok((written, result))
    }

    /// Lowers what the buffer holds and the guest takes.
    fn lower(&mut self, turn: &mut Turn<'_, '_>, done: usize) -> Result<usize> {
        let (room, pointer) = (turn.room(), turn.pointer());
        let of = turn.options;
        let mut moved = done;
        if moved >= room || self.buffer.remaining().is_empty() {
            return Ok(moved);
        }
        let size = of.item_size();
        of.options
            .lower(&mut turn.cx, None, &mut Lends::default(), |cx| {
                while moved < room {
                    let items = self.buffer.remaining();
                    let count = items.len().min(room - moved);
                    if count == 0 {
                        break;
                    }
                    P::Item::lower_items(&items[..count], cx, of.element, pointer + moved * size)?;
                    self.buffer.skip(count);
                    moved += count;
                }
                Ok(())
            })?;
        Ok(moved)
    }
}

impl<P, D> HostEnd for StreamProducerEnd<P, D>
where
    P: StreamProducer<D, Item: LowerItem>,
    D: Send + 'static,
{
    fn ask(&mut self, mut turn: Turn<'_, '_>, cx: &mut Context<'_>) -> Result<Answer> {
        self.checked.check::<P::Item>(&turn)?;
        let (written, result) = if self.buffer.remaining().is_empty() && !self.ended {
            self.ask_producer(&mut turn, cx)?
        } else {
            (0, Some(StreamResult::Completed))
        };
        let moved = self.lower(&mut turn, written)?;
        let result = if self.ended && self.buffer.remaining().is_empty() {
            Some(StreamResult::Dropped)
        } else if result == Some(StreamResult::Dropped) {
            Some(StreamResult::Completed)
        } else {
            result
        };
        Ok(Answer { moved, result })
    }

    fn into_any(self: Box<Self>, wanted: Wanted) -> Result<Box<dyn Any + Send>, Box<dyn HostEnd>> {
        match wanted {
            Wanted::Items => {
                let items: Box<dyn ProduceItems<P::Item, D>> = self;
                Ok(Box::new(items))
            }
            // Items in the buffer would be lost.
            Wanted::Object(_) if self.ended || !self.buffer.remaining().is_empty() => Err(self),
            Wanted::Object(ty) if ty == TypeId::of::<P>() => Ok(Box::new(self.producer)),
            Wanted::Object(ty) => {
                let Self {
                    producer,
                    buffer,
                    ended,
                    checked,
                    data,
                } = *self;
                P::try_into(producer, ty).map_err(|producer| {
                    Box::new(Self {
                        producer,
                        buffer,
                        ended,
                        checked,
                        data,
                    }) as Box<dyn HostEnd>
                })
            }
        }
    }
}

impl<P: StreamProducer<D>, D: Send + 'static> ProduceItems<P::Item, D> for StreamProducerEnd<P, D> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        chunk: &mut Chunk<P::Item>,
    ) -> Result<Produced> {
        chunk.rewind();
        let before = chunk.end;
        let result = self.produce(cx, store, Room::Host(chunk), false)?;
        let (room, written) = (chunk.items.len() - before, chunk.end - before);
        // What it may write into its buffer is not bounded.
        self.judge(result, room.max(1), written, false)?;
        Ok(match result {
            None => Produced::Pending,
            Some(_) if self.ended => Produced::Last,
            Some(_) => Produced::Some,
        })
    }

    fn left(&mut self) -> &mut dyn WriteBuffer<P::Item> {
        &mut self.buffer
    }
}

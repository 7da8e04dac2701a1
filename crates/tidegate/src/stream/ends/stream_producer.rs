//! The host's writable end of a stream.

use super::splice::{ProduceItems, Produced};
use super::{Answer, BytesTurn, Checked, HostEnd, Turn, Wanted};
use crate::StoreContextMut;
use crate::baton::Baton;
use crate::call::items::CopyOptions;
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
    #[inline]
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
    #[inline]
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
    /// Whether the producer is to be asked: it has not ended, and what it made was taken.
    #[inline]
    fn wants_more(&self) -> bool {
        !self.ended && self.buffer.remaining().is_empty()
    }

    /// Asks the producer on behalf of a guest's read of so many items. Gives how many bytes it wrote directly.
    #[inline]
    fn ask_producer(
        &mut self,
        store: StoreContextMut<'_, D>,
        (items, bytes): (usize, &mut [u8]),
        finish: bool,
        cx: &mut Context<'_>,
    ) -> Result<(usize, Option<StreamResult>)> {
        let mut written = 0;
        let offered = Room::Guest {
            items,
            bytes,
            written: &mut written,
        };
        let result = self.produce(cx, store, offered, finish)?;
        self.judge(result, items, written, finish)?;
        Ok((written, result))
    }

    /// What the guest is told, given what the producer says.
    #[inline]
    fn answer(&self, moved: usize, result: Option<StreamResult>) -> Answer {
        let result = if self.ended && self.buffer.remaining().is_empty() {
            Some(StreamResult::Dropped)
        } else if result == Some(StreamResult::Dropped) {
            Some(StreamResult::Completed)
        } else {
            result
        };
        Answer { moved, result }
    }

    /// Puts bytes that the buffer holds where the guest takes them, behind the first `done`.
    fn lower_bytes(
        &mut self,
        memory: &mut [u8],
        baton: &mut Baton,
        of: &CopyOptions,
        done: usize,
    ) -> Result<usize> {
        let (mut moved, room) = (done, memory.len());
        let target = (memory, &mut baton.state);
        of.options
            .lower_at_hand(target, &mut Lends::default(), |cx| {
                while moved < room {
                    let items = self.buffer.remaining();
                    let count = items.len().min(room - moved);
                    if count == 0 {
                        break;
                    }
                    P::Item::lower_items(&items[..count], cx, of.element, moved)?;
                    self.buffer.skip(count);
                    moved += count;
                }
                Ok(())
            })?;
        Ok(moved)
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
        self.checked.check::<P::Item>(turn.options)?;
        let mut result = Some(StreamResult::Completed);
        let mut moved = 0;
        if self.wants_more() {
            let (room, finish) = (turn.room(), turn.offer.cancelling);
            let store = StoreContextMut::new(turn.cx.data_mut());
            (moved, result) = self.ask_producer(store, (room, &mut []), finish, cx)?;
        }
        moved = self.lower(&mut turn, moved)?;
        Ok(self.answer(moved, result))
    }

    fn takes_bytes(&self) -> bool {
        TypeId::of::<P::Item>() == TypeId::of::<u8>()
    }

    fn ask_bytes(
        &mut self,
        turn: BytesTurn<'_>,
        baton: &mut Baton,
        cx: &mut Context<'_>,
    ) -> Result<Answer> {
        let BytesTurn {
            bytes,
            options,
            finish,
            ..
        } = turn;
        self.checked.check::<P::Item>(options)?;
        let mut result = Some(StreamResult::Completed);
        let mut moved = 0;
        if self.wants_more() {
            let (room, store) = ((bytes.len(), &mut *bytes), StoreContextMut::new(baton));
            (moved, result) = self.ask_producer(store, room, finish, cx)?;
        }
        if moved < bytes.len() && !self.buffer.remaining().is_empty() {
            moved = self.lower_bytes(bytes, baton, options, moved)?;
        }
        Ok(self.answer(moved, result))
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

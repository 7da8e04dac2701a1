//! The host's readable end of a stream.

use super::splice::{ConsumeItems, Consumed};
use super::{Answer, BytesTurn, Checked, HostEnd, Turn, Wanted};
use crate::StoreContextMut;
use crate::baton::Baton;
use crate::stream::source::{Items, Offered};
use crate::stream::{Breach, LiftItem, Rule, Source, StreamConsumer, StreamResult, WriteBuffer};
use anyhow::Result;
use std::any::{Any, TypeId};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(in crate::stream) struct StreamConsumerEnd<C, D> {
    consumer: Pin<Box<C>>,
    checked: Checked,
    data: PhantomData<fn(D)>,
}

impl<C: StreamConsumer<D>, D: Send + 'static> StreamConsumerEnd<C, D> {
    pub(in crate::stream) fn new(consumer: C) -> Self {
        Self {
            consumer: Box::pin(consumer),
            checked: Checked::default(),
            data: PhantomData,
        }
    }

    /// Calls the consumer, and checks what it says. `before`: whether it has taken items of this write already.
    // Inlined, as items that were just written in parts and are moved as a whole are waited for.
    #[inline(always)]
    fn consume(
        &mut self,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        items: Items<'_, C::Item>,
        before: bool,
        finish: bool,
    ) -> Result<Answer> {
        let mut taken = 0;
        let source = Source {
            items,
            taken: &mut taken,
        };
        let offered = source.remaining();
        // Between ends of the host there may be more items behind those that lie side by side.
        let most = match source.items {
            Items::Guest(_) => offered,
            Items::Host(_) => usize::MAX - 1,
        };
        let result = match self
            .consumer
            .as_mut()
            .poll_consume(cx, store, source, finish)
        {
            Poll::Pending => None,
            Poll::Ready(result) => Some(result?),
        };
        if taken > most {
            let (marked, offered) = (taken, most);
            return Err(Rule::ReadTooMuch { marked, offered }
                .broken_by::<C>("StreamConsumer")
                .into());
        }
        judge::<C>(result, offered, taken, before, finish)?;
        Ok(Answer {
            moved: taken,
            result,
        })
    }
}

/// Checks a consumer's answer. `offered` is how many items there were, `taken` how many it took.
#[inline]
fn judge<C>(
    result: Option<StreamResult>,
    offered: usize,
    taken: usize,
    before: bool,
    finish: bool,
) -> Result<(), Breach> {
    let rule = match result {
        Some(StreamResult::Completed) if taken == 0 && offered > 0 && !before => {
            Rule::CompletedWithoutItem
        }
        Some(StreamResult::Cancelled) if !finish => Rule::CancelledUnasked,
        _ => return Ok(()),
    };
    Err(rule.broken_by::<C>("StreamConsumer"))
}

/// What a guest that writes offers, and the store.
pub(super) fn offered<'a, D: Send + 'static>(
    turn: &'a mut Turn<'_, '_>,
) -> (Offered<'a>, StoreContextMut<'a, D>) {
    let (count, pointer, options) = (turn.room(), turn.pointer(), turn.options);
    let (memory, baton) = match options.options.memory {
        Some(memory) => turn.cx.memory_and_data_mut(memory),
        None => (&mut [][..], turn.cx.data_mut()),
    };
    let offered = Offered {
        memory,
        options,
        pointer,
        size: options.item_size(),
        count,
    };
    (offered, StoreContextMut::new(baton))
}

impl<C, D> HostEnd for StreamConsumerEnd<C, D>
where
    C: StreamConsumer<D, Item: LiftItem>,
    D: Send + 'static,
{
    fn ask(&mut self, mut turn: Turn<'_, '_>, cx: &mut Context<'_>) -> Result<Answer> {
        self.checked.check::<C::Item>(turn.options)?;
        let finish = turn.offer.cancelling;
        let before = turn.offer.guest.buffer.progress > 0;
        let (offered, store) = offered(&mut turn);
        self.consume(cx, store, Items::Guest(offered), before, finish)
    }

    fn takes_bytes(&self) -> bool {
        TypeId::of::<C::Item>() == TypeId::of::<u8>()
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
            before,
            finish,
        } = turn;
        self.checked.check::<C::Item>(options)?;
        let offered = Offered {
            count: bytes.len(),
            memory: bytes,
            options,
            pointer: 0,
            size: 1,
        };
        let store = StoreContextMut::new(baton);
        self.consume(cx, store, Items::Guest(offered), before, finish)
    }

    fn into_any(self: Box<Self>, _: Wanted) -> Result<Box<dyn Any + Send>, Box<dyn HostEnd>> {
        Err(self)
    }
}

impl<C: StreamConsumer<D>, D: Send + 'static> ConsumeItems<C::Item, D> for StreamConsumerEnd<C, D> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        items: &mut dyn WriteBuffer<C::Item>,
        before: bool,
    ) -> Result<Consumed> {
        let answer = self.consume(cx, store, Items::Host(items), before, false)?;
        Ok(match answer.result {
            None => Consumed::Pending {
                some: answer.moved > 0,
            },
            Some(StreamResult::Dropped) => Consumed::Last,
            Some(_) => Consumed::Some,
        })
    }
}

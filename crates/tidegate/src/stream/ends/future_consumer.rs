//! The host's readable end of a future.

use super::splice::ConsumeValue;
use super::stream_consumer::offered;
use super::{Answer, Checked, HostEnd, Turn, Wanted};
use crate::StoreContextMut;
use crate::stream::source::Items;
use crate::stream::{FutureConsumer, LiftItem, Rule, Source, StreamResult};
use anyhow::Result;
use std::any::Any;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(in crate::stream) struct FutureConsumerEnd<C, D> {
    consumer: Pin<Box<C>>,
    checked: Checked,
    data: PhantomData<fn(D)>,
}

impl<C: FutureConsumer<D>, D: Send + 'static> FutureConsumerEnd<C, D> {
    pub(in crate::stream) fn new(consumer: C) -> Self {
        Self {
            consumer: Box::pin(consumer),
            checked: Checked::default(),
            data: PhantomData,
        }
    }

    /// Calls the consumer, and checks what it says. `before`: whether it has taken the value already.
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
        let ready = match self
            .consumer
            .as_mut()
            .poll_consume(cx, store, source, finish)
        {
            Poll::Pending => false,
            Poll::Ready(result) => {
                result?;
                true
            }
        };
        let rule = if taken > offered {
            Rule::ReadTooMuch {
                marked: taken,
                offered,
            }
        } else if ready && taken == 0 && !before && !finish {
            Rule::ValueNotTaken
        } else {
            let result = if !ready {
                None
            } else if taken > 0 || before {
                Some(StreamResult::Dropped)
            } else {
                Some(StreamResult::Cancelled)
            };
            return Ok(Answer {
                moved: taken,
                result,
            });
        };
        Err(rule.broken_by::<C>("FutureConsumer").into())
    }
}

impl<C, D> HostEnd for FutureConsumerEnd<C, D>
where
    C: FutureConsumer<D, Item: LiftItem>,
    D: Send + 'static,
{
    fn ask(&mut self, mut turn: Turn<'_, '_>, cx: &mut Context<'_>) -> Result<Answer> {
        self.checked.check::<C::Item>(turn.options)?;
        let finish = turn.offer.cancelling;
        let before = turn.offer.guest.buffer.progress > 0;
        let (offered, store) = offered(&mut turn);
        self.consume(cx, store, Items::Guest(offered), before, finish)
    }

    fn into_any(self: Box<Self>, _: Wanted) -> Result<Box<dyn Any + Send>, Box<dyn HostEnd>> {
        Err(self)
    }
}

impl<C: FutureConsumer<D, Item: Send + 'static>, D: Send + 'static> ConsumeValue<C::Item, D>
    for FutureConsumerEnd<C, D>
{
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        value: &mut Option<C::Item>,
        before: bool,
    ) -> Result<bool> {
        let answer = self.consume(cx, store, Items::Host(value), before, false)?;
        Ok(answer.result.is_some())
    }
}

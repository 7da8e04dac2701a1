//! The host's writable end of a future.

use super::splice::ProduceValue;
use super::{Answer, Checked, HostEnd, Turn, Wanted};
use crate::StoreContextMut;
use crate::stream::{FutureProducer, LowerItem, Rule, StreamResult};
use anyhow::Result;
use std::any::{Any, TypeId};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate_core::runtime::Lends;

pub(in crate::stream) struct FutureProducerEnd<P, D> {
    producer: Pin<Box<P>>,
    checked: Checked,
    data: PhantomData<fn(D)>,
}

impl<P: FutureProducer<D>, D: Send + 'static> FutureProducerEnd<P, D> {
    pub(in crate::stream) fn new(producer: P) -> Self {
        Self {
            producer: Box::pin(producer),
            checked: Checked::default(),
            data: PhantomData,
        }
    }
}

impl<P, D> HostEnd for FutureProducerEnd<P, D>
where
    P: FutureProducer<D, Item: LowerItem>,
    D: Send + 'static,
{
    fn ask(&mut self, mut turn: Turn<'_, '_>, cx: &mut Context<'_>) -> Result<Answer> {
        self.checked.check::<P::Item>(turn.options)?;
        let finish = turn.offer.cancelling;
        let store = StoreContextMut::new(turn.cx.data_mut());
        let value = match self.producer.as_mut().poll_produce(cx, store, finish) {
            Poll::Pending => {
                return Ok(Answer {
                    moved: 0,
                    result: None,
                });
            }
            Poll::Ready(value) => value?,
        };
        match value {
            Some(value) => {
                lower(&mut turn, value)?;
                Ok(Answer {
                    moved: 1,
                    result: Some(StreamResult::Dropped),
                })
            }
            None if finish => Ok(Answer {
                moved: 0,
                result: Some(StreamResult::Cancelled),
            }),
            None => Err(Rule::NoValue.broken_by::<P>("FutureProducer").into()),
        }
    }

    fn into_any(self: Box<Self>, wanted: Wanted) -> Result<Box<dyn Any + Send>, Box<dyn HostEnd>> {
        match wanted {
            Wanted::Items => {
                let value: Box<dyn ProduceValue<P::Item, D>> = self;
                Ok(Box::new(value))
            }
            Wanted::Object(ty) if ty == TypeId::of::<P>() => Ok(Box::new(self.producer)),
            Wanted::Object(_) => Err(self),
        }
    }
}

fn lower<T: LowerItem>(turn: &mut Turn<'_, '_>, value: T) -> Result<()> {
    let (of, pointer) = (turn.options, turn.pointer());
    of.options
        .lower(&mut turn.cx, None, &mut Lends::default(), |cx| {
            T::lower_items(&[value], cx, of.element, pointer)
        })
}

impl<P: FutureProducer<D>, D: Send + 'static> ProduceValue<P::Item, D> for FutureProducerEnd<P, D> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
    ) -> Poll<Result<P::Item>> {
        self.producer
            .as_mut()
            .poll_produce(cx, store, false)
            .map(|value| match value? {
                Some(value) => Ok(value),
                None => Err(Rule::NoValue.broken_by::<P>("FutureProducer").into()),
            })
    }
}

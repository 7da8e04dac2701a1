//! The ends that the host holds, with the types of producers, consumers and items erased.

mod ask;
mod future_consumer;
mod future_producer;
mod splice;
mod stream_consumer;
mod stream_producer;
mod table;
mod work;

pub(crate) use ask::{ask, at_once, forget, retry, serve, serve_bytes, settle};
pub(super) use future_consumer::FutureConsumerEnd;
pub(super) use future_producer::FutureProducerEnd;
pub(super) use splice::{ProduceItems, ProduceValue, Splice, SpliceValue, take_items};
pub(super) use stream_consumer::StreamConsumerEnd;
pub(super) use stream_producer::StreamProducerEnd;
pub(crate) use table::HostEnds;
pub(super) use work::attach;

use super::{Item, StreamResult};
use crate::baton::Baton;
use crate::call::items::CopyOptions;
use crate::error::bug;
use anyhow::{Context as _, Result, bail};
use std::any::{Any, TypeId};
use std::task::Context;
use tidegate_core::abi::TypeContext;
use tidegate_core::runtime::Offer;
use tidegate_engine::Cx;

/// An end that the host holds.
pub(super) trait HostEnd: Send {
    /// The guest at the other end reads or writes: serves it, as far as that is possible now.
    ///
    /// # Errors
    /// What the guest traps with. The end is to be dropped then.
    fn ask(&mut self, turn: Turn<'_, '_>, cx: &mut Context<'_>) -> Result<Answer>;

    /// Whether its items are bytes: then it is [asked](Self::ask_bytes) with the guest's buffer at hand.
    fn takes_bytes(&self) -> bool {
        false
    }

    /// As [`ask`](Self::ask), for an end that [takes bytes](Self::takes_bytes). `baton` is in the guest's isolate.
    ///
    /// # Errors
    /// As there.
    fn ask_bytes(
        &mut self,
        _turn: BytesTurn<'_>,
        _baton: &mut Baton,
        _cx: &mut Context<'_>,
    ) -> Result<Answer> {
        bail!(bug("an end is asked for bytes that has none"))
    }

    /// What [`splice`] or a `try_into` finds behind the end: see the implementations.
    fn into_any(self: Box<Self>, wanted: Wanted) -> Result<Box<dyn Any + Send>, Box<dyn HostEnd>>;
}

/// What is wanted of an end that is taken apart.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    /// A [`ProduceItems`] of its item type, boxed twice.
    Items,
    /// The object of this type, as `Box<P>` or `Pin<Box<P>>`.
    Object(TypeId),
}

/// A read or write of a guest that an end of the host is asked to serve.
pub(super) struct Turn<'a, 'b> {
    /// The guest's isolate, which has the baton.
    pub(super) cx: Cx<'b, Baton>,
    pub(super) offer: Offer,
    pub(super) options: &'a CopyOptions,
}

impl Turn<'_, '_> {
    /// How many items can be moved.
    fn room(&self) -> usize {
        self.offer.remaining() as usize
    }

    /// Where the first of them lies.
    fn pointer(&self) -> usize {
        crate::call::items::start(&self.offer.guest, self.options)
    }
}

/// The same of bytes.
pub(super) struct BytesTurn<'a> {
    /// What is left of the guest's buffer, in its memory.
    pub(super) bytes: &'a mut [u8],
    pub(super) options: &'a CopyOptions,
    /// Whether some bytes of the buffer have moved before.
    pub(super) before: bool,
    /// Whether the guest wants its buffer back.
    pub(super) finish: bool,
}

/// What came of a turn.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    /// How many items were moved.
    pub(super) moved: usize,
    /// `None`: the guest is not to be told yet.
    pub(super) result: Option<StreamResult>,
}

/// The element types that an end was found to fit, by the options they came with.
#[derive(Default)]
struct Checked(Option<u32>);

impl Checked {
    /// Checks that items of type `T` are what the guest means.
    ///
    /// Streams of typed functions were checked with these; what comes by way of `Val`s was not.
    #[inline]
    fn check<T: Item>(&mut self, options: &CopyOptions) -> Result<()> {
        if self.0 == Some(options.number) {
            return Ok(());
        }
        self.check_first::<T>(options)
    }

    #[cold]
    fn check_first<T: Item>(&mut self, options: &CopyOptions) -> Result<()> {
        let shared = &options.options.shared;
        let cx = TypeContext {
            types: shared.types(),
            resource_kinds: &shared.kinds,
        };
        T::typecheck_item(options.element, &cx)
            .context("the items of a stream or future that the host holds an end of")?;
        self.0 = Some(options.number);
        Ok(())
    }
}

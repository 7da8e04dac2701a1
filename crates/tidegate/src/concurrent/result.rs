//! Results of calls by the host, on their way from where a guest returns them to whoever called.

use super::slot::Slot;
use crate::call::host::LiftResults;
use crate::error::bug;
use anyhow::{Context as _, Result};
use std::any::Any;
use std::sync::Arc;
use tidegate_core::abi::{FlatReader, LiftContext};
use tidegate_core::types::FuncTypeIdx;

/// Lifts the result of a call when the guest returns it, and keeps it.
pub(crate) trait Keep: Send {
    /// Lifts it, once.
    fn lift(
        &mut self,
        cx: &mut LiftContext<'_>,
        ty: FuncTypeIdx,
        max_flat: usize,
        src: &mut FlatReader<'_>,
    ) -> Result<()>;

    /// Tells whoever is to be told how the call ended.
    fn end(self: Box<Self>, result: Result<()>);

    /// Itself, for whoever made it to fetch the result.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// A result that the caller comes back for.
pub(crate) struct Kept<R, F> {
    /// `None` once it was lifted.
    lift: Option<F>,
    value: Option<R>,
}

impl<R: Send + 'static, F: LiftResults<R> + Send + 'static> Kept<R, F> {
    pub(crate) fn boxed(lift: F) -> Box<dyn Keep> {
        Box::new(Self {
            lift: Some(lift),
            value: None,
        })
    }

    /// The result that was kept in a box made by [`boxed`](Self::boxed).
    pub(crate) fn fetch(keep: Option<Box<dyn Keep>>) -> Result<R> {
        keep.and_then(|keep| keep.into_any().downcast::<Self>().ok())
            .and_then(|kept| kept.value)
            .context(bug("a call returned without a result"))
    }
}

impl<R: Send + 'static, F: LiftResults<R> + Send + 'static> Kept<R, F> {
    /// As [`fetch`](Self::fetch), where the type of what lifts it has no name.
    pub(crate) fn fetch_as(keep: Box<dyn Keep>, _: F) -> Result<R> {
        Self::fetch(Some(keep))
    }
}

impl<R: Send + 'static, F: LiftResults<R> + Send + 'static> Keep for Kept<R, F> {
    fn lift(
        &mut self,
        cx: &mut LiftContext<'_>,
        ty: FuncTypeIdx,
        max_flat: usize,
        src: &mut FlatReader<'_>,
    ) -> Result<()> {
        if let Some(lift) = self.lift.take() {
            self.value = Some(lift(cx, ty, max_flat, src)?);
        }
        Ok(())
    }

    fn end(self: Box<Self>, _: Result<()>) {}

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// A result for a future that waits for it.
pub(crate) struct Told<R, F> {
    slot: Arc<Slot<R>>,
    kept: Kept<R, F>,
}

impl<R: Send + 'static, F: LiftResults<R> + Send + 'static> Told<R, F> {
    pub(crate) fn boxed(slot: Arc<Slot<R>>, lift: F) -> Box<dyn Keep> {
        let kept = Kept {
            lift: Some(lift),
            value: None,
        };
        Box::new(Self { slot, kept })
    }
}

impl<R: Send + 'static, F: LiftResults<R> + Send + 'static> Keep for Told<R, F> {
    fn lift(
        &mut self,
        cx: &mut LiftContext<'_>,
        ty: FuncTypeIdx,
        max_flat: usize,
        src: &mut FlatReader<'_>,
    ) -> Result<()> {
        self.kept.lift(cx, ty, max_flat, src)
    }

    fn end(self: Box<Self>, result: Result<()>) {
        let value = self.kept.value;
        self.slot
            .put(result.and_then(|()| value.context(bug("a call returned without a result"))));
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

//! Items of streams and futures whose other end's isolate is parked: by way of host values.

use super::deliver::visit;
use crate::baton::Baton;
use crate::call::items::{self, CopyOptions};
use anyhow::Result;
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_core::abi::{Val, lift_val_list, lower_val_list};
use tidegate_core::runtime::{Copy, Lends};
use tidegate_engine::Cx;

/// How many items are in host memory at once.
const CHUNK: usize = 1024;

/// Performs a copy that a built-in with the options `own` asked for, whose isolate `cx` is. Gives how many bytes were moved.
pub(crate) fn pass(cx: &mut Cx<'_, Baton>, own: &CopyOptions, copy: &Copy) -> Result<u64> {
    let runtime = &mut **cx.data_mut();
    let current = own.options.isolate;
    let other;
    let (source, target) = if copy.source.buffer.options == own.number {
        other = runtime.copies.get(copy.target.buffer.options)?;
        (own, &*other)
    } else {
        other = runtime.copies.get(copy.source.buffer.options)?;
        (&*other, own)
    };
    let (from, to) = (source.options.isolate, target.options.isolate);
    let reachable = |isolate: usize| isolate == current || runtime.isolates[isolate].is_some();
    if source.element.is_none()
        || (reachable(from) && reachable(to) && (from == current || to == current))
    {
        return items::pass(cx, current, copy, source, target);
    }
    let (src, dst) = (
        items::start(&copy.source, source),
        items::start(&copy.target, target),
    );
    let (source_size, target_size) = (source.item_size(), target.item_size());
    let count = copy.count as usize;
    let mut done = 0;
    while done < count {
        let n = CHUNK.min(count - done);
        let vals = lift(cx, current, source, src + done * source_size, n)?;
        lower(cx, current, target, dst + done * target_size, vals)?;
        done += n;
    }
    Ok((count * source_size) as u64)
}

fn lift(
    cx: &mut Cx<'_, Baton>,
    current: usize,
    of: &CopyOptions,
    ptr: usize,
    n: usize,
) -> Result<Vec<Val>> {
    let lift = move |cx: &mut Cx<'_, Baton>, of: &CopyOptions| {
        let Some(element) = of.element else {
            return Ok(Vec::new());
        };
        of.options.lift(cx, &mut Lends::default(), None, |cx| {
            lift_val_list(cx, element, ptr, n)
        })
    };
    if of.options.isolate == current {
        return lift(cx, of);
    }
    let vals = Arc::new(Mutex::new(Vec::new()));
    let (told, moved) = (vals.clone(), of.clone());
    let isolate = of.options.isolate;
    visit(
        cx.data_mut(),
        isolate,
        Box::new(move |cx| {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = lift(cx, &moved)?;
            Ok(())
        }),
    )?;
    let mut vals = vals.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *vals))
}

fn lower(
    cx: &mut Cx<'_, Baton>,
    current: usize,
    of: &CopyOptions,
    ptr: usize,
    vals: Vec<Val>,
) -> Result<()> {
    let lower = move |cx: &mut Cx<'_, Baton>, of: &CopyOptions| {
        let Some(element) = of.element else {
            return Ok(());
        };
        of.options.lower(cx, None, &mut Lends::default(), |cx| {
            lower_val_list(&vals, cx, element, ptr)
        })
    };
    if of.options.isolate == current {
        return lower(cx, of);
    }
    let (moved, isolate) = (of.clone(), of.options.isolate);
    visit(
        cx.data_mut(),
        isolate,
        Box::new(move |cx| lower(cx, &moved)),
    )
}

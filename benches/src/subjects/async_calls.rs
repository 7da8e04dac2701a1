//! Guests call async functions, of the host and of other guests.

use super::rt::{
    Accessor, Args, Component, Linker, LinkerInstance, Result, Store, TypedFunc, engine, subject,
};
use crate::measure::Subject;
use crate::ways::Work;
use futures::executor::block_on;
use std::future::poll_fn;
use std::task::Poll;

/// What a function of the host does before it returns.
async fn done(work: Work) {
    if work == Work::Ready {
        return;
    }
    let mut ready = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut ready, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The record, as a tuple, which needs no name.
type Entry = (u64, f32, f32, bool);

/// Defines a function that gives a number.
fn define<A: Args>(
    root: &mut LinkerInstance<'_, ()>,
    work: Work,
    name: &str,
    number: impl Fn(A) -> u32 + Copy + Send + Sync + 'static,
) -> Result<()> {
    root.func_wrap_concurrent(name, move |_: &Accessor<()>, args: A| {
        Box::pin(async move {
            done(work).await;
            Ok((number(args),))
        })
    })?;
    Ok(())
}

/// An exported loop of calls, by name, with an argument's length where it has one.
pub fn guest_loop(bytes: &[u8], work: Work, name: &str, length: Option<usize>) -> Result<Subject> {
    let engine = engine()?;
    let component = Component::new(&engine, bytes)?;
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let mut root = linker.root();
    root.func_wrap_concurrent("work", move |_: &Accessor<()>, (): ()| {
        Box::pin(async move {
            done(work).await;
            Ok(())
        })
    })?;
    define(&mut root, work, "scalars", |(a, b): (u32, u64)| {
        a + b as u32
    })?;
    define(&mut root, work, "string", |(text,): (String,)| {
        text.len() as u32
    })?;
    define(&mut root, work, "bytes", |(list,): (Vec<u8>,)| {
        list.len() as u32
    })?;
    define(&mut root, work, "records", |(list,): (Vec<Entry>,)| {
        list.len() as u32
    })?;
    let instance = block_on(linker.instantiate_async(&mut store, &component))?;
    Ok(match length {
        None => {
            let func: TypedFunc<(u64,), (u64,)> = instance.get_typed_func(&mut store, name)?;
            subject(move |n| Ok(block_on(func.call_async(&mut store, (n,)))?.0))
        }
        Some(length) => {
            let length = length as u32;
            let func: TypedFunc<(u64, u32), (u64,)> = instance.get_typed_func(&mut store, name)?;
            subject(move |n| Ok(block_on(func.call_async(&mut store, (n, length)))?.0))
        }
    })
}

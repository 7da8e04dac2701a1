//! Guests call async functions, of the host and of other guests.

use super::rt::{Accessor, Component, Linker, Result, Store, TypedFunc, engine, subject};
use crate::measure::Subject;
use futures::executor::block_on;
use std::future::poll_fn;
use std::task::Poll;

/// What the host's function does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// It is ready at once.
    Ready,
    /// It waits once, and wakes at once.
    Waits,
}

async fn once() {
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

/// An exported loop of calls, by name.
pub fn guest_loop(bytes: &[u8], work: Work, name: &str) -> Result<Subject> {
    let engine = engine()?;
    let component = Component::new(&engine, bytes)?;
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker
        .root()
        .func_wrap_concurrent("work", move |_: &Accessor<()>, (): ()| {
            Box::pin(async move {
                if work == Work::Waits {
                    once().await;
                }
                Ok(())
            })
        })?;
    let instance = block_on(linker.instantiate_async(&mut store, &component))?;
    let func: TypedFunc<(u64,), (u64,)> = instance.get_typed_func(&mut store, name)?;
    Ok(subject(move |n| {
        Ok(block_on(func.call_async(&mut store, (n,)))?.0)
    }))
}

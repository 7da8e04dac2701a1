//! Guests call the host.

use super::rt::{
    Component, Engine, Linker, Resource, ResourceType, Result, Store, StoreContextMut, TypedFunc,
    engine, subject,
};
use crate::measure::Subject;
use futures::executor::block_on;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// How the host's functions are defined.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// As functions that never wait.
    Sync,
    /// As futures that are ready at once.
    Ready,
    /// As futures that wait once.
    Waits,
}

/// What stands behind the resource.
struct Thing;

/// A future that is not ready the first time, and wakes at once.
struct Once(bool);

impl Future for Once {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn linker(engine: &Engine, host: Host) -> Result<Linker<()>> {
    let mut linker = Linker::new(engine);
    let mut root = linker.root();
    match host {
        Host::Sync => root.func_wrap("empty", |_: StoreContextMut<'_, ()>, (): ()| Ok(()))?,
        Host::Ready => root.func_wrap_async("empty", |_: StoreContextMut<'_, ()>, (): ()| {
            Box::new(async { Ok(()) })
        })?,
        Host::Waits => root.func_wrap_async("empty", |_: StoreContextMut<'_, ()>, (): ()| {
            Box::new(async {
                Once(false).await;
                Ok(())
            })
        })?,
    }
    root.func_wrap(
        "scalars",
        |_: StoreContextMut<'_, ()>, (a, b): (u32, u64)| Ok((u64::from(a).wrapping_add(b),)),
    )?;
    root.func_wrap(
        "string",
        |_: StoreContextMut<'_, ()>, (text,): (String,)| Ok((text.len() as u32,)),
    )?;
    root.func_wrap(
        "bytes",
        |_: StoreContextMut<'_, ()>, (list,): (Vec<u8>,)| Ok((list.len() as u32,)),
    )?;
    root.resource("thing", ResourceType::host::<Thing>(), |_, _| Ok(()))?;
    root.func_wrap(
        "[constructor]thing",
        |_: StoreContextMut<'_, ()>, (): ()| Ok((Resource::<Thing>::new_own(5),)),
    )?;
    root.func_wrap(
        "[method]thing.get",
        |_: StoreContextMut<'_, ()>, (thing,): (Resource<Thing>,)| Ok((thing.rep(),)),
    )?;
    Ok(linker)
}

/// Instantiation of what imports functions, in a store of its own, and its end.
pub fn instantiate(bytes: &[u8]) -> Result<Subject> {
    let engine = engine()?;
    let component = Component::new(&engine, bytes)?;
    let pre = linker(&engine, Host::Sync)?.instantiate_pre(&component)?;
    Ok(subject(move |n| {
        for _ in 0..n {
            let mut store = Store::new(&engine, ());
            pre.instantiate(&mut store)?;
        }
        Ok(n)
    }))
}

/// An exported loop of calls to the host, by name, with an argument's length where it has one.
pub fn guest_loop(bytes: &[u8], host: Host, name: &str, length: Option<u32>) -> Result<Subject> {
    let engine = engine()?;
    let component = Component::new(&engine, bytes)?;
    let mut store = Store::new(&engine, ());
    let linker = linker(&engine, host)?;
    let instance = block_on(linker.instantiate_async(&mut store, &component))?;
    Ok(match length {
        None => {
            let func: TypedFunc<(u64,), (u64,)> = instance.get_typed_func(&mut store, name)?;
            if host == Host::Sync {
                subject(move |n| Ok(func.call(&mut store, (n,))?.0))
            } else {
                subject(move |n| Ok(block_on(func.call_async(&mut store, (n,)))?.0))
            }
        }
        Some(length) => {
            let func: TypedFunc<(u64, u32), (u64,)> = instance.get_typed_func(&mut store, name)?;
            subject(move |n| Ok(func.call(&mut store, (n, length))?.0))
        }
    })
}

//! Guests call the host.

use super::rt::{
    Args, Component, Engine, Linker, LinkerInstance, Resource, ResourceType, Result, Store,
    StoreContextMut, TypedFunc, engine, subject,
};
use crate::measure::Subject;
use crate::ways::Host;
use futures::executor::block_on;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

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

/// The record, as a tuple, which needs no name.
type Entry = (u64, f32, f32, bool);

/// Defines a function that gives a number.
fn define<A: Args>(
    root: &mut LinkerInstance<'_, ()>,
    host: Host,
    name: &str,
    number: impl Fn(A) -> u32 + Copy + Send + Sync + 'static,
) -> Result<()> {
    match host {
        Host::Sync => root.func_wrap(name, move |_: StoreContextMut<'_, ()>, args: A| {
            Ok((number(args),))
        })?,
        Host::Ready => root.func_wrap_async(name, move |_: StoreContextMut<'_, ()>, args: A| {
            Box::new(async move { Ok((number(args),)) })
        })?,
        Host::Waits => root.func_wrap_async(name, move |_: StoreContextMut<'_, ()>, args: A| {
            Box::new(async move {
                Once(false).await;
                Ok((number(args),))
            })
        })?,
    }
    Ok(())
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
    define(&mut root, host, "string", |(text,): (String,)| {
        text.len() as u32
    })?;
    define(&mut root, host, "bytes", |(list,): (Vec<u8>,)| {
        list.len() as u32
    })?;
    define(&mut root, host, "records", |(list,): (Vec<Entry>,)| {
        list.len() as u32
    })?;
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
pub fn guest_loop(bytes: &[u8], host: Host, name: &str, length: Option<usize>) -> Result<Subject> {
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
            let length = length as u32;
            let func: TypedFunc<(u64, u32), (u64,)> = instance.get_typed_func(&mut store, name)?;
            if host == Host::Sync {
                subject(move |n| Ok(func.call(&mut store, (n, length))?.0))
            } else {
                subject(move |n| Ok(block_on(func.call_async(&mut store, (n, length)))?.0))
            }
        }
    })
}

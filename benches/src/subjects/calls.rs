//! The host calls guests.

use super::rt::{Component, Engine, Entry, Linker, Result, Store, TypedFunc, engine, subject};
use crate::measure::Subject;
use futures::executor::block_on;

/// An instance, and the store it lives in.
struct Guest {
    store: Store<()>,
    instance: super::rt::Instance,
}

impl Guest {
    fn new(bytes: &[u8]) -> Result<Self> {
        let engine: Engine = engine()?;
        let component = Component::new(&engine, bytes)?;
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
        Ok(Self { store, instance })
    }
}

macro_rules! func {
    ($guest:ident, $name:literal, $params:ty, $results:ty) => {{
        let func: TypedFunc<$params, $results> =
            $guest.instance.get_typed_func(&mut $guest.store, $name)?;
        func
    }};
}

/// No parameters, no results.
pub fn empty(bytes: &[u8]) -> Result<Subject> {
    let mut guest = Guest::new(bytes)?;
    let func = func!(guest, "empty", (), ());
    Ok(subject(move |n| {
        for _ in 0..n {
            func.call(&mut guest.store, ())?;
        }
        Ok(n)
    }))
}

/// The same by `call_async`.
pub fn empty_async(bytes: &[u8]) -> Result<Subject> {
    let mut guest = Guest::new(bytes)?;
    let func = func!(guest, "empty", (), ());
    Ok(subject(move |n| {
        block_on(async {
            for _ in 0..n {
                func.call_async(&mut guest.store, ()).await?;
            }
            Ok(n)
        })
    }))
}

/// An async function, by name, with `call_async`.
pub fn empty_async_lift(bytes: &[u8], name: &str) -> Result<Subject> {
    let mut guest = Guest::new(bytes)?;
    let func: TypedFunc<(), ()> = guest.instance.get_typed_func(&mut guest.store, name)?;
    Ok(subject(move |n| {
        block_on(async {
            for _ in 0..n {
                func.call_async(&mut guest.store, ()).await?;
            }
            Ok(n)
        })
    }))
}

/// Four numbers in, one out.
pub fn scalars(bytes: &[u8]) -> Result<Subject> {
    let mut guest = Guest::new(bytes)?;
    let func = func!(guest, "scalars", (u32, u64, f32, f64), (u64,));
    Ok(subject(move |n| {
        let mut sum = 0u64;
        for i in 0..n {
            sum = sum.wrapping_add(func.call(&mut guest.store, (7, i, 0.5, 0.25))?.0);
        }
        Ok(sum)
    }))
}

/// A string in.
pub fn take_string(bytes: &[u8], length: usize) -> Result<Subject> {
    let mut guest = Guest::new(bytes)?;
    let func = func!(guest, "take-string", (&'static str,), (u32,));
    // The function's type names one lifetime for all calls.
    let text: &'static str = "x".repeat(length).leak();
    Ok(subject(move |n| {
        let mut sum = 0;
        for _ in 0..n {
            sum += u64::from(func.call(&mut guest.store, (text,))?.0);
        }
        Ok(sum)
    }))
}

/// Bytes in.
pub fn take_bytes(bytes: &[u8], length: usize) -> Result<Subject> {
    let mut guest = Guest::new(bytes)?;
    let func = func!(guest, "take-bytes", (&'static [u8],), (u32,));
    let list: &'static [u8] = vec![3; length].leak();
    Ok(subject(move |n| {
        let mut sum = 0;
        for _ in 0..n {
            sum += u64::from(func.call(&mut guest.store, (list,))?.0);
        }
        Ok(sum)
    }))
}

/// Records in.
pub fn take_records(bytes: &[u8], length: usize) -> Result<Subject> {
    let mut guest = Guest::new(bytes)?;
    let func = func!(guest, "take-records", (&'static [Entry],), (u32,));
    let entry = |id| Entry {
        id,
        x: 1.0,
        y: 2.0,
        on: true,
    };
    let list: &'static [Entry] = (0..length as u64).map(entry).collect::<Vec<_>>().leak();
    Ok(subject(move |n| {
        let mut sum = 0;
        for _ in 0..n {
            sum += u64::from(func.call(&mut guest.store, (list,))?.0);
        }
        Ok(sum)
    }))
}

/// A string out.
pub fn give_string(bytes: &[u8], length: u32) -> Result<Subject> {
    let mut guest = Guest::new(bytes)?;
    let func = func!(guest, "give-string", (u32,), (String,));
    Ok(subject(move |n| {
        let mut sum = 0;
        for _ in 0..n {
            sum += func.call(&mut guest.store, (length,))?.0.len() as u64;
        }
        Ok(sum)
    }))
}

/// Bytes out.
pub fn give_bytes(bytes: &[u8], length: u32) -> Result<Subject> {
    let mut guest = Guest::new(bytes)?;
    let func = func!(guest, "give-bytes", (u32,), (Vec<u8>,));
    Ok(subject(move |n| {
        let mut sum = 0;
        for _ in 0..n {
            sum += func.call(&mut guest.store, (length,))?.0.len() as u64;
        }
        Ok(sum)
    }))
}

/// Records out.
pub fn give_records(bytes: &[u8], length: u32) -> Result<Subject> {
    let mut guest = Guest::new(bytes)?;
    let func = func!(guest, "give-records", (u32,), (Vec<Entry>,));
    Ok(subject(move |n| {
        let mut sum = 0;
        for _ in 0..n {
            sum += func
                .call(&mut guest.store, (length,))?
                .0
                .iter()
                .map(|entry| entry.id + u64::from(entry.on))
                .sum::<u64>()
                + 1;
        }
        Ok(sum)
    }))
}

/// An exported loop of calls from guest to guest, by name, with an argument's length where it has one.
pub fn guest_loop(bytes: &[u8], name: &str, length: Option<u32>) -> Result<Subject> {
    let mut guest = Guest::new(bytes)?;
    Ok(match length {
        None => {
            let func: TypedFunc<(u64,), (u64,)> =
                guest.instance.get_typed_func(&mut guest.store, name)?;
            subject(move |n| Ok(func.call(&mut guest.store, (n,))?.0))
        }
        Some(length) => {
            let func: TypedFunc<(u64, u32), (u64,)> =
                guest.instance.get_typed_func(&mut guest.store, name)?;
            subject(move |n| Ok(func.call(&mut guest.store, (n, length))?.0))
        }
    })
}

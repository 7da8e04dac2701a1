//! The host calls guests.

use super::rt::{
    Component, Engine, Entry, Linker, Params, Result, Results, Store, TypedFunc, engine, subject,
};
use crate::measure::Subject;
use crate::ways::Lifted;
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

/// Calls of a function, each with what `params` gives for its number; `sum` makes a number of a result.
fn calls<P: Params, R: Results>(
    bytes: &[u8],
    lifted: Lifted,
    name: &str,
    params: impl Fn(u64) -> P + 'static,
    sum: impl Fn(R) -> u64 + 'static,
) -> Result<Subject> {
    let Guest {
        mut store,
        instance,
    } = Guest::new(bytes)?;
    let func: TypedFunc<P, R> = instance.get_typed_func(&mut store, &*lifted.name(name))?;
    if lifted == Lifted::Sync {
        return Ok(subject(move |n| {
            let mut total = 0u64;
            for i in 0..n {
                total = total.wrapping_add(sum(func.call(&mut store, params(i))?));
            }
            Ok(total)
        }));
    }
    Ok(subject(move |n| {
        block_on(async {
            let mut total = 0u64;
            for i in 0..n {
                let result = func.call_async(&mut store, params(i)).await?;
                total = total.wrapping_add(sum(result));
            }
            Ok(total)
        })
    }))
}

/// No parameters, no results.
pub fn empty(bytes: &[u8], lifted: Lifted) -> Result<Subject> {
    calls(bytes, lifted, "empty", |_| (), |()| 1)
}

/// Four numbers in, one out.
pub fn scalars(bytes: &[u8], lifted: Lifted) -> Result<Subject> {
    let params = |i| (7u32, i, 0.5f32, 0.25f64);
    calls(bytes, lifted, "scalars", params, |(sum,): (u64,)| sum)
}

/// A value in, of which the guest gives a number.
fn take<V: Clone>(bytes: &[u8], lifted: Lifted, name: &str, value: V) -> Result<Subject>
where
    (V,): Params,
{
    let params = move |_| (value.clone(),);
    calls(bytes, lifted, name, params, |(sum,): (u32,)| sum.into())
}

/// A string in.
pub fn take_string(bytes: &[u8], lifted: Lifted, length: usize) -> Result<Subject> {
    // The function's type names one lifetime for all calls; so with the others.
    let text: &'static str = "x".repeat(length).leak();
    take(bytes, lifted, "take-string", text)
}

/// Bytes in.
pub fn take_bytes(bytes: &[u8], lifted: Lifted, length: usize) -> Result<Subject> {
    let list: &'static [u8] = vec![3; length].leak();
    take(bytes, lifted, "take-bytes", list)
}

/// Records in.
pub fn take_records(bytes: &[u8], lifted: Lifted, length: usize) -> Result<Subject> {
    let entry = |id| Entry {
        id,
        x: 1.0,
        y: 2.0,
        on: true,
    };
    let list: &'static [Entry] = (0..length as u64).map(entry).collect::<Vec<_>>().leak();
    take(bytes, lifted, "take-records", list)
}

/// A string out.
pub fn give_string(bytes: &[u8], lifted: Lifted, length: u32) -> Result<Subject> {
    let sum = |(text,): (String,)| text.len() as u64;
    calls(bytes, lifted, "give-string", move |_| (length,), sum)
}

/// Bytes out.
pub fn give_bytes(bytes: &[u8], lifted: Lifted, length: u32) -> Result<Subject> {
    let sum = |(list,): (Vec<u8>,)| list.len() as u64;
    calls(bytes, lifted, "give-bytes", move |_| (length,), sum)
}

/// Records out.
pub fn give_records(bytes: &[u8], lifted: Lifted, length: u32) -> Result<Subject> {
    let number = |entry: &Entry| entry.id + u64::from(entry.on);
    let sum = move |(list,): (Vec<Entry>,)| list.iter().map(number).sum::<u64>() + 1;
    calls(bytes, lifted, "give-records", move |_| (length,), sum)
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

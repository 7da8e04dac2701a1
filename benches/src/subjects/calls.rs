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

/// Values of a kind in, of which the guest gives a number.
pub fn take(bytes: &[u8], lifted: Lifted, kind: &str, length: usize) -> Result<Subject> {
    // The functions' types name one lifetime for all calls, hence what is leaked.
    match kind {
        "string" => take_value(bytes, lifted, kind, &*"x".repeat(length).leak()),
        "bytes" => take_value(bytes, lifted, kind, &*vec![3u8; length].leak()),
        _ => {
            let entry = |id| Entry {
                id,
                x: 1.0,
                y: 2.0,
                on: true,
            };
            let entries = (0..length as u64).map(entry).collect::<Vec<_>>();
            take_value(bytes, lifted, kind, &*entries.leak())
        }
    }
}

fn take_value<V: Clone>(bytes: &[u8], lifted: Lifted, kind: &str, value: V) -> Result<Subject>
where
    (V,): Params,
{
    let (name, params) = (format!("take-{kind}"), move |_| (value.clone(),));
    calls(bytes, lifted, &name, params, |(sum,): (u32,)| sum.into())
}

/// Values of a kind out.
pub fn give(bytes: &[u8], lifted: Lifted, kind: &str, length: usize) -> Result<Subject> {
    let (name, params) = (format!("give-{kind}"), move |_| (length as u32,));
    match kind {
        "string" => {
            let sum = |(text,): (String,)| text.len() as u64;
            calls(bytes, lifted, &name, params, sum)
        }
        "bytes" => {
            let sum = |(list,): (Vec<u8>,)| list.len() as u64;
            calls(bytes, lifted, &name, params, sum)
        }
        _ => {
            let number = |entry: &Entry| entry.id + u64::from(entry.on);
            let sum = move |(list,): (Vec<Entry>,)| list.iter().map(number).sum::<u64>() + 1;
            calls(bytes, lifted, &name, params, sum)
        }
    }
}

/// An exported loop of calls from guest to guest, by name, with an argument's length where it has one.
pub fn guest_loop(bytes: &[u8], name: &str, length: Option<usize>) -> Result<Subject> {
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
            subject(move |n| Ok(func.call(&mut guest.store, (n, length as u32))?.0))
        }
    })
}

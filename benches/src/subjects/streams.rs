//! Items move between the host and guests, and between guests.

use super::rt::{
    Component, Destination, Engine, FutureConsumer, FutureReader, Instance, Linker, Result, Source,
    Store, StoreContextMut, StreamConsumer, StreamProducer, StreamReader, StreamResult, TypedFunc,
    VecBuffer, engine, subject, with,
};
use crate::measure::Subject;
use crate::ways::Flow;
use futures::channel::oneshot;
use futures::executor::block_on;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The record that streams carry.
type Entry = (u64, f32, f32, bool);

const ENTRY: Entry = (3, 0.5, 0.25, true);

/// Not ready every other time, and then wakes at once.
struct Turns {
    waits: bool,
    waited: bool,
}

impl Turns {
    fn new(waits: bool) -> Self {
        Self {
            waits,
            waited: false,
        }
    }

    fn waits(&mut self, cx: &mut Context<'_>) -> bool {
        self.waited = self.waits && !self.waited;
        if self.waited {
            cx.waker().wake_by_ref();
        }
        self.waited
    }
}

/// Produces the same bytes again and again.
struct Bytes {
    flow: Flow,
    turns: Turns,
    bytes: Vec<u8>,
    /// How often.
    left: u64,
}

impl Bytes {
    fn new(flow: Flow, times: u64) -> Self {
        Self {
            flow,
            turns: Turns::new(flow.waits),
            bytes: vec![7; flow.chunk],
            left: times,
        }
    }
}

impl StreamProducer<u64> for Bytes {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, u64>,
        mut destination: Destination<'a, u8, VecBuffer<u8>>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let me = &mut *self;
        if me.left == 0 {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        if me.turns.waits(cx) {
            return Poll::Pending;
        }
        me.left -= 1;
        if me.flow.direct {
            let mut direct = destination.as_direct(store, me.bytes.len());
            let room = direct.remaining();
            let count = room.len();
            room.copy_from_slice(&me.bytes[..count]);
            direct.mark_written(count);
        } else {
            destination.set_buffer(me.bytes.clone().into());
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// Produces the same records again and again.
struct Entries {
    turns: Turns,
    entries: Vec<Entry>,
}

impl StreamProducer<u64> for Entries {
    type Item = Entry;
    type Buffer = VecBuffer<Entry>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: StoreContextMut<'a, u64>,
        mut destination: Destination<'a, Entry, VecBuffer<Entry>>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        if self.turns.waits(cx) {
            return Poll::Pending;
        }
        destination.set_buffer(self.entries.clone().into());
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// Copies bytes to a place of its own. Tells when it is dropped.
struct CopyBytes {
    flow: Flow,
    turns: Turns,
    bytes: Vec<u8>,
    _dropped: Option<oneshot::Sender<()>>,
}

impl CopyBytes {
    fn new(flow: Flow, dropped: Option<oneshot::Sender<()>>) -> Self {
        Self {
            flow,
            turns: Turns::new(flow.waits),
            bytes: vec![0; flow.chunk],
            _dropped: dropped,
        }
    }
}

impl StreamConsumer<u64> for CopyBytes {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, u64>,
        mut source: Source<'_, u8>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let me = &mut *self;
        if me.turns.waits(cx) {
            return Poll::Pending;
        }
        *store.data_mut() += 1;
        if me.flow.direct {
            let mut direct = source.as_direct(store);
            let bytes = direct.remaining();
            let count = bytes.len();
            me.bytes[..count].copy_from_slice(bytes);
            direct.mark_read(count);
        } else {
            me.bytes.clear();
            source.read(store, &mut me.bytes)?;
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// Takes records.
struct TakeEntries {
    turns: Turns,
    entries: Vec<Entry>,
}

impl StreamConsumer<u64> for TakeEntries {
    type Item = Entry;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, u64>,
        mut source: Source<'_, Entry>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        if self.turns.waits(cx) {
            return Poll::Pending;
        }
        self.entries.clear();
        source.read(&mut store, &mut self.entries)?;
        *store.data_mut() += self.entries.iter().map(|entry| entry.0).sum::<u64>();
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// A function that reads or writes so many times in chunks.
type Run = TypedFunc<(u32, u32), (u64,)>;

struct Guest {
    store: Store<u64>,
    instances: Vec<Instance>,
}

impl Guest {
    fn new(bytes: &[u8], instances: usize) -> Result<Self> {
        let engine: Engine = engine()?;
        let component = Component::new(&engine, bytes)?;
        let mut store = Store::new(&engine, 0);
        let linker = Linker::new(&engine);
        let instances = (0..instances)
            .map(|_| block_on(linker.instantiate_async(&mut store, &component)))
            .collect::<Result<_>>()?;
        Ok(Self { store, instances })
    }

    fn run(&mut self, instance: usize, name: &str) -> Result<Run> {
        self.instances[instance].get_typed_func(&mut self.store, name)
    }

    /// Passes a stream of bytes to the guest that reads.
    fn add(&mut self, instance: usize, reader: StreamReader<u8>) -> Result<()> {
        let add: TypedFunc<(StreamReader<u8>,), ()> =
            self.instances[instance].get_typed_func(&mut self.store, "add-bytes")?;
        block_on(add.call_async(&mut self.store, (reader,)))
    }

    /// Has the guest that writes open a stream of bytes.
    fn open(&mut self, instance: usize) -> Result<StreamReader<u8>> {
        let open: TypedFunc<(), (StreamReader<u8>,)> =
            self.instances[instance].get_typed_func(&mut self.store, "open-bytes")?;
        Ok(block_on(open.call_async(&mut self.store, ()))?.0)
    }

    /// A subject that has the guest read or write, and adds what the host has seen.
    fn subject(mut self, name: &str, chunk: usize) -> Result<Subject> {
        let run = self.run(0, name)?;
        Ok(subject(move |n| {
            let before = *self.store.data();
            let (sum,) = block_on(run.call_async(&mut self.store, (n as u32, chunk as u32)))?;
            Ok(sum + self.store.data() - before)
        }))
    }
}

/// The host produces bytes, a guest reads them.
pub fn host_to_guest(bytes: &[u8], flow: Flow) -> Result<Subject> {
    let mut guest = Guest::new(bytes, 1)?;
    for _ in 0..flow.streams {
        let reader = StreamReader::new(&mut guest.store, Bytes::new(flow, u64::MAX))?;
        guest.add(0, reader)?;
    }
    guest.subject("read-bytes", flow.chunk)
}

/// A guest writes bytes, the host consumes them.
pub fn guest_to_host(bytes: &[u8], flow: Flow) -> Result<Subject> {
    let mut guest = Guest::new(bytes, 1)?;
    for _ in 0..flow.streams {
        let reader = guest.open(0)?;
        reader.pipe(&mut guest.store, CopyBytes::new(flow, None))?;
    }
    guest.subject("write-bytes", flow.chunk)
}

/// The host produces records, a guest reads them.
pub fn entries_to_guest(bytes: &[u8], chunk: usize) -> Result<Subject> {
    let mut guest = Guest::new(bytes, 1)?;
    let producer = Entries {
        turns: Turns::new(false),
        entries: vec![ENTRY; chunk],
    };
    let reader = StreamReader::new(&mut guest.store, producer)?;
    let add: TypedFunc<(StreamReader<Entry>,), ()> =
        guest.instances[0].get_typed_func(&mut guest.store, "add-entries")?;
    block_on(add.call_async(&mut guest.store, (reader,)))?;
    guest.subject("read-entries", chunk)
}

/// A guest writes records, the host consumes them.
pub fn entries_to_host(bytes: &[u8], chunk: usize) -> Result<Subject> {
    let mut guest = Guest::new(bytes, 1)?;
    let open: TypedFunc<(), (StreamReader<Entry>,)> =
        guest.instances[0].get_typed_func(&mut guest.store, "open-entries")?;
    let (reader,) = block_on(open.call_async(&mut guest.store, ()))?;
    let consumer = TakeEntries {
        turns: Turns::new(false),
        entries: Vec::with_capacity(chunk),
    };
    reader.pipe(&mut guest.store, consumer)?;
    guest.subject("write-entries", chunk)
}

/// A guest writes bytes, another one reads them.
pub fn guest_to_guest(bytes: &[u8], chunk: usize, streams: usize) -> Result<Subject> {
    let mut guest = Guest::new(bytes, 2)?;
    for _ in 0..streams {
        let reader = guest.open(0)?;
        guest.add(1, reader)?;
    }
    guest.both("write-bytes", "read-bytes", chunk)
}

/// A guest writes records, another one reads them.
pub fn entries_to_other_guest(bytes: &[u8], chunk: usize) -> Result<Subject> {
    let mut guest = Guest::new(bytes, 2)?;
    let open: TypedFunc<(), (StreamReader<Entry>,)> =
        guest.instances[0].get_typed_func(&mut guest.store, "open-entries")?;
    let (reader,) = block_on(open.call_async(&mut guest.store, ()))?;
    let add: TypedFunc<(StreamReader<Entry>,), ()> =
        guest.instances[1].get_typed_func(&mut guest.store, "add-entries")?;
    block_on(add.call_async(&mut guest.store, (reader,)))?;
    guest.both("write-entries", "read-entries", chunk)
}

impl Guest {
    /// A subject that has one guest write while the other one reads.
    fn both(mut self, write: &str, read: &str, chunk: usize) -> Result<Subject> {
        let (write, read) = (self.run(0, write)?, self.run(1, read)?);
        Ok(subject(move |n| {
            let params = (n as u32, chunk as u32);
            let (written, read) = block_on(self.store.run_concurrent(async |accessor| {
                futures::join!(
                    write.call_concurrent(accessor, params),
                    read.call_concurrent(accessor, params)
                )
            }))?;
            Ok(written?.0 + read?.0)
        }))
    }
}

/// A guest passes a stream of the host's on to the host.
pub fn forwarded(bytes: &[u8], flow: Flow) -> Result<Subject> {
    let mut guest = Guest::new(bytes, 1)?;
    let forward: TypedFunc<(StreamReader<u8>,), (StreamReader<u8>,)> =
        guest.instances[0].get_typed_func(&mut guest.store, "forward")?;
    Ok(subject(move |n| {
        let store = &mut guest.store;
        let reader = StreamReader::new(&mut *store, Bytes::new(flow, n))?;
        let (reader,) = block_on(forward.call_async(&mut *store, (reader,)))?;
        let (dropped, is_dropped) = oneshot::channel();
        reader.pipe(&mut *store, CopyBytes::new(flow, Some(dropped)))?;
        block_on(store.run_concurrent(async |_| is_dropped.await.is_err()))?;
        Ok(n)
    }))
}

/// Gives a future's value on.
struct Take(Option<oneshot::Sender<u32>>);

impl FutureConsumer<u64> for Take {
    type Item = u32;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, u64>,
        mut source: Source<'_, u32>,
        _: bool,
    ) -> Poll<Result<()>> {
        let mut value = None;
        source.read(store, &mut value)?;
        if let (Some(taker), Some(value)) = (self.0.take(), value) {
            let _ = taker.send(value);
        }
        Poll::Ready(Ok(()))
    }
}

/// The host gives a guest a future of a value, and gets the value back by a future of the guest's.
pub fn future_round_trip(bytes: &[u8]) -> Result<Subject> {
    let mut guest = Guest::new(bytes, 1)?;
    let echo: TypedFunc<(FutureReader<u32>,), (FutureReader<u32>,)> =
        guest.instances[0].get_typed_func(&mut guest.store, "echo")?;
    Ok(subject(move |n| {
        block_on(guest.store.run_concurrent(async |accessor| {
            let mut sum = 0;
            for i in 0..n {
                let value = std::future::ready(Result::<u32>::Ok(i as u32));
                let there = with(accessor, |access| FutureReader::new(access, value))?;
                let (back,) = echo.call_concurrent(accessor, (there,)).await?;
                let (taker, taken) = oneshot::channel();
                with(accessor, |access| back.pipe(access, Take(Some(taker))))?;
                sum += u64::from(taken.await.unwrap_or_default());
            }
            Ok(sum)
        }))?
    }))
}

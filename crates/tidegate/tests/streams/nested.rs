//! Producers and consumers that use the store while they are called.

use crate::guest::{BLOCKED, Guest, completed, dropped, each, engines};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tidegate::stream::{Destination, Source, StreamConsumer, StreamProducer, StreamResult};
use tidegate::{
    AsContextMut, Component, Instance, Linker, Result, Store, StoreContextMut, StreamReader,
};

type Act =
    Box<dyn FnMut(StoreContextMut<'_, Vec<Instance>>, &mut Context<'_>) -> Result<()> + Send>;

/// Does something with the store, then gives two bytes or takes what there is.
struct Busy(Act);

impl StreamProducer<Vec<Instance>> for Busy {
    type Item = u8;
    type Buffer = Vec<u8>;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, Vec<Instance>>,
        mut destination: Destination<'_, u8, Vec<u8>>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        (self.0)(store, cx)?;
        destination.set_buffer(b"ab".to_vec());
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl StreamConsumer<Vec<Instance>> for Busy {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, Vec<Instance>>,
        mut source: Source<'_, u8>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        (self.0)(store.as_context_mut(), cx)?;
        source.read(&mut store, &mut Vec::with_capacity(9))?;
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

fn call(store: &mut StoreContextMut<'_, Vec<Instance>>, at: usize, name: &str) -> Result<u32> {
    let instance = store.data()[at].clone();
    let func = instance.get_typed_func::<(), (u32,)>(&mut *store, name)?;
    Ok(func.call(&mut *store, ())?.0)
}

fn guests(test: impl Fn(Guest<Vec<Instance>>)) {
    each("u8", Vec::new, |mut guest| {
        let instance = guest.instance.clone();
        guest.store.data_mut().push(instance);
        test(guest);
    });
}

#[test]
fn the_guest_that_is_served_cannot_be_entered() {
    guests(|mut guest| {
        let act: Act = Box::new(|mut store, _| {
            let error = call(&mut store, 0, "cancel-read").unwrap_err();
            assert!(format!("{error:#}").contains("is running"), "{error:#}");
            Ok(())
        });
        let reader = StreamReader::new(&mut guest.store, Busy(act)).unwrap();
        guest.give(reader).unwrap();
        assert_eq!(guest.read(4).unwrap(), completed(2));
        assert_eq!(guest.data::<u8>(2), b"ab");
    });
}

#[test]
fn other_guests_can() {
    guests(|mut guest| {
        let text = include_str!("guest.wat").replace("ITEM", "u8");
        let component = Component::new(guest.store.engine(), text).unwrap();
        let linker = Linker::new(guest.store.engine());
        let second = linker.instantiate(&mut guest.store, &component).unwrap();
        guest.store.data_mut().push(second.clone());
        // The second reads from a stream of the host's of its own, within the call for the first.
        let inner = StreamReader::new(&mut guest.store, b"xyz".to_vec()).unwrap();
        let give = second
            .get_typed_func::<(StreamReader<u8>,), ()>(&mut guest.store, "give")
            .unwrap();
        give.call(&mut guest.store, (inner,)).unwrap();
        let act: Act = Box::new(|mut store, _| {
            let second = store.data()[1].clone();
            let read = second.get_typed_func::<(u32,), (u32,)>(&mut store, "read")?;
            assert_eq!(read.call(&mut store, (2,))?.0, completed(2));
            Ok(())
        });
        let reader = guest.make::<StreamReader<u8>>().unwrap();
        reader.pipe(&mut guest.store, Busy(act)).unwrap();
        assert_eq!(guest.write(b"abc".to_vec()).unwrap(), completed(3));
    });
}

#[test]
fn a_call_that_is_dropped_within_ends_the_guest_that_is_served() {
    guests(|mut guest| {
        let text = include_str!("guest.wat").replace("ITEM", "u8");
        let component = Component::new(guest.store.engine(), text).unwrap();
        let linker = Linker::new(guest.store.engine());
        let second = linker.instantiate(&mut guest.store, &component).unwrap();
        guest.store.data_mut().push(second);
        let act: Act = Box::new(|mut store, _| {
            let second = store.data()[1].clone();
            let wait = second.get_typed_func::<(), (u32,)>(&mut store, "wait-read")?;
            let mut call = Box::pin(wait.call_async(&mut store, ()));
            // It waits for ever, or fails: either way it is given up.
            let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            Ok(())
        });
        let reader = StreamReader::new(&mut guest.store, Busy(act)).unwrap();
        guest.give(reader).unwrap();
        // It may be served or not; the store stays usable.
        let _ = guest.read(4);
        let again = linker.instantiate(&mut guest.store, &component).unwrap();
        guest.instance = again;
        let reader = StreamReader::new(&mut guest.store, b"abc".to_vec()).unwrap();
        guest.give(reader).unwrap();
        assert_eq!(guest.read(4).unwrap(), dropped(3));
    });
}

#[test]
fn a_store_is_dropped_while_its_streams_wait() {
    for engine in engines() {
        let mut guest: Guest<Vec<Instance>> = Guest::new(&engine, "u8", Vec::new());
        let (sender, producer) = tidegate::stream::ready::producer_channel::<u8>(1);
        let reader = StreamReader::new(&mut guest.store, producer).unwrap();
        guest.give(reader).unwrap();
        assert_eq!(guest.read(4).unwrap(), BLOCKED);
        let store: Store<Vec<Instance>> = guest.store;
        drop(store);
        assert!(sender.is_closed());
    }
}

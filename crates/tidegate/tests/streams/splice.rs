//! Items between two ends of the host.

use crate::guest::{Guest, bytes, each};
use crate::script::{Act, COMPLETED, DROPPED, PENDING, script};
use std::collections::VecDeque;
use tidegate::stream::ready::{
    FromAsyncRead, FromStream, consumer_channel, oneshot, producer_channel,
};
use tidegate::{FutureReader, Result, StreamReader, block_on};

/// Lets the host's work go on.
fn drive(guest: &mut Guest<()>) {
    // A read that waits drives the store; its producer answers once the others have been polled.
    let (script, watch) = script([Act::Say(PENDING)]);
    let reader = StreamReader::new(&mut guest.store, script).unwrap();
    guest.give(reader).unwrap();
    guest.read(1).unwrap();
    watch.wake_to(Act::Say(DROPPED));
    guest.wait_read().unwrap();
    guest.drop_readable().unwrap();
}

#[test]
fn a_reader_that_never_met_a_guest_is_piped() {
    bytes(|mut guest| {
        let reader = StreamReader::new(&mut guest.store, b"hello".to_vec()).unwrap();
        let (script, watch) = script([Act::Take(2, COMPLETED), Act::TakeDirect(9, COMPLETED)]);
        reader.pipe(&mut guest.store, script).unwrap();
        drive(&mut guest);
        assert_eq!(watch.taken(), b"hello");
        assert!(watch.dropped(), "there is no more");
        assert_eq!(watch.calls(), [(5, false), (3, false)]);
    });
}

#[test]
fn a_reader_that_a_guest_passes_on_is_piped_past_it() {
    bytes(|mut guest| {
        let (producer, made) = script([
            Act::Direct(b"abc", COMPLETED),
            Act::Buffer(b"def", COMPLETED),
            Act::Say(DROPPED),
        ]);
        let reader = StreamReader::new(&mut guest.store, producer).unwrap();
        guest.give(reader).unwrap();
        let reader: StreamReader<u8> = guest.take_back().unwrap();
        let (consumer, watch) = script([
            Act::TakeDirect(2, PENDING),
            Act::TakeDirect(9, COMPLETED),
            Act::Take(9, COMPLETED),
        ]);
        reader.pipe(&mut guest.store, consumer).unwrap();
        drive(&mut guest);
        assert_eq!(watch.taken(), b"ab");
        assert_eq!(made.calls().len(), 1, "held back");
        watch.wake();
        drive(&mut guest);
        assert_eq!(watch.taken(), b"cdef");
        assert!(watch.dropped() && made.dropped());
    });
}

#[test]
fn a_breach_between_two_ends_of_the_host_ends_both() {
    bytes(|mut guest| {
        for (makes, takes) in [
            (Act::Buffer(b"a", PENDING), Act::Take(1, COMPLETED)),
            (Act::Overrun(1), Act::Take(1, COMPLETED)),
            (Act::Buffer(b"a", COMPLETED), Act::Say(COMPLETED)),
            (Act::Buffer(b"a", COMPLETED), Act::Overrun(1)),
            (Act::Fail, Act::Take(1, COMPLETED)),
        ] {
            let (producer, made) = script([makes]);
            let (consumer, taken) = script([takes]);
            let reader = StreamReader::new(&mut guest.store, producer).unwrap();
            reader.pipe(&mut guest.store, consumer).unwrap();
            drive(&mut guest);
            assert!(made.dropped() && taken.dropped());
        }
        // No guest is concerned.
        assert_eq!(guest.data::<u8>(0), b"");
    });
}

#[test]
fn items_of_any_type_go_from_channel_to_channel() {
    bytes(|mut guest| {
        let (mut sender, producer) = producer_channel::<String>(8);
        let (consumer, mut receiver) = consumer_channel::<String>(1);
        let reader = StreamReader::new(&mut guest.store, producer).unwrap();
        reader.pipe(&mut guest.store, consumer).unwrap();
        let mut expected = VecDeque::new();
        for i in 0..5 {
            sender.try_send(format!("{i}")).unwrap();
            expected.push_back(format!("{i}"));
        }
        drop(sender);
        drive(&mut guest);
        while let Some(item) = expected.pop_front() {
            let received = match receiver.try_recv() {
                Ok(item) => item,
                Err(_) => {
                    drive(&mut guest);
                    receiver.try_recv().unwrap()
                }
            };
            assert_eq!(received, item);
        }
        drive(&mut guest);
        assert!(receiver.try_recv().is_err_and(|error| error.is_closed()));
    });
}

#[test]
fn a_value_goes_from_a_future_to_a_oneshot() {
    bytes(|mut guest| {
        let reader = FutureReader::new(&mut guest.store, async { Result::<u32>::Ok(42) }).unwrap();
        let (consumer, value) = oneshot();
        reader.pipe(&mut guest.store, consumer).unwrap();
        drive(&mut guest);
        assert_eq!(block_on(value).unwrap(), 42);
    });
}

#[test]
fn the_producer_is_found_behind_a_reader() {
    each(
        "string",
        || (),
        |mut guest| {
            let items = vec!["a".to_owned(), "b".to_owned()];
            let reader = StreamReader::new(&mut guest.store, items.clone()).unwrap();
            let reader = reader.try_into::<Vec<u32>>(&mut guest.store).unwrap_err();
            // Not even after a guest has passed it on.
            guest.give(reader).unwrap();
            let reader: StreamReader<String> = guest.take_back().unwrap();
            let found = reader.try_into::<Vec<String>>(&mut guest.store).unwrap();
            assert_eq!(found, items);

            // What was left behind in the buffer would be lost.
            let reader = StreamReader::new(&mut guest.store, items).unwrap();
            guest.give(reader).unwrap();
            guest.read(1).unwrap();
            let reader: StreamReader<String> = guest.take_back().unwrap();
            let reader = reader
                .try_into::<Vec<String>>(&mut guest.store)
                .unwrap_err();
            guest.give(reader).unwrap();
            guest.read(1).unwrap();
            assert_eq!(guest.data::<String>(1), ["b"]);
        },
    );
}

#[test]
fn what_a_producer_wraps_is_found_too() {
    bytes(|mut guest| {
        let bytes: &'static [u8] = b"abc";
        let reader = StreamReader::new(&mut guest.store, FromAsyncRead::new(bytes)).unwrap();
        assert_eq!(
            reader.try_into::<&'static [u8]>(&mut guest.store).unwrap(),
            bytes
        );
        let (sender, producer) = producer_channel::<u8>(1);
        drop(sender);
        let reader = StreamReader::new(&mut guest.store, producer).unwrap();
        type Found = FromStream<tidegate::stream::ready::Receiver<u8>>;
        reader.try_into::<Found>(&mut guest.store).unwrap();
    });
}

#[test]
fn a_reader_of_another_store_is_not_found() {
    bytes(|mut guest| {
        let mut other = tidegate::Store::new(guest.store.engine(), ());
        let reader = StreamReader::new(&mut other, b"abc".to_vec()).unwrap();
        assert!(guest.give(reader).is_err());
    });
}

//! Futures one end of which the host holds.

use crate::guest::{BLOCKED, Guest, futures, rule};
use crate::script::{Act, COMPLETED, PENDING, Value, Watch, script};
use tidegate::stream::Rule;
use tidegate::stream::ready::oneshot;
use tidegate::{FutureReader, Result, block_on};

const COMPLETE: u32 = 0;
const DROPPED: u32 = 1;
const CANCELLED: u32 = 2;

fn reads(acts: &[Act], test: impl Fn(&mut Guest<()>, &Watch)) {
    futures(|mut guest| {
        let (script, watch) = script(acts.iter().cloned());
        let reader = FutureReader::new(&mut guest.store, Value(script)).unwrap();
        guest.give(reader).unwrap();
        test(&mut guest, &watch);
    });
}

fn writes(acts: &[Act], test: impl Fn(&mut Guest<()>, &Watch)) {
    futures(|mut guest| {
        let (script, watch) = script(acts.iter().cloned());
        let reader = guest.make::<FutureReader<u32>>().unwrap();
        reader.pipe(&mut guest.store, Value(script)).unwrap();
        test(&mut guest, &watch);
    });
}

#[test]
fn a_ready_future_is_read_at_once() {
    futures(|mut guest| {
        let reader = FutureReader::new(&mut guest.store, async { Result::<u32>::Ok(42) }).unwrap();
        guest.give(reader).unwrap();
        assert_eq!(guest.read(1).unwrap(), COMPLETE);
        assert_eq!(guest.data::<u32>(1), [42]);
        guest.drop_readable().unwrap();
    });
}

#[test]
fn a_future_that_waits_is_read_later() {
    futures(|mut guest| {
        let (sender, receiver) = futures_channel::oneshot::channel::<u32>();
        let reader = FutureReader::new(&mut guest.store, receiver).unwrap();
        guest.give(reader).unwrap();
        assert_eq!(guest.read(1).unwrap(), BLOCKED);
        assert_eq!(guest.cancel_read().unwrap(), CANCELLED);
        assert_eq!(guest.read(1).unwrap(), BLOCKED);
        sender.send(7).unwrap();
        assert_eq!(guest.wait_read().unwrap(), COMPLETE);
        assert_eq!(guest.data::<u32>(1), [7]);
    });
}

#[test]
fn the_error_of_a_future_is_the_end_of_the_reader() {
    futures(|mut guest| {
        let failing = async { Result::<u32>::Err(tidegate::Error::msg("no luck")) };
        let reader = FutureReader::new(&mut guest.store, failing).unwrap();
        guest.give(reader).unwrap();
        let error = guest.read(1).unwrap_err();
        assert!(format!("{error:#}").contains("no luck"));
        assert!(guest.read(1).is_err());
    });
}

#[test]
fn a_producer_without_a_value_breaks_its_contract() {
    reads(&[Act::Buffer(&[], COMPLETED)], |guest, watch| {
        assert_eq!(rule(&guest.read(1).unwrap_err()), Rule::NoValue);
        assert!(watch.dropped());
    });
    reads(&[Act::Say(PENDING), Act::Say(COMPLETED)], |guest, watch| {
        assert_eq!(guest.read(1).unwrap(), BLOCKED);
        // While cancelling, it is no breach.
        assert_eq!(guest.cancel_read().unwrap(), CANCELLED);
        assert_eq!(watch.calls(), [(1, false), (1, true)]);
    });
}

#[test]
fn a_value_may_come_while_its_read_is_cancelled() {
    let late = Act::Buffer(&[9], COMPLETED);
    reads(&[Act::Say(PENDING), late.clone()], |guest, watch| {
        assert_eq!(guest.read(1).unwrap(), BLOCKED);
        assert_eq!(guest.cancel_read().unwrap(), COMPLETE);
        assert_eq!(guest.data::<u32>(1), [9]);
        assert!(watch.dropped());
    });
    reads(&[Act::Say(PENDING), Act::Say(PENDING)], |guest, watch| {
        assert_eq!(guest.read(1).unwrap(), BLOCKED);
        assert_eq!(guest.cancel_read().unwrap(), BLOCKED);
        watch.wake_to(late.clone());
        assert_eq!(guest.wait_read().unwrap(), COMPLETE);
    });
}

#[test]
fn a_written_value_is_consumed() {
    futures(|mut guest| {
        let reader = guest.make::<FutureReader<u32>>().unwrap();
        let (consumer, value) = oneshot();
        reader.pipe(&mut guest.store, consumer).unwrap();
        assert_eq!(guest.write(vec![5_u32]).unwrap(), COMPLETE);
        assert_eq!(block_on(value).unwrap(), 5);
        guest.drop_writable().unwrap();
    });
}

#[test]
fn a_consumer_that_does_not_take_breaks_its_contract() {
    writes(&[Act::Say(COMPLETED)], |guest, watch| {
        let error = guest.write(vec![5_u32]).unwrap_err();
        assert_eq!(rule(&error), Rule::ValueNotTaken);
        assert!(watch.dropped());
    });
    writes(&[Act::Say(PENDING), Act::Say(COMPLETED)], |guest, _| {
        assert_eq!(guest.write(vec![5_u32]).unwrap(), BLOCKED);
        assert_eq!(guest.cancel_write().unwrap(), CANCELLED);
    });
}

#[test]
fn a_consumer_may_hold_the_writer_back() {
    writes(&[Act::Take(1, PENDING)], |guest, watch| {
        assert_eq!(guest.write(vec![5_u32]).unwrap(), BLOCKED);
        assert_eq!(watch.taken(), [5]);
        watch.wake_to(Act::Say(COMPLETED));
        assert_eq!(guest.wait_write().unwrap(), COMPLETE);
        assert!(watch.dropped());
    });
    writes(&[Act::Take(1, PENDING), Act::Say(COMPLETED)], |guest, _| {
        assert_eq!(guest.write(vec![5_u32]).unwrap(), BLOCKED);
        // The value is gone: too late to cancel.
        assert_eq!(guest.cancel_write().unwrap(), COMPLETE);
    });
}

#[test]
fn a_reader_that_is_closed_is_known_to_the_writer() {
    futures(|mut guest| {
        let mut reader = guest.make::<FutureReader<u32>>().unwrap();
        reader.close(&mut guest.store).unwrap();
        assert_eq!(guest.write(vec![5_u32]).unwrap(), DROPPED);
        guest.drop_writable().unwrap();
    });
}

#[test]
fn a_writer_that_traps_lets_the_consumer_go() {
    futures(|mut guest| {
        let reader = guest.make::<FutureReader<u32>>().unwrap();
        let (consumer, value) = oneshot();
        reader.pipe(&mut guest.store, consumer).unwrap();
        // It may not be dropped without a value.
        assert!(guest.drop_writable().is_err());
        assert!(block_on(value).is_err());
    });
}

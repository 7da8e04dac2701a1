//! The host consumes what guests write.

use crate::guest::{BLOCKED, bytes, completed, dropped, each};
use tidegate::stream::ready::consumer_channel;

#[test]
fn a_channel_holds_the_writer_back() {
    bytes(|mut guest| {
        let reader = guest.make::<u8>().unwrap();
        let (consumer, mut receiver) = consumer_channel::<u8>(1);
        reader.pipe(&mut guest.store, consumer).unwrap();
        assert_eq!(guest.write(vec![1_u8, 2, 3, 4]).unwrap(), BLOCKED);
        for expected in 1..=3 {
            assert_eq!(receiver.try_recv().unwrap(), expected);
            assert_eq!(receiver.try_recv().ok(), (expected < 2).then_some(2));
            break;
        }
        assert_eq!(guest.wait_write().unwrap(), completed(4));
        drop(receiver);
        assert_eq!(guest.write(vec![5_u8]).unwrap(), dropped(0));
    });
}

#[test]
fn a_writer_that_is_dropped_drops_the_consumer() {
    each("string", || (), |mut guest| {
        let reader = guest.make::<String>().unwrap();
        let (consumer, mut receiver) = consumer_channel::<String>(4);
        reader.pipe(&mut guest.store, consumer).unwrap();
        let items = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(guest.write(items).unwrap(), completed(2));
        guest.drop_writable().unwrap();
        assert_eq!(receiver.try_recv().unwrap(), "a");
        assert_eq!(receiver.try_recv().unwrap(), "b");
        assert!(receiver.try_recv().is_err_and(|error| error.is_closed()));
    });
}

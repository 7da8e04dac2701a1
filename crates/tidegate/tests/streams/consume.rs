//! The host consumes what guests write.

use crate::guest::{BLOCKED, NOTHING, bytes, completed, dropped, each};
use futures_core::Stream as _;
use std::future::poll_fn;
use std::pin::Pin;
use tidegate::stream::ready::{Receiver, consumer_channel};
use tidegate::{StreamReader, block_on};

fn receive<T>(receiver: &mut Receiver<T>) -> T {
    block_on(poll_fn(|cx| Pin::new(&mut *receiver).poll_next(cx))).unwrap()
}

#[test]
fn a_channel_holds_the_writer_back() {
    bytes(|mut guest| {
        let reader = guest.make::<StreamReader<u8>>().unwrap();
        let (consumer, mut receiver) = consumer_channel::<u8>(1);
        reader.pipe(&mut guest.store, consumer).unwrap();
        // One for the channel and one for its sender.
        assert_eq!(guest.write(vec![1_u8, 2, 3, 4]).unwrap(), completed(2));
        assert_eq!(guest.write(vec![3_u8, 4]).unwrap(), BLOCKED);
        assert_eq!(guest.poll_write().unwrap(), NOTHING);
        let reading = std::thread::spawn(move || {
            let all: Vec<u8> = (0..4).map(|_| receive(&mut receiver)).collect();
            (receiver, all)
        });
        let mut last = guest.wait_write().unwrap();
        if last == completed(1) {
            last = guest.write(vec![4_u8]).unwrap();
            if last == BLOCKED {
                last = guest.wait_write().unwrap();
            }
        }
        assert!([completed(1), completed(2)].contains(&last));
        let (receiver, all) = reading.join().unwrap();
        assert_eq!(all, [1, 2, 3, 4]);
        drop(receiver);
        assert_eq!(guest.write(vec![5_u8]).unwrap(), dropped(0));
    });
}

#[test]
fn a_writer_that_is_dropped_drops_the_consumer() {
    each(
        "string",
        || (),
        |mut guest| {
            let reader = guest.make::<StreamReader<String>>().unwrap();
            let (consumer, mut receiver) = consumer_channel::<String>(4);
            reader.pipe(&mut guest.store, consumer).unwrap();
            let items = vec!["a".to_owned(), "b".to_owned()];
            assert_eq!(guest.write(items).unwrap(), completed(2));
            guest.drop_writable().unwrap();
            assert_eq!(receiver.try_recv().unwrap(), "a");
            assert_eq!(receiver.try_recv().unwrap(), "b");
            assert!(receiver.try_recv().is_err_and(|error| error.is_closed()));
        },
    );
}

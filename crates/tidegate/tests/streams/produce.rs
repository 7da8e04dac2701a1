//! Guests read what the host produces.

use crate::guest::{BLOCKED, bytes, cancelled, completed, dropped, each};
use tidegate::StreamReader;
use tidegate::stream::ready::producer_channel;

#[test]
fn a_vector_is_read_in_pieces() {
    bytes(|mut guest| {
        let reader = StreamReader::new(&mut guest.store, b"hello".to_vec()).unwrap();
        guest.give(reader).unwrap();
        assert_eq!(guest.read(3).unwrap(), completed(3));
        assert_eq!(guest.data::<u8>(3), b"hel");
        assert_eq!(guest.read(10).unwrap(), dropped(2));
        assert_eq!(guest.data::<u8>(2), b"lo");
        guest.drop_readable().unwrap();
    });
}

#[test]
fn items_of_any_type_are_produced() {
    each(
        "string",
        || (),
        |mut guest| {
            let items: Vec<String> = (0..5).map(|i| format!("item {i}")).collect();
            let reader = StreamReader::new(&mut guest.store, items.clone()).unwrap();
            guest.give(reader).unwrap();
            assert_eq!(guest.read(2).unwrap(), completed(2));
            assert_eq!(guest.data::<String>(2), items[..2]);
            assert_eq!(guest.read(9).unwrap(), dropped(3));
            assert_eq!(guest.data::<String>(3), items[2..]);
        },
    );
}

#[test]
fn a_reader_waits_for_a_channel_and_takes_its_buffer_back() {
    bytes(|mut guest| {
        let (mut sender, producer) = producer_channel::<u8>(8);
        let reader = StreamReader::new(&mut guest.store, producer).unwrap();
        guest.give(reader).unwrap();
        assert_eq!(guest.read(4).unwrap(), BLOCKED);
        sender.try_send(7).unwrap();
        assert_eq!(guest.wait_read().unwrap(), completed(1));
        assert_eq!(guest.read(4).unwrap(), BLOCKED);
        assert_eq!(guest.cancel_read().unwrap(), cancelled(0));
        assert_eq!(guest.read(4).unwrap(), BLOCKED);
        drop(sender);
        assert_eq!(guest.wait_read().unwrap(), dropped(0));
    });
}

#[test]
fn a_reader_that_is_dropped_drops_the_producer() {
    bytes(|mut guest| {
        let (mut sender, producer) = producer_channel::<u8>(8);
        let reader = StreamReader::new(&mut guest.store, producer).unwrap();
        guest.give(reader).unwrap();
        guest.drop_readable().unwrap();
        assert!(sender.try_send(1).is_err());
    });
}

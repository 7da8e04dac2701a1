//! Items of every kind, guests whose stacks are parked, dynamic values, and readers as parameters and results of host functions.

use crate::guest::{BLOCKED, Guest, bytes, completed, dropped, each, engines};
use crate::script::{Act, COMPLETED, PENDING, script};
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate::stream::ready::{FromStream, Receiver, consumer_channel, producer_channel};
use tidegate::stream::{Destination, ReadableEnd, StreamAny, StreamProducer, StreamResult};
use tidegate::{
    Component, ErrorContext, FutureReader, Linker, Result, Store, StoreContextMut, StreamReader,
    Val,
};

/// Reads one string synchronously, and gives it back.
const WAITING: &str = r#"
(component
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))
  (core instance $libc (instantiate $libc))
  (type $stream (stream string))
  (core func $read (canon stream.read $stream (memory $libc "memory") (realloc (func $libc "realloc"))))
  (core func $return (canon task.return (result string) (memory $libc "memory")))
  (core module $m
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "return" (func $return (param i32 i32)))
    (import "" "memory" (memory 1))
    (func (export "first") (param i32)
      (if (i32.ne (call $read (local.get 0) (i32.const 8) (i32.const 1)) (i32.const 16)) (then unreachable))
      (call $return (i32.load (i32.const 8)) (i32.load (i32.const 12)))))
  (core instance $m (instantiate $m (with "" (instance
    (export "read" (func $read)) (export "return" (func $return)) (export "memory" (memory $libc "memory"))))))
  (func (export "first") async (param "s" $stream) (result string)
    (canon lift (core func $m "first") async (memory $libc "memory"))))"#;

#[test]
fn strings_are_lowered_into_a_guest_whose_stack_is_parked() {
    for engine in engines() {
        let component = Component::new(&engine, WAITING).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine)
            .instantiate(&mut store, &component)
            .unwrap();
        let first = instance
            .get_typed_func::<(StreamReader<String>,), (String,)>(&mut store, "first")
            .unwrap();
        let (mut sender, producer) = producer_channel::<String>(1);
        let reader = StreamReader::new(&mut store, producer).unwrap();
        let sending = std::thread::spawn(move || {
            std::thread::yield_now();
            sender.try_send("from afar".to_owned()).unwrap();
            sender
        });
        let (string,) = first.call(&mut store, (reader,)).unwrap();
        assert_eq!(string, "from afar");
        drop(sending.join().unwrap());
    }
}

#[test]
fn an_error_ends_a_guest_whose_stack_is_parked() {
    for engine in engines() {
        let component = Component::new(&engine, WAITING).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine)
            .instantiate(&mut store, &component)
            .unwrap();
        let first = instance
            .get_typed_func::<(StreamReader<String>,), (String,)>(&mut store, "first")
            .unwrap();
        // It says `Cancelled` when it is called for the second time.
        struct Rude(bool);
        impl StreamProducer<()> for Rude {
            type Item = String;
            type Buffer = Option<String>;
            fn poll_produce(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                _: StoreContextMut<'_, ()>,
                _: Destination<'_, String, Option<String>>,
                _: bool,
            ) -> Poll<Result<StreamResult>> {
                if std::mem::replace(&mut self.0, true) {
                    return Poll::Ready(Ok(StreamResult::Cancelled));
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
        let reader = StreamReader::new(&mut store, Rude(false)).unwrap();
        let error = first.call(&mut store, (reader,)).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("although `finish` was false"), "{text}");
    }
}

#[test]
fn tuples_are_produced_and_consumed() {
    each(
        "(tuple u32 string)",
        || (),
        |mut guest| {
            let items = vec![(1_u32, "one".to_owned()), (2, "two".to_owned())];
            let reader = StreamReader::new(&mut guest.store, items.clone()).unwrap();
            guest.give(reader).unwrap();
            assert_eq!(guest.read(5).unwrap(), dropped(2));
            assert_eq!(guest.data::<(u32, String)>(2), items);

            let reader = guest.make::<StreamReader<(u32, String)>>().unwrap();
            let (consumer, mut receiver) = consumer_channel(4);
            reader.pipe(&mut guest.store, consumer).unwrap();
            assert_eq!(guest.write(items.clone()).unwrap(), completed(2));
            for item in items {
                assert_eq!(receiver.try_recv().unwrap(), item);
            }
        },
    );
}

#[test]
fn items_without_a_type_are_counted() {
    let text = include_str!("guest.wat")
        .replace("(stream ITEM)", "(stream)")
        .replace("(list ITEM)", "(list u8)");
    for engine in engines() {
        let mut guest = Guest::of(&engine, &text, ());
        let reader = StreamReader::new(&mut guest.store, vec![(); 5]).unwrap();
        guest.give(reader).unwrap();
        assert_eq!(guest.read(3).unwrap(), completed(3));
        assert_eq!(guest.read(3).unwrap(), dropped(2));

        let reader = guest.make::<StreamReader<()>>().unwrap();
        let (consumer, mut receiver) = consumer_channel::<()>(4);
        reader.pipe(&mut guest.store, consumer).unwrap();
        assert_eq!(guest.write(vec![0_u8; 3]).unwrap(), completed(3));
        assert_eq!((0..9).map_while(|_| receiver.try_recv().ok()).count(), 3);
    }
}

#[test]
fn streams_travel_through_streams() {
    each(
        "$bytes",
        || (),
        |mut guest| {
            let (inner, watch) = script([Act::Buffer(b"inner", COMPLETED)]);
            let inner = StreamReader::new(&mut guest.store, inner).unwrap();
            let outer = StreamReader::new(&mut guest.store, vec![inner]).unwrap();
            guest.give(outer).unwrap();
            assert_eq!(guest.read(3).unwrap(), dropped(1));
            let mut inner = guest.data::<StreamReader<u8>>(1);
            // Back with the host, which is its reader's holder again.
            let reader = guest.make::<StreamReader<StreamReader<u8>>>().unwrap();
            let (consumer, mut receiver) = consumer_channel(4);
            reader.pipe(&mut guest.store, consumer).unwrap();
            assert_eq!(guest.write(vec![inner.remove(0)]).unwrap(), completed(1));
            let mut inner: StreamReader<u8> = receiver.try_recv().unwrap();
            assert!(!watch.dropped());
            inner.close(&mut guest.store).unwrap();
            assert!(watch.dropped());
        },
    );
}

#[test]
fn error_contexts_travel() {
    each(
        "error-context",
        || (),
        |mut guest| {
            let contexts = vec![ErrorContext::new("broken", 100)];
            let reader = StreamReader::new(&mut guest.store, contexts).unwrap();
            guest.give(reader).unwrap();
            assert_eq!(guest.read(3).unwrap(), dropped(1));
            let back = guest.data::<ErrorContext>(1);
            assert_eq!(back[0].debug_message(), "broken");
        },
    );
}

#[test]
fn dynamic_values_carry_readers() {
    bytes(|mut guest| {
        let reader = StreamReader::new(&mut guest.store, b"abc".to_vec()).unwrap();
        let give = guest.instance.get_func(&mut guest.store, "give").unwrap();
        let val = Val::Stream(reader.into_any());
        give.call(&mut guest.store, std::slice::from_ref(&val), &mut [])
            .unwrap();
        assert_eq!(guest.read(2).unwrap(), completed(2));
        let back = guest
            .instance
            .get_func(&mut guest.store, "take-back")
            .unwrap();
        let mut results = [Val::Bool(false)];
        back.call(&mut guest.store, &[], &mut results).unwrap();
        let [Val::Stream(any)] = results else {
            panic!("{results:?}")
        };
        let mut any: StreamAny = any;
        any.close(&mut guest.store).unwrap();
        assert!(any.close(&mut guest.store).is_err());
        let again = give.call(&mut guest.store, &[val], &mut []);
        assert!(again.unwrap_err().to_string().contains("given to a guest"));
    });
}

#[test]
fn dynamic_items_are_checked_when_they_move() {
    bytes(|mut guest| {
        let items = vec![Val::U8(1), Val::U8(2)];
        let reader = StreamReader::new(&mut guest.store, items).unwrap();
        guest.give(reader).unwrap();
        assert_eq!(guest.read(2).unwrap(), dropped(2));
        assert_eq!(guest.data::<u8>(2), [1, 2]);
        guest.drop_readable().unwrap();

        let reader = StreamReader::new(&mut guest.store, vec!["no".to_owned()]).unwrap();
        let give = guest.instance.get_func(&mut guest.store, "give").unwrap();
        give.call(&mut guest.store, &[Val::Stream(reader.into_any())], &mut [])
            .unwrap();
        let error = guest.read(1).unwrap_err();
        assert!(
            format!("{error:#}").contains("expected `string`"),
            "{error:#}"
        );
    });
}

#[test]
fn typed_functions_are_checked_when_they_are_looked_up() {
    bytes(|mut guest| {
        let error = guest
            .instance
            .get_typed_func::<(StreamReader<u32>,), ()>(&mut guest.store, "give")
            .unwrap_err();
        assert!(error.to_string().contains("stream"), "{error}");
        assert!(
            guest
                .instance
                .get_typed_func::<(FutureReader<u8>,), ()>(&mut guest.store, "give")
                .is_err()
        );
        guest
            .instance
            .get_typed_func::<(StreamAny,), ()>(&mut guest.store, "give")
            .unwrap();
    });
}

/// Asks the host for a stream and for one with every letter doubled, as part of a tuple.
const ASKING: &str = r#"
(component
  (type $stream (stream u8))
  (import "source" (func $source (result $stream)))
  (import "double" (func $double (param "s" $stream) (result (tuple u32 $stream))))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $source (canon lower (func $source)))
  (core func $double (canon lower (func $double) (memory $libc "memory")))
  (core func $read (canon stream.read $stream (memory $libc "memory")))
  (core func $return (canon task.return (result (list u8)) (memory $libc "memory")))
  (core module $m
    (import "" "source" (func $source (result i32)))
    (import "" "double" (func $double (param i32 i32)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "return" (func $return (param i32 i32)))
    (import "" "memory" (memory 1))
    (func (export "run") (local $at i32) (local $result i32)
      (call $double (call $source) (i32.const 8))
      (if (i32.ne (i32.load (i32.const 8)) (i32.const 7)) (then unreachable))
      (local.set $at (i32.const 64))
      (loop $more
        (local.set $result (call $read (i32.load (i32.const 12)) (local.get $at) (i32.const 3)))
        (local.set $at (i32.add (local.get $at) (i32.shr_u (local.get $result) (i32.const 4))))
        (br_if $more (i32.eqz (i32.and (local.get $result) (i32.const 15)))))
      (call $return (i32.const 64) (i32.sub (local.get $at) (i32.const 64)))))
  (core instance $m (instantiate $m (with "" (instance
    (export "source" (func $source)) (export "double" (func $double)) (export "read" (func $read))
    (export "return" (func $return)) (export "memory" (memory $libc "memory"))))))
  (func (export "run") async (result (list u8))
    (canon lift (core func $m "run") async (memory $libc "memory"))))"#;

/// Everything twice.
struct Doubled(Receiver<u8>, Option<u8>);

impl Stream for Doubled {
    type Item = u8;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u8>> {
        if let Some(letter) = self.1.take() {
            return Poll::Ready(Some(letter));
        }
        let next = Pin::new(&mut self.0).poll_next(cx);
        if let Poll::Ready(letter) = next {
            self.1 = letter;
        }
        next
    }
}

#[test]
fn host_functions_give_and_take_readers() {
    for engine in engines() {
        let component = Component::new(&engine, ASKING).unwrap();
        let mut linker = Linker::<()>::new(&engine);
        linker
            .root()
            .func_wrap("source", |store: StoreContextMut<'_, ()>, (): ()| {
                Ok((StreamReader::new(store, b"stream".to_vec())?,))
            })
            .unwrap();
        linker
            .root()
            .func_wrap(
                "double",
                |mut store: StoreContextMut<'_, ()>, (reader,): (StreamReader<u8>,)| {
                    let (consumer, receiver) = consumer_channel::<u8>(2);
                    reader.pipe(&mut store, consumer)?;
                    let doubled = FromStream::new(Doubled(receiver, None));
                    Ok(((7_u32, StreamReader::new(store, doubled)?),))
                },
            )
            .unwrap();
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let run = instance
            .get_typed_func::<(), (Vec<u8>,)>(&mut store, "run")
            .unwrap();
        assert_eq!(run.call(&mut store, ()).unwrap().0, b"ssttrreeaamm");
    }
}

#[test]
fn a_guard_closes_its_reader() {
    use tidegate::GuardedStreamReader;
    bytes(|mut guest| {
        let (producer, watch) = script([]);
        let reader = StreamReader::new(&mut guest.store, producer).unwrap();
        let guard = GuardedStreamReader::new(&mut guest.store, reader);
        let guard = GuardedStreamReader::new(&mut guest.store, guard.into_stream_reader());
        assert!(!watch.dropped());
        drop(guard);
        let (producer, other) = script([Act::Say(PENDING)]);
        let reader = StreamReader::new(&mut guest.store, producer).unwrap();
        guest.give(reader).unwrap();
        assert_eq!(guest.read(1).unwrap(), BLOCKED);
        other.wake_to(Act::Buffer(b"a", COMPLETED));
        assert_eq!(guest.wait_read().unwrap(), completed(1));
        assert!(watch.dropped());
    });
}

#[test]
fn an_instance_reads_what_it_writes() {
    each(
        "string",
        || (),
        |mut guest| {
            let reader = guest.make::<StreamReader<String>>().unwrap();
            guest.give(reader).unwrap();
            assert_eq!(guest.read(4).unwrap(), BLOCKED);
            let items = vec!["to".to_owned(), "myself".to_owned()];
            assert_eq!(guest.write(items.clone()).unwrap(), completed(2));
            assert_eq!(guest.wait_read().unwrap(), completed(2));
            assert_eq!(guest.data::<String>(2), items);
        },
    );
}

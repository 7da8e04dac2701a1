//! What holds in groups besides that values pass: who may enter and leave, what a trap takes with it, and who is in a group at all.

use super::{KINDS, engine, engines};
use std::future::poll_fn;
use std::task::Poll;
use tidegate::{Component, Engine, Instance, Linker, Store, StoreContextMut};

/// `$b` is called by `$a` and by `$c`; each has an export of its own.
const THREE: &str = r#"(component
  (component $b
    (core module $m
      (global $count (mut i32) (i32.const 0))
      (func (export "add") (param i32) (result i32)
        (if (i32.eq (local.get 0) (i32.const 13)) (then unreachable))
        (global.set $count (i32.add (global.get $count) (local.get 0)))
        (global.get $count)))
    (core instance $i (instantiate $m))
    (func (export "add") (param "n" u8) (result u32) (canon lift (core func $i "add"))))
  (component $user
    (import "add" (func $add (param "n" u8) (result u32)))
    (core func $add' (canon lower (func $add)))
    (core module $m
      (import "" "add" (func $add (param i32) (result i32)))
      (func (export "add") (param i32) (result i32) (call $add (local.get 0)))
      (func (export "alive") (result i32) (i32.const 1)))
    (core instance $i (instantiate $m (with "" (instance (export "add" (func $add'))))))
    (func (export "add") (param "n" u32) (result u32) (canon lift (core func $i "add")))
    (func (export "alive") (result u32) (canon lift (core func $i "alive"))))
  (instance $b (instantiate $b))
  (instance $a (instantiate $user (with "add" (func $b "add"))))
  (instance $c (instantiate $user (with "add" (func $b "add"))))
  (export "add" (func $b "add"))
  (export "add-a" (func $a "add"))
  (export "add-c" (func $c "add"))
  (export "alive-c" (func $c "alive")))"#;

fn instantiate<T: Send + 'static>(
    engine: &Engine,
    linker: &Linker<T>,
    store: &mut Store<T>,
    wat: &str,
) -> Instance {
    let component = Component::new(engine, wat).unwrap();
    linker.instantiate(store, &component).unwrap()
}

fn add<T: Send + 'static>(
    instance: &Instance,
    store: &mut Store<T>,
    name: &str,
    n: u32,
) -> Result<u32, String> {
    let add = instance
        .get_typed_func::<(u32,), (u32,)>(&mut *store, name)
        .unwrap();
    let result = add.call(store, (n,));
    result
        .map(|(n,)| n)
        .map_err(|error| error.root_cause().to_string())
}

#[test]
fn those_that_call_each_other_share_an_isolate() {
    for kind in KINDS {
        let together = Component::new(&engine(kind, true), THREE).unwrap();
        assert_eq!(together.isolates().len(), 1);
        assert_eq!(together.isolates()[0].instances.len(), 3);
        let apart = Component::new(&engine(kind, false), THREE).unwrap();
        assert_eq!(apart.isolates().len(), 3);
    }
}

#[test]
fn a_trap_takes_those_with_it_that_it_passed_through() {
    for engine in engines() {
        let mut store = Store::new(&engine, ());
        let instance = instantiate(&engine, &Linker::new(&engine), &mut store, THREE);
        assert_eq!(add(&instance, &mut store, "add-a", 5), Ok(5));
        // Only the low bits are a `u8`.
        assert_eq!(add(&instance, &mut store, "add-c", 0x102), Ok(7));
        let error = add(&instance, &mut store, "add-a", 13).unwrap_err();
        assert!(error.contains("unreachable"), "{error}");
        let unusable = "cannot enter component instance: an earlier trap made it unusable";
        assert_eq!(
            add(&instance, &mut store, "add-a", 1).unwrap_err(),
            unusable
        );
        let direct = instance
            .get_typed_func::<(u8,), (u32,)>(&mut store, "add")
            .unwrap();
        let error = direct.call(&mut store, (1,)).unwrap_err();
        assert_eq!(error.root_cause().to_string(), unusable);
        // The third was not there, until it calls.
        let alive = instance
            .get_typed_func::<(), (u32,)>(&mut store, "alive-c")
            .unwrap();
        assert_eq!(alive.call(&mut store, ()).unwrap(), (1,));
        assert_eq!(
            add(&instance, &mut store, "add-c", 1).unwrap_err(),
            unusable
        );
        assert!(alive.call(&mut store, ()).is_err());
    }
}

#[test]
fn what_trapped_in_a_call_of_the_hosts_cannot_be_entered_by_others() {
    for engine in engines() {
        let mut store = Store::new(&engine, ());
        let instance = instantiate(&engine, &Linker::new(&engine), &mut store, THREE);
        let direct = instance
            .get_typed_func::<(u8,), (u32,)>(&mut store, "add")
            .unwrap();
        assert!(direct.call(&mut store, (13,)).is_err());
        let error = add(&instance, &mut store, "add-a", 1).unwrap_err();
        assert_eq!(
            error,
            "cannot enter component instance: an earlier trap made it unusable"
        );
    }
}

/// The callee's allocator calls the host, and so does the caller's; the latter also calls the callee.
const LEAVING: &str = r#"(component
  (import "host" (func $host))
  (component $b
    (import "host" (func $host))
    (core func $host' (canon lower (func $host)))
    (core module $m
      (import "" "host" (func $host))
      (memory (export "memory") 1)
      (global $leave (mut i32) (i32.const 0))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (if (i32.eq (global.get $leave) (i32.const 1)) (then (call $host)))
        (i32.const 64))
      (func (export "post") (param i32)
        (if (i32.eq (global.get $leave) (i32.const 2)) (then (call $host))))
      (func (export "mode") (param i32) (global.set $leave (local.get 0)))
      (func (export "length") (param i32 i32) (result i32)
        (call $host)
        (local.get 1))
      (func (export "one") (result i32) (i32.const 1)))
    (core instance $i (instantiate $m (with "" (instance (export "host" (func $host'))))))
    (func (export "mode") (param "mode" u32) (canon lift (core func $i "mode")))
    (func (export "one") (result u32) (canon lift (core func $i "one")))
    (func (export "length") (param "text" string) (result u32)
      (canon lift (core func $i "length") (memory $i "memory") (realloc (func $i "realloc")) (post-return (func $i "post")))))
  (component $a
    (import "length" (func $length (param "text" string) (result u32)))
    (import "one" (func $one (result u32)))
    (core module $memory (memory (export "memory") 1) (data (i32.const 16) "h\c3\a4llo"))
    (core instance $memory (instantiate $memory))
    (core func $length' (canon lower (func $length) (memory $memory "memory")))
    (core func $one' (canon lower (func $one)))
    (core module $m
      (import "" "length" (func $length (param i32 i32) (result i32)))
      (import "" "one" (func $one (result i32)))
      (global $leave (mut i32) (i32.const 0))
      (func (export "mode") (param i32) (global.set $leave (local.get 0)))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (if (global.get $leave) (then (drop (call $one))))
        (i32.const 128))
      (func (export "run") (param i32 i32) (result i32)
        (i32.add (call $one) (call $length (i32.const 16) (i32.const 6)))))
    (core instance $i (instantiate $m (with "" (instance
      (export "length" (func $length')) (export "one" (func $one'))))))
    (func (export "mode") (param "mode" u32) (canon lift (core func $i "mode")))
    (func (export "run") (param "text" string) (result u32)
      (canon lift (core func $i "run") (memory $memory "memory") (realloc (func $i "realloc")))))
  (instance $b (instantiate $b (with "host" (func $host))))
  (instance $a (instantiate $a (with "length" (func $b "length")) (with "one" (func $b "one"))))
  (export "mode-a" (func $a "mode"))
  (export "mode-b" (func $b "mode"))
  (export "one" (func $b "one"))
  (export "run" (func $a "run")))"#;

/// What takes the host's place: a function whose calls are accompanied.
const IN_PLACE_OF_HOST: &str = r#"(component
  (component $c
    (core func $get (canon context.get i32 0))
    (core module $m
      (import "" "get" (func $get (result i32)))
      (func (export "host") (drop (call $get))))
    (core instance $i (instantiate $m (with "" (instance (export "get" (func $get))))))
    (func (export "host") (canon lift (core func $i "host"))))
  (instance $c (instantiate $c))
  (alias export $c "host" (func $host))"#;

#[test]
fn allocators_and_post_return_may_not_leave() {
    let among_guests = LEAVING.replacen(
        "(component\n  (import \"host\" (func $host))",
        IN_PLACE_OF_HOST,
        1,
    );
    for engine in engines() {
        for wat in [LEAVING, &*among_guests] {
            may_not_leave(&engine, wat);
        }
    }
}

fn may_not_leave(engine: &Engine, wat: &str) {
    let mut linker = Linker::<u32>::new(engine);
    linker
        .root()
        .func_wrap("host", |mut store: StoreContextMut<'_, u32>, (): ()| {
            *store.data_mut() += 1;
            Ok(())
        })
        .unwrap();
    let cases = [("mode-a", 0), ("mode-b", 1), ("mode-b", 2), ("mode-a", 1)];
    for (name, mode) in cases {
        let mut store = Store::new(engine, 0);
        let instance = instantiate(engine, &linker, &mut store, wat);
        let set = instance
            .get_typed_func::<(u32,), ()>(&mut store, name)
            .unwrap();
        let run = instance
            .get_typed_func::<(&str,), (u32,)>(&mut store, "run")
            .unwrap();
        let one = instance
            .get_typed_func::<(), (u32,)>(&mut store, "one")
            .unwrap();
        assert_eq!(run.call(&mut store, ("text",)).unwrap(), (7,));
        assert_eq!(*store.data(), u32::from(wat == LEAVING));
        set.call(&mut store, (mode,)).unwrap();
        let result = run.call(&mut store, ("text",));
        if mode == 0 {
            assert_eq!(result.unwrap(), (7,));
            continue;
        }
        let error = result.unwrap_err();
        assert!(
            error
                .root_cause()
                .to_string()
                .contains("cannot leave component instance"),
            "{name} {mode}: {error:#}"
        );
        // Of the caller's allocator the callee knows nothing.
        assert_eq!(one.call(&mut store, ()).is_ok(), name == "mode-a");
    }
}

/// Handles pass, the callee keeps something in its thread's storage, and calls a host function that waits.
const RESOURCES: &str = r#"(component
  (import "host" (func $host))
  (component $b
    (import "host" (func $host))
    (core func $host' (canon lower (func $host)))
    (type $r' (resource (rep i32)))
    (core func $new (canon resource.new $r'))
    (core func $drop (canon resource.drop $r'))
    (core func $set (canon context.set i32 0))
    (core func $get (canon context.get i32 0))
    (core module $m
      (import "" "host" (func $host))
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "set" (func $set (param i32)))
      (import "" "get" (func $get (result i32)))
      (func (export "make") (param i32) (result i32)
        (if (call $get) (then unreachable))
        (call $set (local.get 0))
        (call $host)
        (call $new (call $get)))
      (func (export "rep") (param i32) (result i32)
        (if (call $get) (then unreachable))
        (if (i32.eq (local.get 0) (i32.const 13)) (then unreachable))
        (call $set (i32.const 1))
        (call $host)
        (local.get 0)))
    (core instance $i (instantiate $m (with "" (instance
      (export "host" (func $host')) (export "new" (func $new))
      (export "set" (func $set)) (export "get" (func $get))))))
    (export $r "r" (type $r'))
    (func (export "make") (param "n" u32) (result (own $r)) (canon lift (core func $i "make")))
    (func (export "rep") (param "r" (borrow $r)) (result u32) (canon lift (core func $i "rep"))))
  (instance $b (instantiate $b (with "host" (func $host))))
  (alias export $b "r" (type $r))
  (component $a
    (import "r" (type $r (sub resource)))
    (import "make" (func $make (param "n" u32) (result (own $r))))
    (import "rep" (func $rep (param "r" (borrow $r)) (result u32)))
    (core func $make' (canon lower (func $make)))
    (core func $rep' (canon lower (func $rep)))
    (core func $drop (canon resource.drop $r))
    (core func $set (canon context.set i32 0))
    (core func $get (canon context.get i32 0))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "rep" (func $rep (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "set" (func $set (param i32)))
      (import "" "get" (func $get (result i32)))
      (func (export "alive") (result i32) (i32.const 1))
      (func (export "run") (param i32) (result i32)
        (local $r i32)
        (call $set (i32.const 1000))
        (local.set $r (call $make (local.get 0)))
        (i32.add (call $rep (local.get $r)) (call $get))
        (call $drop (local.get $r))))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make')) (export "rep" (func $rep')) (export "drop" (func $drop))
      (export "set" (func $set)) (export "get" (func $get))))))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))
  (instance $a (instantiate $a (with "r" (type $r)) (with "make" (func $b "make")) (with "rep" (func $b "rep"))))
  (export "run" (func $a "run")))"#;

/// A future that is ready the second time.
async fn wait_once() {
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            Poll::Ready(())
        } else {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

#[test]
fn the_host_accompanies_calls_with_handles_and_storage() {
    for engine in engines() {
        let mut linker = Linker::<u32>::new(&engine);
        linker
            .root()
            .func_wrap_async("host", |mut store: StoreContextMut<'_, u32>, (): ()| {
                Box::new(async move {
                    wait_once().await;
                    *store.data_mut() += 1;
                    Ok(())
                })
            })
            .unwrap();
        let mut store = Store::new(&engine, 0);
        let instance = instantiate(&engine, &linker, &mut store, RESOURCES);
        for n in [7, 8, 9] {
            assert_eq!(add(&instance, &mut store, "run", n), Ok(n + 1000));
        }
        assert_eq!(*store.data(), 6);
        let error = add(&instance, &mut store, "run", 13).unwrap_err();
        assert!(error.contains("unreachable"), "{error}");
        let error = add(&instance, &mut store, "run", 1).unwrap_err();
        assert!(error.contains("an earlier trap"), "{error}");
        // The store goes on.
        let other = instantiate(&engine, &linker, &mut store, RESOURCES);
        assert_eq!(add(&other, &mut store, "run", 5), Ok(1005));
    }
}

#[test]
fn a_group_is_precompiled_and_loaded() {
    for kind in KINDS {
        let (together, apart) = (engine(kind, true), engine(kind, false));
        let bytes = Component::new(&together, THREE)
            .unwrap()
            .serialize()
            .unwrap();
        assert_eq!(
            bytes,
            Component::new(&together, THREE)
                .unwrap()
                .serialize()
                .unwrap()
        );
        let other = Component::new(&apart, THREE).unwrap().serialize().unwrap();
        for (engine, bytes, isolates) in [
            (&together, &bytes, 1),
            (&apart, &bytes, 3),
            (&together, &other, 1),
        ] {
            let component = Component::deserialize(engine, bytes).unwrap();
            assert_eq!(component.isolates().len(), isolates);
            let mut store = Store::new(engine, ());
            let instance = Linker::new(engine)
                .instantiate(&mut store, &component)
                .unwrap();
            assert_eq!(add(&instance, &mut store, "add-a", 5), Ok(5));
        }
    }
}

#[test]
fn those_stay_apart_that_exceptions_or_destructors_connect() {
    let exceptions = THREE.replace("(core module $m", "(core module $m (tag)");
    for kind in KINDS {
        let component = Component::new(&engine(kind, true), &exceptions).unwrap();
        assert_eq!(component.isolates().len(), 3);
    }
    let dropping = RESOURCES.replace("(rep i32)))", "(rep i32) (dtor (func $set))))");
    let dropping = dropping.replacen("(core func $set (canon context.set i32 0))", "", 1);
    let dropping = dropping.replacen(
        "(type $r'",
        "(core func $set (canon context.set i32 0)) (type $r'",
        1,
    );
    let component = Component::new(&engine(KINDS[0], true), &dropping).unwrap();
    assert_eq!(component.isolates().len(), 2);
}

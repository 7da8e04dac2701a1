//! Calls between host and guests, on both engines.

use std::future::poll_fn;
use std::task::Poll;
use tidegate::{
    Answer, Component, Config, DropResource as _, Engine, EngineKind, GuestBytes, InPlace, Linker,
    Resource, ResourceType, Store, Strategy, Val,
};

fn engines() -> [Engine; 2] {
    [EngineKind::Wasmtime, EngineKind::Wasmi].map(|kind| {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        Engine::new(&config).unwrap()
    })
}

const ADD: &str = r#"
(component
  (core module $m
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "fail") unreachable))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
  (func (export "fail") (canon lift (core func $i "fail"))))"#;

#[test]
fn a_typed_export_is_called() {
    for engine in engines() {
        let component = Component::new(&engine, ADD).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine)
            .instantiate(&mut store, &component)
            .unwrap();
        let add = instance
            .get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")
            .unwrap();
        assert_eq!(add.call(&mut store, (2, 3)).unwrap(), (5,));
        assert!(
            instance
                .get_typed_func::<(u32, u64), (u32,)>(&mut store, "add")
                .is_err()
        );
        assert!(
            instance
                .get_typed_func::<(), ()>(&mut store, "sub")
                .is_err()
        );
    }
}

#[test]
fn a_component_is_instantiated_in_stores_of_its_engine_only() {
    let [engine, other] = engines();
    let import = r#"
    (component
      (import "f" (func $f))
      (core func $f (canon lower (func $f)))
      (core module $m (import "" "f" (func)))
      (core instance (instantiate $m (with "" (instance (export "f" (func $f)))))))"#;
    let component = Component::new(&engine, import).unwrap();
    let mut linker = Linker::<()>::new(&engine);
    let f = |_: tidegate::StoreContextMut<'_, ()>, (): ()| Ok(());
    linker.root().func_wrap("f", f).unwrap();
    let pre = linker.instantiate_pre(&component).unwrap();
    for engine in [&engine, &other, &Engine::default(), &engine] {
        let made = pre.instantiate(Store::new(engine, ()));
        assert_eq!(made.is_ok(), Engine::same(engine, component.engine()));
    }
}

#[test]
fn a_dynamic_export_is_called() {
    for engine in engines() {
        let component = Component::new(&engine, ADD).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine)
            .instantiate(&mut store, &component)
            .unwrap();
        let add = instance.get_func(&mut store, "add").unwrap();
        let mut results = [Val::Bool(false)];
        add.call(&mut store, &[Val::U32(7), Val::U32(1)], &mut results)
            .unwrap();
        assert_eq!(results, [Val::U32(8)]);
        assert!(add.call(&mut store, &[Val::U32(7)], &mut results).is_err());
        assert!(
            add.call(&mut store, &[Val::U32(7), Val::U8(1)], &mut results)
                .is_err()
        );
        add.call(&mut store, &[Val::U32(1), Val::U32(1)], &mut results)
            .unwrap();
    }
}

#[test]
fn a_trap_makes_the_instance_unusable_and_the_store_stays() {
    for engine in engines() {
        let component = Component::new(&engine, ADD).unwrap();
        let mut store = Store::new(&engine, ());
        let linker = Linker::new(&engine);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let fail = instance
            .get_typed_func::<(), ()>(&mut store, "fail")
            .unwrap();
        let add = instance
            .get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")
            .unwrap();
        assert!(fail.call(&mut store, ()).is_err());
        let error = add.call(&mut store, (1, 1)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("cannot enter component instance"),
            "{error}"
        );
        let other = linker.instantiate(&mut store, &component).unwrap();
        let add = other
            .get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")
            .unwrap();
        assert_eq!(add.call(&mut store, (1, 1)).unwrap(), (2,));
    }
}

/// Calls the host, and may trap after that.
const CALLS_OUT: &str = r#"
(component
  (import "out" (func $out))
  (core func $out (canon lower (func $out)))
  (core module $m
    (import "" "out" (func $out))
    (func (export "run") (call $out))
    (func (export "fail") (call $out) unreachable))
  (core instance $i (instantiate $m (with "" (instance (export "out" (func $out))))))
  (func (export "run") (canon lift (core func $i "run")))
  (func (export "fail") (canon lift (core func $i "fail"))))"#;

/// Such a call has no task, as its guest cannot tell. It is one all the same to everybody else.
#[test]
fn a_guest_that_knows_no_tasks_is_entered_once_at_a_time() {
    type Calls = Vec<tidegate::TypedFunc<(), ()>>;
    for engine in engines() {
        let component = Component::new(&engine, CALLS_OUT).unwrap();
        let mut linker = Linker::<(Calls, Vec<bool>)>::new(&engine);
        let out = |mut store: tidegate::StoreContextMut<'_, (Calls, Vec<bool>)>, (): ()| {
            let beside = tidegate::block_on(store.run_concurrent(async |_| ()));
            assert!(beside.unwrap_err().is::<tidegate::GuestWaits>());
            for call in std::mem::take(&mut store.data_mut().0) {
                let done = call.call(&mut store, ()).is_ok();
                store.data_mut().1.push(done);
            }
            Ok(())
        };
        linker.root().func_wrap("out", out).unwrap();
        let mut store = Store::new(&engine, Default::default());
        let [one, other] = [(); 2].map(|()| {
            let instance = linker.instantiate(&mut store, &component).unwrap();
            ["run", "fail"].map(|name| instance.get_typed_func(&mut store, name).unwrap())
        });
        // Itself, another, and itself by way of another.
        store.data_mut().0 = vec![one[0].clone(), other[0].clone(), other[0].clone()];
        one[0].call(&mut store, ()).unwrap();
        assert_eq!(std::mem::take(&mut store.data_mut().1), [false, true, true]);
        // One that traps below another takes nobody with it.
        store.data_mut().0 = vec![other[1].clone(), other[0].clone()];
        one[0].call(&mut store, ()).unwrap();
        assert_eq!(std::mem::take(&mut store.data_mut().1), [false, false]);
        one[0].call(&mut store, ()).unwrap();
        assert!(one[1].call(&mut store, ()).is_err());
        assert!(one[0].call(&mut store, ()).is_err());
        // Nothing is left of all that in the store.
        let fresh = linker.instantiate(&mut store, &component).unwrap();
        let run = fresh.get_typed_func::<(), ()>(&mut store, "run").unwrap();
        run.call(&mut store, ()).unwrap();
        tidegate::block_on(store.run_concurrent(async |_| ())).unwrap();
    }
}

const GREET: &str = r#"
(component
  (import "greet" (func $greet (param "name" string) (result string)))
  (core module $libc
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $next))
      (global.set $next (i32.add (global.get $next) (i32.add (local.get 3) (i32.const 8))))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (core func $greet_lowered (canon lower (func $greet) (memory $libc "memory") (realloc (func $libc "realloc"))))
  (core module $m
    (import "libc" "memory" (memory 1))
    (import "host" "greet" (func $greet (param i32 i32 i32)))
    (func (export "run") (param i32 i32) (result i32)
      (call $greet (local.get 0) (local.get 1) (i32.const 16))
      (i32.const 16)))
  (core instance $i (instantiate $m
    (with "libc" (instance $libc))
    (with "host" (instance (export "greet" (func $greet_lowered))))))
  (func (export "run") (param "name" string) (result string)
    (canon lift (core func $i "run") (memory $libc "memory") (realloc (func $libc "realloc")))))"#;

#[test]
fn strings_go_to_the_host_and_back() {
    for engine in engines() {
        let component = Component::new(&engine, GREET).unwrap();
        let mut linker = Linker::<u32>::new(&engine);
        linker
            .root()
            .func_wrap(
                "greet",
                |mut store: tidegate::StoreContextMut<'_, u32>, (name,): (String,)| {
                    *store.data_mut() += 1;
                    Ok((format!("Hello, {name}!"),))
                },
            )
            .unwrap();
        let mut store = Store::new(&engine, 0);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let run = instance
            .get_typed_func::<(&str,), (String,)>(&mut store, "run")
            .unwrap();
        assert_eq!(run.call(&mut store, ("Ada",)).unwrap().0, "Hello, Ada!");
        assert_eq!(run.call(&mut store, ("Bob",)).unwrap().0, "Hello, Bob!");
        assert_eq!(*store.data(), 2);
    }
}

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
fn a_host_function_may_wait() {
    for engine in engines() {
        let component = Component::new(&engine, GREET).unwrap();
        let mut linker = Linker::<u32>::new(&engine);
        linker
            .root()
            .func_wrap_async(
                "greet",
                |mut store: tidegate::StoreContextMut<'_, u32>, (name,): (String,)| {
                    Box::new(async move {
                        wait_once().await;
                        *store.data_mut() += 1;
                        wait_once().await;
                        Ok((format!("Hello, {name}!"),))
                    })
                },
            )
            .unwrap();
        let mut store = Store::new(&engine, 0);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let run = instance
            .get_typed_func::<(&str,), (String,)>(&mut store, "run")
            .unwrap();
        assert_eq!(run.call(&mut store, ("Ada",)).unwrap().0, "Hello, Ada!");
        assert_eq!(*store.data(), 1);
    }
}

#[test]
fn a_call_dropped_midway_leaves_the_store_usable() {
    for engine in engines() {
        let component = Component::new(&engine, GREET).unwrap();
        let mut linker = Linker::<u32>::new(&engine);
        linker
            .root()
            .func_wrap_async(
                "greet",
                |_: tidegate::StoreContextMut<'_, u32>, (_,): (String,)| {
                    Box::new(async move {
                        std::future::pending::<()>().await;
                        Ok((String::new(),))
                    })
                },
            )
            .unwrap();
        let mut store = Store::new(&engine, 5);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let run = instance
            .get_typed_func::<(&str,), (String,)>(&mut store, "run")
            .unwrap();
        {
            let mut call = Box::pin(run.call_async(&mut store, ("Ada",)));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(call.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(*store.data(), 5);
        assert!(run.call(&mut store, ("Ada",)).is_err());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        assert!(instance.get_func(&mut store, "run").is_some());
    }
}

struct Thing;

#[test]
fn the_destructor_of_a_host_resource_runs() {
    let text = r#"
    (component
      (import "thing" (type $thing (sub resource)))
      (import "make" (func $make (result (own $thing))))
      (core func $make_lowered (canon lower (func $make)))
      (core func $drop (canon resource.drop $thing))
      (core module $m
        (import "" "make" (func $make (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "run") (call $drop (call $make))))
      (core instance $i (instantiate $m (with "" (instance
        (export "make" (func $make_lowered)) (export "drop" (func $drop))))))
      (func (export "run") (canon lift (core func $i "run"))))"#;
    for engine in engines() {
        let component = Component::new(&engine, text).unwrap();
        let mut linker = Linker::<Vec<u32>>::new(&engine);
        let mut root = linker.root();
        root.resource("thing", ResourceType::host::<Thing>(), |mut store, rep| {
            store.data_mut().push(rep);
            Ok(())
        })
        .unwrap();
        root.func_wrap("make", |_, (): ()| Ok((Resource::<Thing>::new_own(42),)))
            .unwrap();
        let mut store = Store::new(&engine, Vec::new());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let run = instance
            .get_typed_func::<(), ()>(&mut store, "run")
            .unwrap();
        run.call(&mut store, ()).unwrap();
        assert_eq!(*store.data(), [42]);
    }
}

#[test]
fn an_unknown_import_is_named() {
    let [engine, _] = engines();
    let component = Component::new(&engine, GREET).unwrap();
    let error = Linker::<()>::new(&engine)
        .instantiate_pre(&component)
        .err()
        .unwrap();
    assert!(error.to_string().contains("`greet`"), "{error}");
}

const WIDE: &str = r#"
(component
  (component $maker
    (core module $libc
      (memory (export "memory") 1)
      (global (export "dropped") (mut i64) (i64.const 0))
      (func (export "dtor") (param i64) (global.set 0 (local.get 0))))
    (core instance $libc (instantiate $libc))
    (type $t' (resource (rep i64) (dtor (core func $libc "dtor"))))
    (export $t "t" (type $t'))
    (core func $new (canon resource.new $t'))
    (core func $rep (canon resource.rep $t'))
    (core module $m
      (import "" "new" (func $new (param i64) (result i32)))
      (import "" "rep" (func $rep (param i32) (result i64)))
      (import "" "dropped" (global $dropped (mut i64)))
      (func (export "make") (param i64) (result i32) (call $new (local.get 0)))
      (func (export "take") (param i32) (result i64) (call $rep (local.get 0)))
      (func (export "look") (param i32) (result i32) (local.get 0))
      (func (export "dropped") (result i64) (global.get $dropped)))
    (core instance $i (instantiate $m (with "" (instance
      (export "new" (func $new))
      (export "rep" (func $rep))
      (export "dropped" (global $libc "dropped"))))))
    (func (export "make") (param "rep" u64) (result (own $t)) (canon lift (core func $i "make")))
    (func (export "take") (param "t" (own $t)) (result u64) (canon lift (core func $i "take")))
    (func (export "look") (param "t" (borrow $t)) (result u32) (canon lift (core func $i "look")))
    (func (export "dropped") (result u64) (canon lift (core func $i "dropped"))))
  (instance $maker (instantiate $maker))
  (export "maker" (instance $maker)))"#;

#[test]
fn a_resource_may_be_represented_by_64_bits() {
    for engine in engines() {
        let component = Component::new(&engine, WIDE).unwrap();
        let mut store = Store::new(&engine, ());
        let linker = Linker::new(&engine);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let maker = component.export_index(None, "maker");
        let call = |store: &mut Store<()>, name: &str, argument: Option<Val>| {
            let index = component.export_index(maker.as_ref(), name).unwrap();
            let func = instance.get_func(&mut *store, &index).unwrap();
            let mut results = vec![Val::Bool(false); usize::from(func.ty().0.result.is_some())];
            func.call(store, argument.as_slice(), &mut results)
                .map(|()| results.pop())
        };
        let rep = 0x1234_5678_9abc_def0;
        let made = call(&mut store, "make", Some(Val::U64(rep))).unwrap();
        assert_eq!(call(&mut store, "take", made).unwrap(), Some(Val::U64(rep)));
        let Some(Val::Resource(made)) = call(&mut store, "make", Some(Val::U64(rep + 1))).unwrap()
        else {
            panic!("a resource is made");
        };
        made.resource_drop(&mut store).unwrap();
        assert_eq!(
            call(&mut store, "dropped", None).unwrap(),
            Some(Val::U64(rep + 1))
        );
        // Its implementer gets the representation itself for a borrow, as an `i32`.
        let small = call(&mut store, "make", Some(Val::U64(7))).unwrap();
        assert_eq!(call(&mut store, "look", small).unwrap(), Some(Val::U32(7)));
        let large = call(&mut store, "make", Some(Val::U64(rep))).unwrap();
        let error = call(&mut store, "look", large).unwrap_err();
        assert!(
            error.to_string().contains("does not fit the `i32`"),
            "{error}"
        );
    }
}

const BYTES: &str = r#"
(component
  (import "fill" (func $fill (param "length" u32) (result (list u8))))
  (import "sum" (func $sum (param "bytes" (list u8)) (result u64)))
  (core module $libc
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $next))
      (global.set $next (i32.add (global.get $next) (local.get 3)))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (core func $fill' (canon lower (func $fill) (memory $libc "memory") (realloc (func $libc "realloc"))))
  (core func $sum' (canon lower (func $sum) (memory $libc "memory")))
  (core module $m
    (import "libc" "memory" (memory 1))
    (import "host" "fill" (func $fill (param i32 i32)))
    (import "host" "sum" (func $sum (param i32 i32) (result i64)))
    (func (export "run") (param i32) (result i64)
      (call $fill (local.get 0) (i32.const 16))
      (call $sum (i32.load (i32.const 16)) (i32.load (i32.const 20))))
    (func (export "sum") (param i32 i32) (result i64) (call $sum (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m
    (with "libc" (instance $libc))
    (with "host" (instance (export "fill" (func $fill')) (export "sum" (func $sum'))))))
  (func (export "run") (param "length" u32) (result u64) (canon lift (core func $i "run")))
  (func (export "sum") (param "at" u32) (param "length" u32) (result u64) (canon lift (core func $i "sum"))))"#;

#[test]
fn bytes_are_read_and_written_where_they_lie() {
    for engine in engines() {
        for waits in [false, true] {
            let component = Component::new(&engine, BYTES).unwrap();
            let mut linker = Linker::<u32>::new(&engine);
            let fill = |call: &mut InPlace<'_, u32>, length: u32| {
                let list = call.allocate(length as usize)?;
                let (bytes, calls) = call.bytes(list)?;
                bytes.fill(3);
                *calls += 1;
                // A part of what was allocated will do.
                Ok((list.truncate(length as usize - 1),))
            };
            if waits {
                linker
                    .root()
                    .func_in_place_waiting("fill", move |call, (length,): &(u32,)| {
                        *call.data_mut() += 10;
                        if *call.data_mut() % 20 == 10 {
                            return Ok(Answer::Wait(Box::pin(wait_once())));
                        }
                        fill(call, *length).map(Answer::Return)
                    })
                    .unwrap();
            } else {
                linker
                    .root()
                    .func_in_place("fill", move |call, (length,): &(u32,)| fill(call, *length))
                    .unwrap();
            }
            linker
                .root()
                .func_in_place("sum", |call, (list,): &(GuestBytes,)| {
                    let (bytes, calls) = call.bytes(*list)?;
                    *calls += 1;
                    Ok((bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>(),))
                })
                .unwrap();
            let mut store = Store::new(&engine, 0);
            let instance = linker.instantiate(&mut store, &component).unwrap();
            let run = instance
                .get_typed_func::<(u32,), (u64,)>(&mut store, "run")
                .unwrap();
            assert_eq!(run.call(&mut store, (100,)).unwrap(), (297,));
            assert_eq!(*store.data(), if waits { 22 } else { 2 });
            let sum = instance
                .get_typed_func::<(u32, u32), (u64,)>(&mut store, "sum")
                .unwrap();
            let error = sum.call(&mut store, (65_000, 1000)).unwrap_err();
            assert!(format!("{error:#}").contains("out of bounds"), "{error:#}");
            // A block that the guest's allocator gives beyond its memory.
            let instance = linker.instantiate(&mut store, &component).unwrap();
            let run = instance
                .get_typed_func::<(u32,), (u64,)>(&mut store, "run")
                .unwrap();
            let error = run.call(&mut store, (70_000,)).unwrap_err();
            assert!(format!("{error:#}").contains("realloc"), "{error:#}");
        }
    }
}

#[test]
fn unknown_imports_may_be_left_to_trap() {
    const MISSING: &str = r#"
    (component
      (import "known" (func $known))
      (import "a:b/c@1.0.0" (instance $c
        (export "r" (type $r (sub resource)))
        (export "f" (func (param "x" string) (result u32)))
        (export "[constructor]r" (func (result (own $r))))))
      (core module $m (func (export "f") (result i32) (i32.const 7)))
      (core instance $m (instantiate $m))
      (alias export $c "f" (func $f))
      (alias export $c "r" (type $r))
      (core func $drop (canon resource.drop $r))
      (core func $known' (canon lower (func $known)))
      (core module $n
        (import "" "known" (func $known))
        (import "" "drop" (func $drop (param i32)))
        (func (export "f") (result i32) (call $known) (i32.const 7))
        (func (export "g") (call $drop (i32.const 1))))
      (core instance $n (instantiate $n (with "" (instance
        (export "known" (func $known')) (export "drop" (func $drop))))))
      (component $inner
        (import "f" (func $f (param "x" string) (result u32)))
        (core module $libc (memory (export "memory") 1))
        (core instance $libc (instantiate $libc))
        (core func $f' (canon lower (func $f) (memory $libc "memory")))
        (core module $o
          (import "" "f" (func $f (param i32 i32) (result i32)))
          (func (export "call") (result i32) (call $f (i32.const 0) (i32.const 0))))
        (core instance $o (instantiate $o (with "" (instance (export "f" (func $f'))))))
        (func (export "call") (result u32) (canon lift (core func $o "call"))))
      (instance $inner (instantiate $inner (with "f" (func $f))))
      (func (export "f") (result u32) (canon lift (core func $n "f")))
      (export "call" (func $inner "call")))"#;
    for engine in engines() {
        let component = Component::new(&engine, MISSING).unwrap();
        let mut linker = Linker::<()>::new(&engine);
        linker
            .root()
            .func_wrap("known", |_, (): ()| Ok(()))
            .unwrap();
        // A later version, which serves the component but for what it lacks.
        linker
            .instance("a:b/c@1.2.0")
            .unwrap()
            .func_wrap(
                "[constructor]r",
                |_, (): ()| -> tidegate::Result<(Resource<u8>,)> { Ok((Resource::new_own(1),)) },
            )
            .unwrap();
        linker
            .instance("a:b/c@1.2.0")
            .unwrap()
            .resource("r", ResourceType::host::<u8>(), |_, _| Ok(()))
            .unwrap();
        assert!(linker.instantiate_pre(&component).is_err());
        linker.define_unknown_imports_as_traps(&component).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let f = instance
            .get_typed_func::<(), (u32,)>(&mut store, "f")
            .unwrap();
        assert_eq!(f.call(&mut store, ()).unwrap(), (7,));
        let call = instance
            .get_typed_func::<(), (u32,)>(&mut store, "call")
            .unwrap();
        let error = format!("{:#}", call.call(&mut store, ()).unwrap_err());
        assert!(error.contains("a:b/c@1.0.0#f"), "{error}");
        assert_eq!(
            f.call(&mut store, ()).unwrap(),
            (7,),
            "only the caller trapped"
        );
    }
}

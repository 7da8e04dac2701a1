//! Calls between host and guests, on both engines.

use std::future::poll_fn;
use std::task::Poll;
use tidegate::{
    Component, Config, DropResource as _, Engine, EngineKind, Linker, Resource, ResourceType,
    Store, Strategy, Val,
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

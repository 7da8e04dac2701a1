//! Destructors in components that use async: they may wait, also beside a task of their instance that is parked in mid-stack.

use crate::{Gate, poll_once, turns};
use std::pin::pin;
use tidegate::{
    Accessor, AsContextMut, Component, ConcurrentCall, Config, DropResource, Engine, EngineKind,
    Instance, Linker, ResourceAny, Result, Store, StoreContextMut, Strategy, TypedFunc, Val,
    block_on,
};

/// A destructor pauses if its resource's number is not 0, and adds what `pause` gives to a total; 99 traps.
const GUEST: &str = r#"(component
  (import "wait" (func $wait async))
  (import "pause" (func $pause (param "n" u32) (result u32)))
  (component $maker
    (import "wait" (func $wait async))
    (import "pause" (func $pause (param "n" u32) (result u32)))
    (core func $pause (canon lower (func $pause)))
    (core module $d
      (import "" "pause" (func $pause (param i32) (result i32)))
      (global (export "total") (mut i32) (i32.const 0))
      (func (export "dtor") (param i32)
        (if (i32.eq (local.get 0) (i32.const 99)) (then unreachable))
        (if (local.get 0) (then (local.set 0 (call $pause (local.get 0)))))
        (global.set 0 (i32.add (global.get 0) (i32.add (local.get 0) (i32.const 1))))))
    (core instance $d (instantiate $d (with "" (instance (export "pause" (func $pause))))))
    (type $t' (resource (rep i32) (dtor (core func $d "dtor"))))
    (export $t "t" (type $t'))
    (core func $new (canon resource.new $t'))
    (core func $drop (canon resource.drop $t'))
    (core func $wait (canon lower (func $wait)))
    (core func $return (canon task.return))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "wait" (func $wait))
      (import "" "return" (func $return))
      (import "" "total" (global $total (mut i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "own") (param i32) (call $drop (call $new (local.get 0))))
      (func (export "parks") (result i32) (call $wait) (call $return) (i32.const 0))
      (func (export "callback") (param i32 i32 i32) (result i32) unreachable)
      (func (export "total") (result i32) (global.get $total)))
    (core instance $i (instantiate $m (with "" (instance
      (export "new" (func $new)) (export "drop" (func $drop)) (export "wait" (func $wait))
      (export "return" (func $return)) (export "total" (global $d "total"))))))
    (func (export "make") (param "n" u32) (result (own $t)) (canon lift (core func $i "make")))
    (func (export "own") (param "n" u32) (canon lift (core func $i "own")))
    (func (export "parks") async (canon lift (core func $i "parks") async (callback (func $i "callback"))))
    (func (export "total") (result u32) (canon lift (core func $i "total"))))
  (component $user
    (import "maker" (instance $maker
      (export "t" (type $t (sub resource)))
      (export "make" (func (param "n" u32) (result (own $t))))))
    (alias export $maker "t" (type $t))
    (alias export $maker "make" (func $make))
    (core func $make (canon lower (func $make)))
    (core func $drop (canon resource.drop $t))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "drops") (param i32) (call $drop (call $make (local.get 0)))))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make)) (export "drop" (func $drop))))))
    (func (export "drops") (param "n" u32) (canon lift (core func $i "drops"))))
  (instance $maker (instantiate $maker (with "wait" (func $wait)) (with "pause" (func $pause))))
  (instance $user (instantiate $user (with "maker" (instance $maker))))
  (export "maker" (instance $maker))
  (export "drops" (func $user "drops")))"#;

struct Guest {
    store: Store<()>,
    linker: Linker<()>,
    component: Component,
    instance: Instance,
    drops: TypedFunc<(u32,), ()>,
    gate: Gate,
    parked: Option<ConcurrentCall<()>>,
}

impl Guest {
    fn new(kind: EngineKind) -> Self {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, GUEST).unwrap();
        let (gate, mut linker) = (Gate::default(), Linker::new(&engine));
        let gates = gate.clone();
        let mut root = linker.root();
        root.func_wrap_concurrent("wait", move |_: &Accessor<()>, (): ()| {
            let gate = gates.clone();
            Box::pin(async move {
                gate.pass().await;
                Ok(())
            })
        })
        .unwrap();
        root.func_wrap_async("pause", |_: StoreContextMut<'_, ()>, (n,): (u32,)| {
            Box::new(async move {
                turns(2).await;
                Ok((n + 10,))
            })
        })
        .unwrap();
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let drops = instance.get_typed_func(&mut store, "drops").unwrap();
        Self {
            store,
            linker,
            component,
            instance,
            drops,
            gate,
            parked: None,
        }
    }

    /// Has a task of the maker parked.
    fn park(&mut self) {
        let maker = self.component.export_index(None, "maker");
        let parks = self.component.export_index(maker.as_ref(), "parks");
        let parks: TypedFunc<(), ()> = (self
            .instance
            .get_typed_func(&mut self.store, parks.unwrap()))
        .unwrap();
        let parked = block_on(self.store.run_concurrent(async |accessor| {
            let parked = parks.call_concurrent(accessor, ());
            turns(3).await;
            Some(parked)
        }));
        self.parked = parked.unwrap();
    }

    /// It goes on.
    fn go_on(&mut self) {
        self.gate.open();
        if let Some(parked) = self.parked.take() {
            block_on(self.store.run_concurrent(async |_| parked.await))
                .unwrap()
                .unwrap();
        }
    }

    fn call(&mut self, name: &str, args: &[Val]) -> Result<Option<Val>> {
        let maker = self.component.export_index(None, "maker");
        let index = self.component.export_index(maker.as_ref(), name).unwrap();
        let func = self.instance.get_func(&mut self.store, &index).unwrap();
        let mut results = vec![Val::Bool(false); usize::from(func.ty().0.result.is_some())];
        func.call(&mut self.store, args, &mut results)?;
        Ok(results.pop())
    }

    fn make(&mut self, n: u32) -> ResourceAny {
        match self.call("make", &[Val::U32(n)]).unwrap() {
            Some(Val::Resource(made)) => made,
            other => panic!("{other:?}"),
        }
    }

    fn total(&mut self) -> u32 {
        match self.call("total", &[]).unwrap() {
            Some(Val::U32(total)) => total,
            other => panic!("{other:?}"),
        }
    }
}

/// Each engine, beside a parked stack or not.
fn each(test: impl Fn(Guest)) {
    for kind in EngineKind::ALL {
        for parked in [false, true] {
            let mut guest = Guest::new(kind);
            if parked {
                guest.park();
            }
            test(guest);
        }
    }
}

#[test]
fn a_destructor_waits_when_a_guest_drops_the_resource() {
    each(|mut guest| {
        let drops = guest.drops.clone();
        for (n, total) in [(0, 1), (1, 13), (5, 29)] {
            block_on(drops.call_async(&mut guest.store, (n,))).unwrap();
            assert_eq!(guest.total(), total);
        }
        guest.go_on();
        drops.call(&mut guest.store, (0,)).unwrap();
        assert_eq!(guest.total(), 30);
    });
}

#[test]
fn a_destructor_waits_when_the_host_drops_the_resource() {
    each(|mut guest| {
        for (n, total) in [(0, 1), (1, 13), (5, 29)] {
            let made = guest.make(n);
            made.resource_drop(&mut guest.store).unwrap();
            assert_eq!(guest.total(), total);
        }
        let made = guest.make(0);
        block_on(made.resource_drop_async(guest.store.as_context_mut())).unwrap();
        guest.go_on();
        assert_eq!(guest.total(), 30);
    });
}

#[test]
fn a_destructor_is_dropped_while_it_waits() {
    each(|mut guest| {
        let made = guest.make(5);
        {
            let mut dropping = pin!(made.resource_drop_async(&mut guest.store));
            assert!(poll_once(dropping.as_mut()).is_pending());
        }
        // Its instance ends with it.
        let drops = guest.drops.clone();
        assert!(drops.call(&mut guest.store, (0,)).is_err());
    });
}

#[test]
fn a_destructor_that_traps_ends_its_instance() {
    each(|mut guest| {
        let drops = guest.drops.clone();
        let error = drops.call(&mut guest.store, (99,)).unwrap_err();
        assert!(format!("{error:#}").contains("unreachable"), "{error:#}");
        assert!(drops.call(&mut guest.store, (0,)).is_err());
    });
    each(|mut guest| {
        let made = guest.make(99);
        let error = made.resource_drop(&mut guest.store).unwrap_err();
        assert!(format!("{error:#}").contains("unreachable"), "{error:#}");
        let drops = guest.drops.clone();
        assert!(drops.call(&mut guest.store, (0,)).is_err());
    });
}

#[test]
fn a_destructor_waits_when_its_own_instance_drops_the_resource() {
    each(|mut guest| {
        guest.call("own", &[Val::U32(0)]).unwrap();
        assert_eq!(guest.total(), 1);
        guest.call("own", &[Val::U32(1)]).unwrap();
        assert_eq!(guest.total(), 13);
        guest.go_on();
        let error = guest.call("own", &[Val::U32(99)]).unwrap_err();
        assert!(format!("{error:#}").contains("unreachable"), "{error:#}");
        // Another instance goes on, also where it waits.
        guest.instance = (guest.linker.instantiate(&mut guest.store, &guest.component)).unwrap();
        guest.park();
        guest.call("own", &[Val::U32(1)]).unwrap();
        guest.go_on();
        assert_eq!(guest.total(), 12);
    });
}

/// There each call runs on its caller's stack, and a destructor that its own instance calls cannot wait.
#[test]
fn in_a_component_without_async_a_wait_for_it_is_an_error() {
    const OWN: &str = r#"(component
      (import "pause" (func $pause (param "n" u32) (result u32)))
      (core func $pause (canon lower (func $pause)))
      (core module $d
        (import "" "pause" (func $pause (param i32) (result i32)))
        (func (export "dtor") (param i32) (drop (call $pause (local.get 0)))))
      (core instance $d (instantiate $d (with "" (instance (export "pause" (func $pause))))))
      (type $t (resource (rep i32) (dtor (core func $d "dtor"))))
      (core func $new (canon resource.new $t))
      (core func $drop (canon resource.drop $t))
      (core module $m
        (import "" "new" (func $new (param i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "own") (param i32) (call $drop (call $new (local.get 0)))))
      (core instance $i (instantiate $m (with "" (instance (export "new" (func $new)) (export "drop" (func $drop))))))
      (func (export "own") (param "n" u32) (canon lift (core func $i "own"))))"#;
    for kind in EngineKind::ALL {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, OWN).unwrap();
        let mut linker = Linker::new(&engine);
        let mut root = linker.root();
        root.func_wrap_async("pause", |_: StoreContextMut<'_, ()>, (n,): (u32,)| {
            Box::new(async move {
                turns(n as usize).await;
                Ok((n,))
            })
        })
        .unwrap();
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let own = instance
            .get_typed_func::<(u32,), ()>(&mut store, "own")
            .unwrap();
        block_on(own.call_async(&mut store, (0,))).unwrap();
        let error = block_on(own.call_async(&mut store, (1,))).unwrap_err();
        assert!(
            format!("{error:#}").contains("would have to wait"),
            "{error:#}"
        );
    }
}

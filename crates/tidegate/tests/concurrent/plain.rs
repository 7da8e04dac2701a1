//! Guests that are entered by plain calls: nothing that they import can block in the middle of their code.

use crate::{Gate, turns};
use std::sync::{Arc, Mutex};
use tidegate::{
    Accessor, CallCancelled, Component, Config, Engine, EngineKind, Instance, Linker, Store,
    StoreContextMut, Strategy, TypedFunc, block_on,
};

const GUEST: &str = include_str!("plain.wat");

/// What `again` calls, if anything.
type Again = Arc<Mutex<Option<TypedFunc<(u32,), (u32,)>>>>;

struct Plain {
    engine: Engine,
    linker: Linker<()>,
    component: Component,
    store: Store<()>,
    instance: Instance,
    gate: Gate,
    again: Again,
}

impl Plain {
    fn new(kind: EngineKind) -> Self {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, GUEST).unwrap();
        let [isolate] = &component.isolates()[..] else {
            panic!("one isolate");
        };
        assert_eq!(isolate.stack, None);
        let (gate, again) = (Gate::default(), Again::default());
        let mut linker = Linker::new(&engine);
        let (gates, calls) = (gate.clone(), again.clone());
        let mut root = linker.root();
        root.func_wrap_concurrent("wait", move |_: &Accessor<()>, (n,): (u32,)| {
            let gate = gates.clone();
            Box::pin(async move {
                if n > 0 {
                    gate.pass().await;
                }
                Ok((100 + n,))
            })
        })
        .unwrap();
        root.func_wrap("again", move |store: StoreContextMut<'_, ()>, (): ()| {
            let func = calls.lock().unwrap().clone();
            func.map_or(Ok((0,)), |func| func.call(store, (0,)))
        })
        .unwrap();
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        Self {
            engine,
            linker,
            component,
            store,
            instance,
            gate,
            again,
        }
    }

    fn func(&mut self, name: &str) -> TypedFunc<(u32,), (u32,)> {
        self.instance.get_typed_func(&mut self.store, name).unwrap()
    }

    fn count(&mut self) -> u32 {
        let count = self
            .instance
            .get_typed_func::<(), (u32,)>(&mut self.store, "count")
            .unwrap();
        count.call(&mut self.store, ()).unwrap().0
    }

    fn pressure(&mut self, on: bool) {
        let pressure = self
            .instance
            .get_typed_func::<(bool,), ()>(&mut self.store, "pressure")
            .unwrap();
        pressure.call(&mut self.store, (on,)).unwrap();
    }
}

fn each(test: impl Fn(Plain)) {
    for kind in EngineKind::ALL {
        test(Plain::new(kind));
    }
}

#[test]
fn what_returns_at_once_needs_no_driver() {
    each(|mut guest| {
        let (func, text) = (guest.func("callback"), "text");
        assert_eq!(func.call(&mut guest.store, (0,)).unwrap(), (100,));
        assert_eq!(
            block_on(func.call_async(&mut guest.store, (0,))).unwrap(),
            (100,)
        );
        let text = guest
            .instance
            .get_typed_func::<(u32,), (String,)>(&mut guest.store, text)
            .unwrap();
        assert_eq!(
            text.call(&mut guest.store, (9,)).unwrap(),
            ("some text".to_owned(),)
        );
        assert!(text.call(&mut guest.store, (u32::MAX,)).is_err());
        assert!(func.call(&mut guest.store, (0,)).is_err());
    });
}

#[test]
fn what_waits_is_left_to_the_driver() {
    each(|mut guest| {
        let func = guest.func("callback");
        let gate = guest.gate.clone();
        let opener = std::thread::spawn(move || gate.open());
        assert_eq!(func.call(&mut guest.store, (1,)).unwrap(), (101,));
        opener.join().unwrap();
        let yields = guest.func("yields");
        assert_eq!(yields.call(&mut guest.store, (5,)).unwrap(), (5,));
    });
}

#[test]
fn a_task_goes_on_after_it_has_returned() {
    each(|mut guest| {
        let (early, func) = (guest.func("early"), guest.func("callback"));
        assert_eq!(early.call(&mut guest.store, (3,)).unwrap(), (3,));
        assert_eq!(guest.count(), 0);
        guest.gate.open();
        block_on(guest.store.run_concurrent(async |_| turns(5).await)).unwrap();
        assert_eq!(guest.count(), 1);
        assert_eq!(func.call(&mut guest.store, (0,)).unwrap(), (100,));
    });
}

#[test]
fn a_trap_in_a_callback_ends_what_waits_in_the_instance() {
    each(|mut guest| {
        let (func, traps) = (guest.func("callback"), guest.func("traps"));
        let other = guest.linker.instantiate(&mut guest.store, &guest.component);
        let gate = guest.gate.clone();
        let result = block_on(guest.store.run_concurrent(async |accessor| {
            let trap = traps.call_concurrent(accessor, (1,));
            let waits = func.call_concurrent(accessor, (2,));
            turns(5).await;
            gate.open();
            (trap.await.unwrap_err(), waits.await.unwrap_err())
        }));
        let (trap, waits) = result.unwrap();
        assert!(format!("{trap:#}").contains("unreachable"), "{trap:#}");
        assert!(format!("{waits:#}").contains("unreachable"), "{waits:#}");
        assert!(func.call(&mut guest.store, (0,)).is_err());
        // Another instance of the same component is not concerned.
        let func = other
            .unwrap()
            .get_typed_func::<(u32,), (u32,)>(&mut guest.store, "callback")
            .unwrap();
        assert_eq!(func.call(&mut guest.store, (0,)).unwrap(), (100,));
    });
}

#[test]
fn a_function_that_exits_without_a_result_traps() {
    each(|mut guest| {
        let func = guest.func("not-returned");
        assert!(func.call(&mut guest.store, (0,)).is_err());
        assert!(guest.func("callback").call(&mut guest.store, (0,)).is_err());
    });
}

#[test]
fn a_dropped_call_cancels_its_task() {
    each(|mut guest| {
        let func = guest.func("callback");
        let result = block_on(guest.store.run_concurrent(async |accessor| {
            let cancelled = func.call_concurrent(accessor, (1,));
            turns(3).await;
            cancelled.cancel();
            let cancelled = cancelled.await.unwrap_err();
            let dropped = func.call_concurrent(accessor, (1,));
            turns(3).await;
            drop(dropped);
            turns(3).await;
            (
                cancelled,
                func.call_concurrent(accessor, (0,)).await.unwrap(),
            )
        }));
        let (cancelled, result) = result.unwrap();
        assert!(cancelled.is::<CallCancelled>());
        assert_eq!(result, (100,));
    });
}

#[test]
fn backpressure_holds_a_call_until_it_is_over() {
    each(|mut guest| {
        let func = guest.func("callback");
        guest.pressure(true);
        // Nobody will ever end it: that is a deadlock, and the call never began.
        let error = func.call(&mut guest.store, (0,)).unwrap_err();
        assert!(format!("{error:#}").contains("deadlock"), "{error:#}");
        guest.pressure(false);
        assert_eq!(func.call(&mut guest.store, (0,)).unwrap(), (100,));
        guest.pressure(true);
        let pressure = guest
            .instance
            .get_typed_func::<(bool,), ()>(&mut guest.store, "pressure")
            .unwrap();
        let result = block_on(guest.store.run_concurrent(async |accessor| {
            let held = func.call_concurrent(accessor, (0,));
            turns(3).await;
            accessor.with(|access| pressure.call(access, (false,)).unwrap())?;
            held.await
        }));
        assert_eq!(result.unwrap().unwrap(), (100,));
    });
}

#[test]
fn a_function_that_is_not_async_barges_in() {
    each(|mut guest| {
        let func = guest.func("callback");
        let count = guest
            .instance
            .get_typed_func::<(), (u32,)>(&mut guest.store, "count")
            .unwrap();
        let gate = guest.gate.clone();
        let result = block_on(guest.store.run_concurrent(async |accessor| {
            let waits = func.call_concurrent(accessor, (1,));
            turns(3).await;
            let counted = count.call_concurrent(accessor, ()).await.unwrap();
            let at_once = accessor
                .with(|access| count.call(access, ()).unwrap())
                .unwrap();
            gate.open();
            (counted, at_once, waits.await.unwrap())
        }));
        assert_eq!(result.unwrap(), ((0,), (0,), (101,)));
    });
}

#[test]
fn a_host_function_calls_another_instance_but_not_this_one() {
    each(|mut guest| {
        let again = guest
            .instance
            .get_typed_func::<(), (u32,)>(&mut guest.store, "again")
            .unwrap();
        let other = guest
            .linker
            .instantiate(&mut guest.store, &guest.component)
            .unwrap();
        let theirs = other.get_typed_func(&mut guest.store, "callback").unwrap();
        *guest.again.lock().unwrap() = Some(theirs);
        assert_eq!(again.call(&mut guest.store, ()).unwrap(), (100,));
        let own = guest.func("callback");
        *guest.again.lock().unwrap() = Some(own);
        let error = again.call(&mut guest.store, ()).unwrap_err();
        assert!(format!("{error:#}").contains("cannot enter"), "{error:#}");
    });
}

#[test]
fn a_wait_for_nothing_is_a_deadlock() {
    each(|mut guest| {
        let func = guest.func("forever");
        let error = func.call(&mut guest.store, (0,)).unwrap_err();
        assert!(format!("{error:#}").contains("deadlock"), "{error:#}");
    });
}

#[test]
fn a_host_function_that_waits_in_mid_stack_makes_it_suspendable() {
    for kind in EngineKind::ALL {
        let mut guest = Plain::new(kind);
        let mut linker = Linker::new(&guest.engine);
        let mut root = linker.root();
        root.func_wrap_concurrent("wait", |_: &Accessor<()>, (n,): (u32,)| {
            Box::pin(async move { Ok((n,)) })
        })
        .unwrap();
        let gate = guest.gate.clone();
        root.func_wrap_async("again", move |_: StoreContextMut<'_, ()>, (): ()| {
            let gate = gate.clone();
            Box::new(async move {
                gate.pass().await;
                Ok((7u32,))
            })
        })
        .unwrap();
        let instance = linker
            .instantiate(&mut guest.store, &guest.component)
            .unwrap();
        let again = instance
            .get_typed_func::<(), (u32,)>(&mut guest.store, "again")
            .unwrap();
        guest.gate.open();
        assert_eq!(again.call(&mut guest.store, ()).unwrap(), (7,));
    }
}

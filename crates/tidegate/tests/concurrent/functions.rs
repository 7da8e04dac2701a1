//! Guests call host functions that run concurrently.

use crate::{Guest, Log, each, poll_once};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use tidegate::{Accessor, Component, EngineKind, Linker, TypedFunc, block_on};

#[test]
fn a_function_that_is_ready_returns_at_once() {
    each(|mut guest| {
        for name in ["blocking", "callback"] {
            let func = guest.func(name);
            assert_eq!(func.call(&mut guest.store, (0,)).unwrap(), (100,), "{name}");
        }
        assert_eq!(
            *guest.store.data(),
            ["begin 0", "end 0", "begin 0", "end 0"]
        );
        assert_eq!(guest.waiting(), 0);
    });
}

#[test]
fn a_function_that_waits_is_waited_for() {
    each(|mut guest| {
        for name in ["blocking", "callback"] {
            let func = guest.func(name);
            let gate = guest.gate.clone();
            let mut call = pin!(func.call_async(&mut guest.store, (1,)));
            assert!(poll_once(call.as_mut()).is_pending(), "{name}");
            gate.open();
            assert_eq!(block_on(call).unwrap(), (101,), "{name}");
        }
        assert_eq!(guest.waiting(), 0);
    });
}

#[test]
fn an_error_of_a_function_is_the_callers_trap() {
    each(|mut guest| {
        let func = guest.func("blocking");
        let error = func.call(&mut guest.store, (3,)).unwrap_err();
        assert!(format!("{error:#}").contains("cannot wait"), "{error:#}");
        let error = func.call(&mut guest.store, (0,)).unwrap_err();
        assert!(
            format!("{error:#}").contains("an earlier trap"),
            "{error:#}"
        );
    });
}

#[test]
fn an_error_of_a_function_that_waited_is_the_callers_trap() {
    each(|mut guest| {
        for name in ["blocking", "callback"] {
            let mut guest = crate::Guest {
                ..crate::Guest::new(guest.store.engine().kind())
            };
            let func = guest.func(name);
            guest.gate.open();
            let error = func.call(&mut guest.store, (4,)).unwrap_err();
            let text = format!("{error:#}");
            assert!(text.contains("cannot wait any more"), "{name}: {text}");
        }
        assert_eq!(
            guest.func("blocking").call(&mut guest.store, (0,)).unwrap(),
            (100,)
        );
    });
}

#[test]
fn the_store_is_not_borrowed_twice() {
    each(|mut guest| {
        let error = block_on(guest.store.run_concurrent(async |accessor| {
            accessor
                .with(|_| accessor.with(|_| ()).unwrap_err())
                .unwrap()
        }));
        assert!(error.unwrap().to_string().contains("in use"));
    });
}

#[test]
fn what_a_call_leaves_is_as_new_for_the_next() {
    each(|mut guest| {
        let (cancelling, callback) = (guest.func("cancelling"), guest.func("callback"));
        let blocking = guest.func("blocking");
        for _ in 0..3 {
            // It is asked to end, and watches; then another, which nobody asks.
            assert_eq!(
                cancelling.call(&mut guest.store, (2,)).unwrap(),
                (2 | 7 << 16,)
            );
            for func in [&callback, &blocking] {
                let gate = guest.gate.clone();
                let mut call = pin!(func.call_async(&mut guest.store, (2,)));
                assert!(poll_once(call.as_mut()).is_pending());
                gate.open();
                assert_eq!(block_on(call).unwrap(), (102,));
            }
            assert_eq!(callback.call(&mut guest.store, (0,)).unwrap(), (100,));
        }
        assert_eq!(guest.waiting(), 0);
    });
}

/// A future's turn may have a guest of another store called, whose host function has its turn in turn.
#[test]
fn each_turn_finds_its_own_store() {
    for kind in EngineKind::ALL {
        let mut outer = Guest::new(kind);
        let inner = Arc::new(Mutex::new(Guest::new(kind)));
        let component = Component::new(outer.store.engine(), crate::GUEST).unwrap();
        let mut linker = Linker::new(outer.store.engine());
        let calls = inner.clone();
        linker
            .root()
            .func_wrap_concurrent("wait", move |accessor: &Accessor<Log>, (n,): (u32,)| {
                let inner = calls.clone();
                Box::pin(async move {
                    accessor.with(|mut access| access.get().push("before".into()))?;
                    let result = {
                        let mut inner = inner.lock().unwrap();
                        let func = inner.func("blocking");
                        func.call(&mut inner.store, (n,))?
                    };
                    accessor.with(|mut access| access.get().push("after".into()))?;
                    Ok(result)
                })
            })
            .unwrap();
        let instance = linker.instantiate(&mut outer.store, &component).unwrap();
        let func: TypedFunc<(u32,), (u32,)> = instance
            .get_typed_func(&mut outer.store, "callback")
            .unwrap();
        for _ in 0..2 {
            assert_eq!(func.call(&mut outer.store, (0,)).unwrap(), (100,));
        }
        assert_eq!(*outer.store.data(), ["before", "after", "before", "after"]);
        assert_eq!(
            *inner.lock().unwrap().store.data(),
            ["begin 0", "end 0", "begin 0", "end 0"]
        );
    }
}

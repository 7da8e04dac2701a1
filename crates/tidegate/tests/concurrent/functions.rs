//! Guests call host functions that run concurrently.

use crate::{each, poll_once};
use std::pin::pin;
use tidegate::block_on;

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

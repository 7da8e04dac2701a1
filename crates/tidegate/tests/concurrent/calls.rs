//! The host calls guests concurrently.

use crate::{Guest, each, poll_once, turns};
use std::pin::pin;
use tidegate::{EngineKind, Val, block_on};

#[test]
fn calls_run_beside_each_other() {
    // Each keeps its stack, so one instance would need several.
    each(|mut guest| {
        let (callback, gate) = (guest.func("callback"), guest.gate.clone());
        let results = guest.store.run_concurrent(async |accessor| {
            let waits = callback.call_concurrent(accessor, (1,));
            turns(5).await;
            let ready = callback.call_concurrent(accessor, (0,)).await.unwrap();
            gate.open();
            (ready, waits.await.unwrap())
        });
        assert_eq!(block_on(results).unwrap(), ((100,), (101,)));
        assert_eq!(
            *guest.store.data(),
            ["begin 1", "begin 0", "end 0", "end 1"]
        );
    });
}

#[test]
fn what_is_not_awaited_goes_on_later() {
    each(|mut guest| {
        let (callback, gate) = (guest.func("callback"), guest.gate.clone());
        let call = guest.store.run_concurrent(async |accessor| {
            let call = callback.call_concurrent(accessor, (1,));
            turns(5).await;
            (call,)
        });
        let (call,) = block_on(call).unwrap();
        assert_eq!(guest.waiting(), 1);
        gate.open();
        let result = guest.store.run_concurrent(async |_| call.await);
        assert_eq!(block_on(result).unwrap().unwrap(), (101,));
    });
}

#[test]
fn dynamic_values_do_as_well() {
    each(|mut guest| {
        let func = guest.func("blocking").func().clone();
        let result = guest.store.run_concurrent(async |accessor| {
            func.call_concurrent(accessor, vec![Val::U32(0)]).await
        });
        assert_eq!(block_on(result).unwrap().unwrap(), Some(Val::U32(100)));
        let result = guest.store.run_concurrent(async |accessor| {
            func.call_concurrent(accessor, vec![Val::Bool(true)]).await
        });
        assert!(block_on(result).unwrap().is_err());
    });
}

#[test]
fn the_futures_may_be_dropped_and_the_store_goes_on() {
    each(|mut guest| {
        let (callback, gate) = (guest.func("callback"), guest.gate.clone());
        {
            let mut run = pin!(guest.store.run_concurrent(async |accessor| {
                callback.call_concurrent(accessor, (1,)).await
            }));
            assert!(poll_once(run.as_mut()).is_pending());
        }
        // The call was cancelled by the drop; the next driver does it.
        let result = guest.store.run_concurrent(async |accessor| {
            turns(5).await;
            callback.call_concurrent(accessor, (0,)).await
        });
        assert_eq!(block_on(result).unwrap().unwrap(), (100,));
        assert_eq!(guest.waiting(), 0);
        drop(gate);
    });
}

#[test]
fn a_trap_ends_the_calls_of_its_instance_only() {
    let mut guest = Guest::new(EngineKind::Wasmi);
    let mut other = Guest::new(EngineKind::Wasmi);
    let (blocking, callback) = (guest.func("blocking"), guest.func("callback"));
    let error = block_on(guest.store.run_concurrent(async |accessor| {
        let waits = callback.call_concurrent(accessor, (1,));
        turns(5).await;
        let failed = blocking.call_concurrent(accessor, (3,)).await.unwrap_err();
        (format!("{failed:#}"), waits.await.unwrap_err())
    }))
    .unwrap();
    assert!(error.0.contains("cannot wait"), "{}", error.0);
    assert_eq!(guest.waiting(), 0);
    let func = other.func("blocking");
    assert_eq!(func.call(&mut other.store, (0,)).unwrap(), (100,));
    // A function of another store is refused.
    let wrong = block_on(
        guest
            .store
            .run_concurrent(async |accessor| func.call_concurrent(accessor, (0,)).await),
    );
    assert!(wrong.unwrap().unwrap_err().to_string().contains("store"));
}

//! Calls are cancelled: of the host by guests, of guests by the host.

use crate::{each, poll_once, turns};
use tidegate::{CallCancelled, block_on};

const CANCELLED: u32 = 4;
const RETURNED: u32 = 2;

#[test]
fn a_function_that_does_not_watch_is_dropped() {
    each(|mut guest| {
        let func = guest.func("cancelling");
        assert_eq!(func.call(&mut guest.store, (1,)).unwrap(), (CANCELLED,));
        assert_eq!(guest.waiting(), 0);
        assert_eq!(*guest.store.data(), ["begin 1"]);
        // The instance goes on.
        assert_eq!(func.call(&mut guest.store, (1,)).unwrap(), (CANCELLED,));
    });
}

#[test]
fn a_function_that_watches_may_return_what_it_has() {
    each(|mut guest| {
        let func = guest.func("cancelling");
        let state = func.call(&mut guest.store, (2,)).unwrap();
        assert_eq!(state, (RETURNED | 7 << 16,));
        assert_eq!(guest.waiting(), 0);
    });
}

#[test]
fn a_dropped_call_cancels_its_task_and_what_that_waits_for() {
    each(|mut guest| {
        let func = guest.func("callback");
        let waiting = guest.store.run_concurrent(async |accessor| {
            let call = func.call_concurrent(accessor, (1,));
            turns(5).await;
            drop(call);
            turns(5).await;
            func.call_concurrent(accessor, (0,)).await.unwrap()
        });
        assert_eq!(block_on(waiting).unwrap(), (100,));
        assert_eq!(guest.waiting(), 0);
    });
}

#[test]
fn a_dropped_call_that_drives_the_store_cancels_its_task() {
    each(|mut guest| {
        let func = guest.func("callback");
        for _ in 0..3 {
            let mut call = Box::pin(func.call_async(&mut guest.store, (1,)));
            for _ in 0..5 {
                assert!(poll_once(call.as_mut()).is_pending());
            }
            drop(call);
            assert_eq!(guest.waiting(), 1);
            // The guest learns of it when the store is driven.
            block_on(guest.store.run_concurrent(async |_| turns(5).await)).unwrap();
            assert_eq!(guest.waiting(), 0);
        }
        // Its instance stays usable.
        assert_eq!(func.call(&mut guest.store, (0,)).unwrap(), (100,));
    });
}

#[test]
fn a_dropped_call_that_waits_to_start_never_does() {
    each(|mut guest| {
        let [blocking, callback] = ["blocking", "callback"].map(|name| guest.func(name));
        let gate = guest.gate.clone();
        // This one has its instance for itself until it is done.
        let first = guest.store.run_concurrent(async |accessor| {
            let call = blocking.call_concurrent(accessor, (1,));
            turns(5).await;
            (call,)
        });
        let (first,) = block_on(first).unwrap();
        let mut second = Box::pin(callback.call_async(&mut guest.store, (0,)));
        assert!(poll_once(second.as_mut()).is_pending());
        drop(second);
        gate.open();
        let result = block_on(guest.store.run_concurrent(async |_| first.await));
        assert_eq!(result.unwrap().unwrap(), (101,));
        assert_eq!(*guest.store.data(), ["begin 1", "end 1"]);
        assert_eq!(callback.call(&mut guest.store, (0,)).unwrap(), (100,));
    });
}

#[test]
fn a_cancelled_call_says_so() {
    each(|mut guest| {
        let func = guest.func("callback");
        let error = guest.store.run_concurrent(async |accessor| {
            let call = func.call_concurrent(accessor, (1,));
            turns(5).await;
            call.cancel();
            call.await.unwrap_err()
        });
        assert!(block_on(error).unwrap().is::<CallCancelled>());
    });
}

#[test]
fn a_call_that_never_began_is_cancelled_before_it_does() {
    each(|mut guest| {
        let func = guest.func("callback");
        let error = guest.store.run_concurrent(async |accessor| {
            let call = func.call_concurrent(accessor, (1,));
            call.cancel();
            call.await
        });
        // It begins before the driver comes to the request.
        assert!(block_on(error).unwrap().unwrap_err().is::<CallCancelled>());
    });
}

#[test]
fn cancelling_a_call_that_has_returned_changes_nothing() {
    each(|mut guest| {
        let func = guest.func("callback");
        let result = guest.store.run_concurrent(async |accessor| {
            let call = func.call_concurrent(accessor, (0,));
            turns(5).await;
            call.cancel();
            call.await
        });
        assert_eq!(block_on(result).unwrap().unwrap(), (100,));
    });
}

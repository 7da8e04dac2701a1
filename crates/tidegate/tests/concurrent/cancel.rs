//! Calls are cancelled: of the host by guests, of guests by the host.

use crate::{each, turns};
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

//! Tasks that are spawned in a store.

use crate::{each, turns};
use tidegate::{Aborted, block_on};

#[test]
fn a_task_runs_beside_a_call() {
    each(|mut guest| {
        let (func, gate) = (guest.func("callback"), guest.gate.clone());
        let result = guest.store.run_concurrent(async |accessor| {
            let opener = accessor
                .spawn(|accessor| async move {
                    turns(3).await;
                    gate.open();
                    accessor.with(|mut access| access.get().len()).unwrap()
                })
                .unwrap();
            let called = func.call_concurrent(accessor, (1,)).await.unwrap();
            (called, opener.await.unwrap())
        });
        assert_eq!(block_on(result).unwrap(), ((101,), 1));
    });
}

#[test]
fn a_task_can_be_aborted() {
    each(|mut guest| {
        let (gate, alive) = (guest.gate.clone(), guest.alive.clone());
        let error = guest.store.run_concurrent(async |accessor| {
            let task = accessor
                .spawn(|_| async move {
                    let _alive = alive;
                    gate.pass().await;
                })
                .unwrap();
            turns(2).await;
            task.abort();
            turns(2).await;
            task.await.unwrap_err()
        });
        assert!(block_on(error).unwrap().is::<Aborted>());
        assert_eq!(guest.waiting(), 0);
    });
}

#[test]
fn a_task_goes_on_without_its_handle_and_ends_with_the_store() {
    each(|mut guest| {
        let (gate, alive) = (guest.gate.clone(), guest.alive.clone());
        let spawned = guest.store.run_concurrent(async |accessor| {
            let task = accessor.spawn(|_| async move {
                let _alive = alive;
                gate.pass().await;
            });
            drop(task.unwrap());
        });
        block_on(spawned).unwrap();
        assert_eq!(guest.waiting(), 1);
        let alive = guest.alive.clone();
        drop(guest);
        assert_eq!(std::sync::Arc::strong_count(&alive), 1);
    });
}

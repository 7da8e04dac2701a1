//! The store is used while it is in use: that works, or is an error that says what to do.

use crate::{GUEST, each, turns};
use std::task::Poll;
use tidegate::{
    Component, Config, Engine, EngineKind, GuestWaits, Linker, Store, StoreContextMut, Strategy,
    block_on,
};

#[test]
fn a_guest_is_called_inside_a_borrow_of_the_store() {
    each(|mut guest| {
        let (func, gate) = (guest.func("callback"), guest.gate.clone());
        let result = block_on(guest.store.run_concurrent(async |accessor| {
            // `wait` borrows the store in turn; once it is ready at once, once it waits.
            accessor.with(|access| func.call(access, (0,)).unwrap())?;
            gate.open();
            accessor.with(|access| func.call(access, (1,)).unwrap())
        }));
        assert_eq!(result.unwrap().unwrap(), (101,));
        assert_eq!(guest.waiting(), 0);
    });
}

#[test]
fn the_store_is_driven_inside_a_borrow_of_it() {
    each(|mut guest| {
        let (func, gate) = (guest.func("callback"), guest.gate.clone());
        let result = block_on(guest.store.run_concurrent(async |accessor| {
            let outer = func.call_concurrent(accessor, (1,));
            turns(5).await;
            gate.open();
            let inner = accessor.with(|mut access| {
                let mut store = tidegate::AsContextMut::as_context_mut(&mut access);
                block_on(store.run_concurrent(async |accessor| {
                    func.call_concurrent(accessor, (0,)).await.unwrap()
                }))
            });
            (inner.unwrap().unwrap(), outer.await.unwrap())
        }));
        assert_eq!(result.unwrap(), ((100,), (101,)));
    });
}

#[test]
fn a_task_that_drives_the_store_does_not_miss_that_it_was_woken() {
    each(|mut guest| {
        let (func, gate) = (guest.func("callback"), guest.gate.clone());
        let result = block_on(guest.store.run_concurrent(async |accessor| {
            let opener = accessor.spawn(|_| async move {
                turns(3).await;
                gate.open();
            });
            let task = accessor.spawn(|accessor| {
                let mut called = None;
                std::future::poll_fn(move |cx| match called.take() {
                    Some(result) => Poll::Ready(result),
                    None => {
                        // The driver within comes to this wake-up while this very task is being polled.
                        cx.waker().wake_by_ref();
                        called = Some(accessor.with(|access| func.call(access, (1,)).unwrap()));
                        Poll::Pending
                    }
                })
            });
            let result = task.unwrap().await.unwrap().unwrap();
            opener.unwrap().await.unwrap();
            result
        }));
        assert_eq!(result.unwrap(), (101,));
    });
}

#[test]
fn guests_cannot_run_side_by_side_while_one_waits_for_who_asks() {
    for kind in EngineKind::ALL {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, GUEST).unwrap();
        let mut linker = Linker::<u32>::new(&engine);
        linker
            .root()
            .func_wrap(
                "wait",
                |mut store: StoreContextMut<'_, u32>, (n,): (u32,)| {
                    let refused = block_on(store.run_concurrent(async |_| ()));
                    assert!(refused.unwrap_err().is::<GuestWaits>());
                    *store.data_mut() = n;
                    Ok((n + 1,))
                },
            )
            .unwrap();
        let mut store = Store::new(&engine, 0);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let func = instance
            .get_typed_func::<(u32,), (u32,)>(&mut store, "blocking")
            .unwrap();
        assert_eq!(func.call(&mut store, (7,)).unwrap(), (8,));
        assert_eq!(*store.data(), 7);
    }
}

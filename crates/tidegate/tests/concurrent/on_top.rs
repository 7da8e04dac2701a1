//! Functions that are not `async`, called while a task of their instance is parked in mid-stack: compiled, they run on top of it.

use crate::{Gate, Log, poll_once, turns};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tidegate::interrupt::{InterruptHandle, Terminated};
use tidegate::{
    Accessor, Component, ConcurrentCall, Config, Engine, EngineKind, Linker, Result, Store,
    StoreContextMut, Strategy, TypedFunc, block_on,
};

const GUEST: &str = include_str!("on_top.wat");

type Func = TypedFunc<(u32,), (u32,)>;

/// What `pause` does on its way, besides giving what it is given and 10.
#[derive(Clone, Default)]
enum Meanwhile {
    #[default]
    Nothing,
    Open(Gate),
    /// Opens the gate, and calls another instance, which drives the store.
    Call(Gate, Func),
    Drop(Arc<Mutex<Option<ConcurrentCall<(u32,)>>>>),
    Terminate(InterruptHandle),
    TerminateLater(InterruptHandle),
}

struct Parked {
    store: Store<Log>,
    /// Of the first instance.
    parks: Func,
    funcs: [tidegate::Instance; 2],
    gate: Gate,
    meanwhile: Arc<Mutex<Meanwhile>>,
}

impl Parked {
    fn new(kind: EngineKind) -> Self {
        Self::with(kind, |_| {})
    }

    fn with(kind: EngineKind, set: impl Fn(&mut Config)) -> Self {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        set(&mut config);
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, GUEST).unwrap();
        let isolates = component.isolates();
        assert!(
            isolates.iter().all(|one| one.engine == kind),
            "{isolates:?}"
        );
        let (gate, mut linker) = (Gate::default(), Linker::new(&engine));
        let meanwhile = Arc::<Mutex<Meanwhile>>::default();
        let (gates, does) = (gate.clone(), meanwhile.clone());
        let mut root = linker.root();
        root.func_wrap_concurrent("wait", move |accessor: &Accessor<Log>, (n,): (u32,)| {
            let gate = gates.clone();
            Box::pin(async move {
                match n {
                    1 => gate.pass().await,
                    _ => turns(3).await,
                }
                accessor.with(|mut access| access.get().push(format!("waited {n}")))?;
                Ok((100 + n,))
            })
        })
        .unwrap();
        root.func_wrap_async(
            "pause",
            move |store: StoreContextMut<'_, Log>, (n,): (u32,)| {
                let does = does.lock().unwrap().clone();
                Box::new(async move { pause(store, n, does).await })
            },
        )
        .unwrap();
        let mut store = Store::new(&engine, Log::new());
        let funcs = [(); 2].map(|()| linker.instantiate(&mut store, &component).unwrap());
        let parks = funcs[0].get_typed_func(&mut store, "parks").unwrap();
        Self {
            store,
            parks,
            funcs,
            gate,
            meanwhile,
        }
    }

    fn func(&mut self, name: &str) -> Func {
        self.funcs[0].get_typed_func(&mut self.store, name).unwrap()
    }

    fn meanwhile(&self, does: Meanwhile) {
        *self.meanwhile.lock().unwrap() = does;
    }

    /// Calls a function while a task of the instance is parked in mid-stack, and then has that task go on.
    fn beside(&mut self, name: &str, n: u32) -> (Result<u32>, Result<u32>) {
        let (parks, other, gate) = (self.parks.clone(), self.func(name), self.gate.clone());
        let results = block_on(self.store.run_concurrent(async |accessor| {
            let parked = parks.call_concurrent(accessor, (1,));
            turns(3).await;
            let other = other.call_concurrent(accessor, (n,)).await;
            gate.open();
            (other.map(|(n,)| n), parked.await.map(|(n,)| n))
        }));
        results.unwrap()
    }

    /// Leaves a task parked; gives its call.
    fn park(&mut self) -> ConcurrentCall<(u32,)> {
        let parks = self.parks.clone();
        let parked = block_on(self.store.run_concurrent(async |accessor| {
            let parked = parks.call_concurrent(accessor, (1,));
            turns(3).await;
            Some(parked)
        }));
        parked.unwrap().unwrap()
    }
}

/// Waits with the store in its hands.
async fn pause(mut store: StoreContextMut<'_, Log>, n: u32, does: Meanwhile) -> Result<(u32,)> {
    store.data_mut().push(format!("pause {n}"));
    turns(2).await;
    match does {
        Meanwhile::Nothing => {}
        Meanwhile::Open(gate) => gate.open(),
        Meanwhile::Call(gate, func) => {
            gate.open();
            let called = func.call_async(&mut store, (n + 1,)).await;
            let told =
                called.map_or_else(|error| error.root_cause().to_string(), |(n,)| n.to_string());
            store.data_mut().push(format!("called: {told}"));
        }
        Meanwhile::Drop(call) => drop(call.lock().unwrap().take()),
        Meanwhile::Terminate(handle) => handle.terminate("enough"),
        Meanwhile::TerminateLater(handle) => {
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(20));
                handle.terminate("enough");
            });
        }
    }
    turns(2).await;
    store.data_mut().push(format!("paused {n}"));
    Ok((n + 10,))
}

fn each(test: impl Fn(Parked)) {
    for kind in EngineKind::ALL {
        test(Parked::new(kind));
    }
}

#[test]
fn a_function_that_is_not_async_runs_beside_a_parked_stack() {
    each(|mut guest| {
        let (count, parked) = guest.beside("count", 0);
        assert_eq!((count.unwrap(), parked.unwrap()), (1, 101));
    });
}

#[test]
fn it_waits_beside_a_parked_stack() {
    each(|mut guest| {
        for (name, gives) in [
            ("pauses", 15),
            ("pauses-twice", 31),
            ("yields", 15),
            ("calls", 1015),
            ("calls-async", 2015),
            ("computes", 25),
        ] {
            let (other, parked) = guest.beside(name, 5);
            assert_eq!((other.unwrap(), parked.unwrap()), (gives, 101), "{name}");
        }
        assert_eq!(
            guest.store.data()[..6],
            [
                "pause 5", "paused 5", "waited 1", "pause 5", "paused 5", "pause 6"
            ]
        );
    });
}

#[test]
fn it_waits_where_the_host_waits_on_its_own_stack() {
    each(|mut guest| {
        let (parks, pauses, gate) = (
            guest.parks.clone(),
            guest.func("pauses-twice"),
            guest.gate.clone(),
        );
        let results = block_on(guest.store.run_concurrent(async |accessor| {
            let parked = parks.call_concurrent(accessor, (1,));
            turns(3).await;
            let paused = accessor.with(|access| pauses.call(access, (5,)))?;
            gate.open();
            Result::<_>::Ok((paused?, parked.await?))
        }));
        assert_eq!(results.unwrap().unwrap(), ((31,), (101,)));
    });
}

#[test]
fn it_is_interrupted_and_goes_on_beside_a_parked_stack() {
    for kind in EngineKind::ALL {
        let mut guest = Parked::with(kind, |config| {
            config.pause_often(NonZeroU32::MIN);
        });
        for (name, gives) in [("computes", 5060), ("calls-async", 2110), ("yields", 110)] {
            let (other, parked) = guest.beside(name, 100);
            assert_eq!((other.unwrap(), parked.unwrap()), (gives, 101), "{name}");
        }
    }
}

#[test]
fn what_is_parked_below_goes_on_after_it_though_its_event_came_before() {
    each(|mut guest| {
        guest.meanwhile(Meanwhile::Open(guest.gate.clone()));
        let (twice, parked) = guest.beside("pauses-twice", 1);
        assert_eq!((twice.unwrap(), parked.unwrap()), (23, 101));
        let told = &guest.store.data()[..5];
        assert_eq!(
            told,
            ["pause 1", "paused 1", "pause 2", "paused 2", "waited 1"]
        );
    });
}

#[test]
fn the_store_is_driven_while_it_waits_beside_a_parked_stack() {
    each(|mut guest| {
        let other = guest.funcs[1]
            .get_typed_func(&mut guest.store, "parks")
            .unwrap();
        guest.meanwhile(Meanwhile::Call(guest.gate.clone(), other));
        let (paused, parked) = guest.beside("calls", 1);
        assert_eq!((paused.unwrap(), parked.unwrap()), (1011, 101));
        // What the host does gets on while the store is driven; whoever is parked does not, before the function has returned.
        let told = guest.store.data().clone();
        assert_eq!(told[..3], ["pause 1", "waited 1", "waited 2"]);
        assert!(told[3].starts_with("called: deadlock"), "{}", told[3]);
        assert_eq!(told[4], "paused 1");
        // Its own instance cannot be called meanwhile.
        let own = guest.func("count");
        guest.meanwhile(Meanwhile::Call(guest.gate.clone(), own));
        let (paused, parked) = guest.beside("pauses", 1);
        assert_eq!((paused.unwrap(), parked.unwrap()), (11, 101));
        assert!(
            guest
                .store
                .data()
                .iter()
                .any(|line| line.contains("cannot enter"))
        );
    });
}

#[test]
fn the_call_of_what_is_parked_below_is_dropped() {
    each(|mut guest| {
        let parked = Arc::new(Mutex::new(Some(guest.park())));
        guest.meanwhile(Meanwhile::Drop(parked));
        let pauses = guest.func("pauses-twice");
        let paused = block_on(pauses.call_async(&mut guest.store, (1,)));
        assert_eq!(paused.unwrap(), (23,));
        // It goes on all the same, as it cannot be told.
        guest.gate.open();
        block_on(guest.store.run_concurrent(async |_| turns(5).await)).unwrap();
        assert_eq!(guest.store.data().last().unwrap(), "waited 1");
        let count = guest.func("count");
        assert_eq!(count.call(&mut guest.store, (0,)).unwrap(), (1,));
    });
}

#[test]
fn a_call_that_waits_beside_a_parked_stack_is_dropped() {
    for kind in EngineKind::ALL {
        for (name, polls) in [("pauses", 1), ("pauses-twice", 6), ("calls-async", 2)] {
            let mut guest = Parked::new(kind);
            let (mut parked, other) = (guest.park(), guest.func(name));
            {
                let mut call = pin!(other.call_async(&mut guest.store, (1,)));
                for _ in 0..polls {
                    assert!(poll_once(call.as_mut()).is_pending());
                }
            }
            // The instance ends with it, and so does what was parked there.
            guest.gate.open();
            let ended = block_on(guest.store.run_concurrent(async |_| (&mut parked).await));
            assert!(ended.unwrap().is_err(), "{name}");
            assert!(other.call(&mut guest.store, (1,)).is_err());
            let count: Func = guest.funcs[1]
                .get_typed_func(&mut guest.store, "count")
                .unwrap();
            assert_eq!(count.call(&mut guest.store, (0,)).unwrap(), (1,));
        }
    }
}

#[test]
fn the_store_is_dropped_while_something_waits_beside_a_parked_stack() {
    each(|mut guest| {
        let (_parked, other) = (guest.park(), guest.func("calls"));
        let mut call = Box::pin(async move {
            let mut store = guest.store;
            other.call_async(&mut store, (1,)).await
        });
        assert!(poll_once(call.as_mut()).is_pending());
    });
}

#[test]
fn a_call_that_waits_beside_a_parked_stack_is_terminated() {
    for interruptible in [false, true] {
        for kind in EngineKind::ALL {
            let mut guest = Parked::with(kind, |config| {
                config.core().interruptible = interruptible;
            });
            let (mut parked, pauses) = (guest.park(), guest.func("pauses-twice"));
            let handle = guest.store.interrupt_handle();
            guest.meanwhile(Meanwhile::Terminate(handle));
            let error = block_on(pauses.call_async(&mut guest.store, (1,))).unwrap_err();
            assert!(error.is::<Terminated>(), "{error:#}");
            guest.gate.open();
            let ended = block_on(guest.store.run_concurrent(async |_| (&mut parked).await));
            assert!(ended.unwrap().is_err());
        }
    }
}

#[test]
fn a_call_that_computes_beside_a_parked_stack_is_terminated() {
    for kind in EngineKind::ALL {
        let mut guest = Parked::with(kind, |config| {
            config.core().interruptible = true;
        });
        let (mut parked, spins) = (guest.park(), guest.func("pauses-and-spins"));
        let handle = guest.store.interrupt_handle();
        guest.meanwhile(Meanwhile::TerminateLater(handle));
        let error = block_on(spins.call_async(&mut guest.store, (1,))).unwrap_err();
        assert!(error.is::<Terminated>(), "{error:#}");
        guest.gate.open();
        let ended = block_on(guest.store.run_concurrent(async |_| (&mut parked).await));
        assert!(ended.unwrap().is_err());
    }
}

#[test]
fn a_trap_beside_a_parked_stack_ends_both() {
    for kind in EngineKind::ALL {
        for name in ["traps", "pauses-and-traps"] {
            let (trapped, parked) = Parked::new(kind).beside(name, 1);
            let (trapped, parked) = (trapped.unwrap_err(), parked.unwrap_err());
            assert!(
                format!("{trapped:#}").contains("unreachable"),
                "{trapped:#}"
            );
            assert!(format!("{parked:#}").contains("unreachable"), "{parked:#}");
        }
    }
}

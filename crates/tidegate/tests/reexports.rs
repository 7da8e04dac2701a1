//! Functions that a component exports as it imported them, called by the host.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tidegate::{
    Component, Config, Engine, EngineKind, Instance, Linker, Resource, ResourceType, Store,
    Strategy, Val, WrongStore, block_on,
};

const COMPONENT: &str = r#"(component
    (import "add" (func $add (param "a" u32) (param "b" u32) (result u32)))
    (import "nothing" (func $nothing))
    (import "greet" (func $greet (param "name" string) (result string)))
    (import "many" (func $many
        (param "words" (list string)) (param "a" (tuple u64 u64 u64 u64 u64 u64 u64 u64))
        (param "b" (tuple f64 f64 f64 f64 f64 f64 f64 f64)) (result (tuple u64 f64 (list string)))))
    (import "later" (func $later (param "n" u32) (result u32)))
    (import "beside" (func $beside async (param "n" u32) (result string)))
    (import "things" (instance $things
        (export "thing" (type $thing (sub resource)))
        (export "make" (func (param "n" u32) (result (own $thing))))
        (export "look" (func (param "thing" (borrow $thing)) (result u32)))
        (export "take" (func (param "thing" (own $thing)) (result u32)))))
    (component $inner
        (import "add" (func $add (param "a" u32) (param "b" u32) (result u32)))
        (export "sum" (func $add)))
    (instance $inner (instantiate $inner (with "add" (func $add))))
    (export "add" (func $add))
    (export "add-again" (func $inner "sum"))
    (export "nothing" (func $nothing))
    (export "greet" (func $greet))
    (export "many" (func $many))
    (export "later" (func $later))
    (export "beside" (func $beside))
    (export "their-things" (instance $things)))"#;

/// A resource of the host's.
struct Thing;

#[derive(Default)]
struct State {
    dropped: Vec<u32>,
    /// How many calls of `beside` have begun.
    begun: Arc<AtomicUsize>,
    /// Whom to wake when they may end.
    waiting: Arc<Mutex<Vec<Waker>>>,
    open: Arc<Mutex<bool>>,
}

struct Guest {
    store: Store<State>,
    instance: Instance,
}

type Many = (
    Vec<String>,
    (u64, u64, u64, u64, u64, u64, u64, u64),
    (f64, f64, f64, f64, f64, f64, f64, f64),
);

fn each(test: impl Fn(Guest)) {
    for kind in EngineKind::ALL {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        test(guest(&Engine::new(&config).unwrap()));
    }
}

fn guest(engine: &Engine) -> Guest {
    let component = Component::new(engine, COMPONENT).unwrap();
    let mut linker: Linker<State> = Linker::new(engine);
    let mut root = linker.root();
    root.func_wrap("add", |_, (a, b): (u32, u32)| {
        let sum = a.checked_add(b);
        Ok((sum.ok_or_else(|| anyhow::anyhow!("too much"))?,))
    })
    .unwrap();
    root.func_wrap("nothing", |_, (): ()| Ok(())).unwrap();
    root.func_new("greet", |_, params, results| {
        let [Val::String(name)] = params else {
            anyhow::bail!("no name")
        };
        results[0] = Val::String(format!("Hello, {name}!"));
        Ok(())
    })
    .unwrap();
    root.func_wrap("many", |_, (mut words, a, b): Many| {
        words.reverse();
        Ok(((a.0 + a.7, b.0 + b.7, words),))
    })
    .unwrap();
    root.func_wrap_async("later", |_, (n,): (u32,)| {
        Box::new(async move {
            yields(n).await;
            Ok((n + 1,))
        })
    })
    .unwrap();
    root.func_wrap_concurrent(
        "beside",
        |accessor: &tidegate::Accessor<State>, (n,): (u32,)| {
            Box::pin(async move {
                let (waiting, open) = accessor.with(|mut access| {
                    let state = access.data_mut();
                    state.begun.fetch_add(1, Ordering::Relaxed);
                    (state.waiting.clone(), state.open.clone())
                })?;
                std::future::poll_fn(|cx| {
                    if *open.lock().unwrap() {
                        return Poll::Ready(());
                    }
                    waiting.lock().unwrap().push(cx.waker().clone());
                    Poll::Pending
                })
                .await;
                Ok((n.to_string(),))
            })
        },
    )
    .unwrap();
    let mut things = linker.instance("things").unwrap();
    things
        .resource("thing", ResourceType::host::<Thing>(), |mut store, rep| {
            store.data_mut().dropped.push(rep);
            Ok(())
        })
        .unwrap();
    things
        .func_wrap("make", |_, (n,): (u32,)| {
            Ok((Resource::<Thing>::new_own(n),))
        })
        .unwrap();
    things
        .func_wrap("look", |_, (thing,): (Resource<Thing>,)| {
            assert!(!thing.owned());
            Ok((thing.rep(),))
        })
        .unwrap();
    things
        .func_wrap("take", |_, (thing,): (Resource<Thing>,)| {
            assert!(thing.owned());
            Ok((thing.rep(),))
        })
        .unwrap();
    let mut store = Store::new(engine, State::default());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    Guest { store, instance }
}

async fn yields(times: u32) {
    for _ in 0..times {
        let mut yielded = false;
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            match std::mem::replace(&mut yielded, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

#[test]
fn typed_and_dynamic_calls_reach_the_host() {
    each(
        |Guest {
             mut store,
             instance,
         }| {
            for name in ["add", "add-again"] {
                let add = instance
                    .get_typed_func::<(u32, u32), (u32,)>(&mut store, name)
                    .unwrap();
                assert_eq!(add.call(&mut store, (1, 2)).unwrap(), (3,), "{name}");
                let mut results = [Val::Bool(false)];
                let params = [Val::U32(3), Val::U32(4)];
                add.func().call(&mut store, &params, &mut results).unwrap();
                assert_eq!(results, [Val::U32(7)], "{name}");
            }
            let nothing = instance
                .get_typed_func::<(), ()>(&mut store, "nothing")
                .unwrap();
            nothing.call(&mut store, ()).unwrap();
            let greet = instance
                .get_typed_func::<(&str,), (String,)>(&mut store, "greet")
                .unwrap();
            for name in ["you", "", &"x".repeat(3 << 20), "me"] {
                let (text,) = greet.call(&mut store, (name,)).unwrap();
                assert!(text == format!("Hello, {name}!"), "{}", name.len());
            }
        },
    );
}

#[test]
fn values_that_do_not_pass_flat_pass() {
    each(
        |Guest {
             mut store,
             instance,
         }| {
            let many = instance
                .get_typed_func::<Many, ((u64, f64, Vec<String>),)>(&mut store, "many")
                .unwrap();
            let words = ["a".to_owned(), "b".to_owned()];
            let (result,) = many
                .call(
                    &mut store,
                    (
                        words.to_vec(),
                        (1, 0, 0, 0, 0, 0, 0, 2),
                        (0.5, 0., 0., 0., 0., 0., 0., 1.),
                    ),
                )
                .unwrap();
            assert_eq!(result, (3, 1.5, vec!["b".to_owned(), "a".to_owned()]));
        },
    );
}

#[test]
fn an_error_of_the_function_is_the_callers_and_nobody_is_ended_by_it() {
    each(
        |Guest {
             mut store,
             instance,
         }| {
            let add = instance
                .get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")
                .unwrap();
            for _ in 0..3 {
                let error = add.call(&mut store, (u32::MAX, 1)).unwrap_err();
                assert!(format!("{error:#}").contains("too much"), "{error:#}");
                assert_eq!(add.call(&mut store, (1, 1)).unwrap(), (2,));
            }
        },
    );
}

#[test]
fn a_function_that_waits_is_waited_for_and_may_be_dropped() {
    each(
        |Guest {
             mut store,
             instance,
         }| {
            let later = instance
                .get_typed_func::<(u32,), (u32,)>(&mut store, "later")
                .unwrap();
            assert_eq!(later.call(&mut store, (0,)).unwrap(), (1,));
            assert_eq!(later.call(&mut store, (5,)).unwrap(), (6,));
            {
                let mut call = pin!(later.call_async(&mut store, (5,)));
                let mut cx = Context::from_waker(Waker::noop());
                assert!(call.as_mut().poll(&mut cx).is_pending());
            }
            assert_eq!(block_on(later.call_async(&mut store, (2,))).unwrap(), (3,));
        },
    );
}

#[test]
fn calls_run_side_by_side() {
    each(
        |Guest {
             mut store,
             instance,
         }| {
            let beside = instance
                .get_typed_func::<(u32,), (String,)>(&mut store, "beside")
                .unwrap();
            let (begun, waiting, open) = {
                let state = store.data();
                (
                    state.begun.clone(),
                    state.waiting.clone(),
                    state.open.clone(),
                )
            };
            for round in 0..2 {
                let results = block_on(store.run_concurrent(async |accessor| {
                    let mut calls: Vec<_> = (0..20)
                        .map(|n| Box::pin(beside.call_concurrent(accessor, (n,))))
                        .collect();
                    let dynamic = beside.func().call_concurrent(accessor, vec![Val::U32(20)]);
                    let mut opened = false;
                    let mut results = Vec::new();
                    std::future::poll_fn(|cx| {
                        // All wait at the same time before any goes on.
                        if !opened && begun.load(Ordering::Relaxed) == 21 * (round + 1) {
                            opened = true;
                            *open.lock().unwrap() = true;
                            waiting.lock().unwrap().drain(..).for_each(Waker::wake);
                        }
                        if !opened {
                            cx.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                        while let Some(call) = calls.last_mut() {
                            match Pin::new(call).poll(cx) {
                                Poll::Pending => return Poll::Pending,
                                Poll::Ready(result) => results.push(result.unwrap().0),
                            }
                            calls.pop();
                        }
                        Poll::Ready(())
                    })
                    .await;
                    results.reverse();
                    (results, dynamic.await.unwrap())
                }))
                .unwrap();
                let expected: Vec<String> = (0..20).map(|n: u32| n.to_string()).collect();
                assert_eq!(results.0, expected, "{round}");
                assert_eq!(results.1, Some(Val::String("20".into())));
                *open.lock().unwrap() = false;
            }
            *open.lock().unwrap() = true;
            assert_eq!(beside.call(&mut store, (7,)).unwrap(), ("7".into(),));
        },
    );
}

#[test]
fn resources_pass_both_ways() {
    each(
        |Guest {
             mut store,
             instance,
         }| {
            let things = instance
                .get_export_index(&mut store, None, "their-things")
                .unwrap();
            let mut index = |name| {
                instance
                    .get_export_index(&mut store, Some(&things), name)
                    .unwrap()
            };
            let (make, look, take) = (index("make"), index("look"), index("take"));
            let make = instance
                .get_typed_func::<(u32,), (Resource<Thing>,)>(&mut store, make)
                .unwrap();
            let look = instance
                .get_typed_func::<(Resource<Thing>,), (u32,)>(&mut store, look)
                .unwrap();
            let take = instance
                .get_typed_func::<(Resource<Thing>,), (u32,)>(&mut store, take)
                .unwrap();
            for n in 0..10 {
                let (thing,) = make.call(&mut store, (n,)).unwrap();
                assert_eq!(thing.rep(), n);
                assert!(thing.owned());
                let borrowed = Resource::new_borrow(n);
                assert_eq!(look.call(&mut store, (borrowed,)).unwrap(), (n,));
                let mut results = [Val::Bool(false)];
                make.func()
                    .call(&mut store, &[Val::U32(n)], &mut results)
                    .unwrap();
                let params = [results[0].clone()];
                look.func().call(&mut store, &params, &mut results).unwrap();
                assert_eq!(results, [Val::U32(n)]);
                take.func().call(&mut store, &params, &mut results).unwrap();
                assert_eq!(results, [Val::U32(n)]);
                let error = take.func().call(&mut store, &params, &mut results);
                assert!(error.is_err(), "it was given away before");
                assert_eq!(take.call(&mut store, (thing,)).unwrap(), (n,));
            }
            assert!(store.data().dropped.is_empty());
        },
    );
}

#[test]
fn a_function_belongs_to_its_store() {
    each(
        |Guest {
             mut store,
             instance,
         }| {
            let add = instance
                .get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")
                .unwrap();
            let mut other = Store::new(store.engine(), State::default());
            let error = add.call(&mut other, (1, 2)).unwrap_err();
            assert!(error.is::<WrongStore>(), "{error:#}");
        },
    );
}

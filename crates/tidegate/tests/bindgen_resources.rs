//! `bindgen!`: resources of the host and of the guest, errors with a Rust type of their own, host functions that wait; on both engines.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use tidegate::{
    Component, Config, DropResource, Engine, EngineKind, Linker, ResourceTable, Store, Strategy,
};

fn engines() -> [Engine; 2] {
    [EngineKind::Wasmtime, EngineKind::Wasmi].map(|kind| {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        Engine::new(&config).unwrap()
    })
}

fn component(engine: &Engine) -> Component {
    Component::new(engine, include_bytes!("bindgen/things.wat")).unwrap()
}

/// What is behind a `counter`.
struct Counter(u32);

/// Why the host refuses: what the guest is told, or a trap.
#[derive(Debug)]
enum Refusal {
    Told(plain::test::things::counters::Refusal),
    Trap(tidegate::Error),
}

impl From<tidegate::ResourceTableError> for Refusal {
    fn from(error: tidegate::ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

#[derive(Default)]
struct Host {
    table: ResourceTable,
    dropped: u32,
}

mod plain {
    use super::{Counter, Host, Refusal};
    use tidegate::{Resource, Result};

    tidegate::bindgen!({
        path: "tests/bindgen/things.wit",
        imports: { default: trappable },
        with: { "test:things/counters.counter": Counter },
        trappable_error_type: { "test:things/counters.refusal" => Refusal },
    });

    use test::things::counters;

    impl counters::HostCounter for Host {
        fn new(&mut self, start: u32) -> Result<Resource<Counter>> {
            Ok(self.table.push(Counter(start))?)
        }

        fn add(&mut self, counter: Resource<Counter>, n: u32) -> Result<u32> {
            let counter = self.table.get_mut(&counter)?;
            counter.0 += n;
            Ok(counter.0)
        }

        fn merge(
            &mut self,
            a: Resource<Counter>,
            b: Resource<Counter>,
        ) -> Result<Resource<Counter>> {
            let sum = self.table.delete(a)?.0 + self.table.delete(b)?.0;
            Ok(self.table.push(Counter(sum))?)
        }

        fn divide(&mut self, counter: Resource<Counter>, by: u32) -> Result<u32, Refusal> {
            match by {
                0 => Err(Refusal::Told(counters::Refusal::Zero)),
                1..100 => Ok(self.table.get(&counter)?.0 / by),
                100..1000 => Err(Refusal::Told(counters::Refusal::TooLarge(by))),
                _ => Err(Refusal::Trap(tidegate::Error::msg("absurd"))),
            }
        }

        fn drop(&mut self, counter: Resource<Counter>) -> Result<()> {
            self.table.delete(counter)?;
            self.dropped += 1;
            Ok(())
        }
    }

    impl counters::Host for Host {
        fn total(&mut self, counters: Vec<Resource<Counter>>) -> Result<u32> {
            let mut sum = 0;
            for counter in &counters {
                sum += self.table.get(counter)?.0;
            }
            Ok(sum)
        }

        fn convert_refusal(&mut self, refusal: Refusal) -> Result<counters::Refusal> {
            match refusal {
                Refusal::Told(refusal) => Ok(refusal),
                Refusal::Trap(error) => Err(error),
            }
        }
    }
}

#[test]
fn the_guest_uses_resources_of_the_host() {
    for engine in engines() {
        let mut linker = Linker::new(&engine);
        plain::Things::add_to_linker(&mut linker).unwrap();
        let mut store = Store::new(&engine, Host::default());
        let things = plain::Things::instantiate(&mut store, &component(&engine), &linker).unwrap();
        assert_eq!(things.call_count(&mut store, 14, 4).unwrap(), Ok(5));
        assert!(store.data().table.is_empty());
        assert_eq!(store.data().dropped, 1);
    }
}

#[test]
fn an_error_of_the_host_reaches_the_guest_or_traps() {
    for engine in engines() {
        let mut linker = Linker::new(&engine);
        plain::Things::add_to_linker(&mut linker).unwrap();
        let mut store = Store::new(&engine, Host::default());
        let things = plain::Things::instantiate(&mut store, &component(&engine), &linker).unwrap();
        let mut count = |by| things.call_count(&mut store, 1, by);
        assert_eq!(count(0).unwrap(), Err("no division by zero".to_owned()));
        assert_eq!(count(200).unwrap(), Err("too large".to_owned()));
        let error = count(2000).unwrap_err();
        assert!(format!("{error:#}").contains("absurd"), "{error:#}");
    }
}

#[test]
fn the_host_uses_resources_of_the_guest() {
    for engine in engines() {
        let mut linker = Linker::new(&engine);
        plain::Things::add_to_linker(&mut linker).unwrap();
        let mut store = Store::new(&engine, Host::default());
        let things = plain::Things::instantiate(&mut store, &component(&engine), &linker).unwrap();
        // The guest exports version 1.1.0 of the interface, which serves a host that knows 1.2.3.
        let stacks = things.test_things_stacks().stack();
        let one = stacks.call_constructor(&mut store, 1).unwrap();
        let two = stacks.call_constructor(&mut store, 10).unwrap();
        stacks.call_push(&mut store, one, 2).unwrap();
        stacks.call_push(&mut store, two, 20).unwrap();
        assert_eq!(stacks.call_sum(&mut store, one).unwrap(), 3);
        assert_eq!(stacks.call_take(&mut store, two).unwrap(), 30);
        // The guest has it, so the host has not.
        assert!(stacks.call_sum(&mut store, two).is_err());
        assert_eq!(stacks.call_sum(&mut store, one).unwrap(), 1003);
        // What the host owns it must drop, and the guest's destructor runs.
        one.resource_drop(&mut store).unwrap();
        assert!(one.resource_drop(&mut store).is_err());
        let three = stacks.call_constructor(&mut store, 5).unwrap();
        assert_eq!(stacks.call_sum(&mut store, three).unwrap(), 2005);
    }
}

mod waiting {
    use super::{Counter, Pause};
    use tidegate::{Resource, ResourceTable, Result};

    tidegate::bindgen!({
        path: "tests/bindgen/things.wit",
        imports: {
            "test:things/counters.[constructor]counter": trappable,
            "test:things/counters@1.2.3.[drop]counter": async | tracing,
            "test:things": async | trappable | tracing,
        },
        exports: { default: async },
        with: { "test:things/counters.counter": super::Counter },
    });

    use test::things::counters;

    #[derive(Default)]
    pub struct Host {
        pub table: ResourceTable,
    }

    impl counters::HostCounter for Host {
        fn new(&mut self, start: u32) -> Result<Resource<Counter>> {
            Ok(self.table.push(Counter(start))?)
        }

        async fn add(&mut self, counter: Resource<Counter>, n: u32) -> Result<u32> {
            Pause::default().await;
            let counter = self.table.get_mut(&counter)?;
            counter.0 += n;
            Ok(counter.0)
        }

        async fn merge(
            &mut self,
            a: Resource<Counter>,
            b: Resource<Counter>,
        ) -> Result<Resource<Counter>> {
            let sum = self.table.delete(a)?.0 + self.table.delete(b)?.0;
            Pause::default().await;
            Ok(self.table.push(Counter(sum))?)
        }

        async fn divide(
            &mut self,
            counter: Resource<Counter>,
            by: u32,
        ) -> Result<Result<u32, counters::Refusal>> {
            let Some(quotient) = self.table.get(&counter)?.0.checked_div(by) else {
                return Ok(Err(counters::Refusal::Zero));
            };
            Ok(Ok(quotient))
        }

        async fn drop(&mut self, counter: Resource<Counter>) -> Result<()> {
            Pause::default().await;
            self.table.delete(counter)?;
            Ok(())
        }
    }

    impl counters::Host for Host {
        async fn total(&mut self, counters: Vec<Resource<Counter>>) -> Result<u32> {
            Pause::default().await;
            let mut sum = 0;
            for counter in &counters {
                sum += self.table.get(counter)?.0;
            }
            Ok(sum)
        }
    }
}

#[test]
fn host_functions_and_destructors_wait() {
    for engine in engines() {
        let mut linker = Linker::new(&engine);
        waiting::Things::add_to_linker(&mut linker).unwrap();
        let mut store = Store::new(&engine, waiting::Host::default());
        let component = component(&engine);
        let (results, polls) = block_on(async {
            let things = waiting::Things::instantiate_async(&mut store, &component, &linker)
                .await
                .unwrap();
            let divided = things.call_count(&mut store, 14, 4).await.unwrap();
            let refused = things.call_count(&mut store, 14, 0).await.unwrap();
            (divided, refused)
        });
        assert_eq!(results, (Ok(5), Err("no division by zero".to_owned())));
        // `add`, `total`, `merge` and the destructor have each waited, in both calls.
        assert!(polls > 8, "{polls}");
        assert!(store.data().table.is_empty());
    }
}

/// A future that is not ready when it is first polled, by whomever, nor the next time.
#[derive(Default)]
struct Pause(u32);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 2 {
            return Poll::Ready(());
        }
        self.0 += 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Polls a future until it is ready, once for each time that it was woken, and counts.
fn block_on<F: Future>(future: F) -> (F::Output, u32) {
    struct Wakes(AtomicU32);
    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    let wakes = Arc::new(Wakes(AtomicU32::new(1)));
    let waker = Waker::from(wakes.clone());
    let mut future = pin!(future);
    let mut polls = 0;
    loop {
        assert!(
            wakes.0.swap(0, Relaxed) > 0,
            "pending, and nobody will wake it"
        );
        polls += 1;
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return (output, polls);
        }
    }
}

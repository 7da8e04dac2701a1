//! `bindgen!`: concurrent functions of the host and of the guest, on both engines.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate::{
    Access, Accessor, Component, Config, Engine, EngineKind, HasData, HasSelf, Linker, Resource,
    ResourceTable, Result, Store, Strategy, block_on,
};

/// An error of the host's own.
#[derive(Debug)]
struct Forgotten;

impl std::fmt::Display for Forgotten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("forgotten")
    }
}

impl std::error::Error for Forgotten {}

/// What is behind a `job`.
struct Job(u32);

/// Waits for that many polls, waking itself.
struct Turns(u32);

impl Future for Turns {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Why the host refuses.
#[derive(Debug)]
enum Refusal {
    Never,
    TooLong(u32),
    Trap(tidegate::Error),
}

impl From<tidegate::ResourceTableError> for Refusal {
    fn from(error: tidegate::ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl From<tidegate::Error> for Refusal {
    fn from(error: tidegate::Error) -> Self {
        Self::Trap(error)
    }
}

impl From<tidegate::StoreInUse> for Refusal {
    fn from(error: tidegate::StoreInUse) -> Self {
        Self::Trap(error.into())
    }
}

#[derive(Default)]
struct Host {
    table: ResourceTable,
    ended: u32,
    notes: Vec<String>,
    /// Traps in `step`.
    forgetful: bool,
}

/// The state implements the traits.
mod whole {
    use super::{
        Access, Accessor, Forgotten, HasSelf, Host, Job, Refusal, Resource, Result, Turns,
    };

    tidegate::bindgen!({
        path: "tests/bindgen/jobs.wit",
        imports: { "test:jobs/work.note": store, default: trappable },
        exports: { "count": sync },
        with: { "test:jobs/work.job": Job },
        trappable_error_type: { "test:jobs/work.refusal" => Refusal },
    });

    use test::jobs::work;

    impl work::HostJob for Host {
        fn new(&mut self, steps: u32) -> Result<Resource<Job>> {
            Ok(self.table.push(Job(steps))?)
        }

        async fn step<T: Send + 'static>(
            accessor: &Accessor<T, HasSelf<Self>>,
            job: Resource<Job>,
        ) -> Result<u32, Refusal> {
            Turns(1).await;
            accessor.with(|mut access| {
                let host = access.get();
                if host.forgetful {
                    return Err(tidegate::Error::new(Forgotten).into());
                }
                let job = host.table.get_mut(&job)?;
                match job.0 {
                    0 => return Err(Refusal::Never),
                    1000.. => return Err(Refusal::TooLong(job.0)),
                    _ => job.0 -= 1,
                }
                Ok(job.0)
            })?
        }

        async fn both<T: Send + 'static>(
            accessor: &Accessor<T, HasSelf<Self>>,
            a: Resource<Job>,
            b: Resource<Job>,
        ) -> Result<u32> {
            let (a, b) = accessor.with(|mut access| {
                let table = &mut access.get().table;
                anyhow::Ok((table.delete(a)?.0, table.delete(b)?.0))
            })??;
            Turns(a.max(b)).await;
            Ok(a + b)
        }

        fn drop(&mut self, job: Resource<Job>) -> Result<()> {
            self.table.delete(job)?;
            Ok(())
        }
    }

    impl work::Host for Host {
        async fn rest<T: Send + 'static>(
            accessor: &Accessor<T, HasSelf<Self>>,
            turns: u32,
        ) -> Result<u32> {
            Turns(turns).await;
            Ok(accessor.with(|mut access| {
                let host = access.get();
                host.ended += 1;
                host.ended
            })?)
        }

        fn ended(&mut self) -> Result<u32> {
            Ok(self.ended)
        }

        fn note<T: Send + 'static>(
            mut access: Access<'_, T, HasSelf<Self>>,
            text: String,
        ) -> Result<u32, Refusal> {
            let notes = &mut access.get().notes;
            notes.push(text);
            Ok(notes.len() as u32)
        }

        fn convert_refusal(&mut self, refusal: Refusal) -> Result<work::Refusal> {
            match refusal {
                Refusal::Never => Ok(work::Refusal::Never),
                Refusal::TooLong(steps) => Ok(work::Refusal::TooLong(steps)),
                Refusal::Trap(error) => Err(error),
            }
        }
    }

    impl JobsImports for Host {
        async fn pause<T: Send + 'static>(_accessor: &Accessor<T, HasSelf<Self>>) -> Result<()> {
            Turns(1).await;
            Ok(())
        }
    }
}

/// A view implements the traits.
mod view {
    use super::{Access, Accessor, HasData, Job, Resource, ResourceTable, Result, Turns};

    tidegate::bindgen!({
        path: "tests/bindgen/jobs.wit",
        imports: { "test:jobs/work.note": store | tracing, default: concurrent | trappable | verbose_tracing },
        exports: { default: concurrent },
        with: { "test:jobs/work.job": Job },
    });

    use test::jobs::work;

    pub struct View<'a> {
        pub table: &'a mut ResourceTable,
        pub ended: &'a mut u32,
        pub notes: &'a mut Vec<String>,
    }

    impl HasData for View<'_> {
        type Data<'a> = View<'a>;
    }

    type Here<T> = Accessor<T, View<'static>>;

    impl work::HostJob<View<'static>> for View<'_> {
        async fn new<T: Send + 'static>(accessor: &Here<T>, steps: u32) -> Result<Resource<Job>> {
            Turns(1).await;
            Ok(accessor.with(|mut access| access.get().table.push(Job(steps)))??)
        }

        async fn step<T: Send + 'static>(
            accessor: &Here<T>,
            job: Resource<Job>,
        ) -> Result<Result<u32, work::Refusal>> {
            Turns(1).await;
            accessor.with(|mut access| {
                let host = access.get();
                let job = host.table.get_mut(&job)?;
                match job.0 {
                    0 => return Ok(Err(work::Refusal::Never)),
                    1000.. => return Ok(Err(work::Refusal::TooLong(job.0))),
                    _ => job.0 -= 1,
                }
                Ok(Ok(job.0))
            })?
        }

        async fn both<T: Send + 'static>(
            accessor: &Here<T>,
            a: Resource<Job>,
            b: Resource<Job>,
        ) -> Result<u32> {
            accessor.with(|mut access| {
                let table = access.get().table;
                Ok(table.delete(a)?.0 + table.delete(b)?.0)
            })?
        }

        fn drop(&mut self, job: Resource<Job>) -> Result<()> {
            self.table.delete(job)?;
            Ok(())
        }
    }

    impl work::Host<View<'static>> for View<'_> {
        async fn rest<T: Send + 'static>(accessor: &Here<T>, turns: u32) -> Result<u32> {
            Turns(turns).await;
            Ok(accessor.with(|mut access| {
                let host = access.get();
                *host.ended += 1;
                *host.ended
            })?)
        }

        async fn ended<T: Send + 'static>(accessor: &Here<T>) -> Result<u32> {
            Ok(accessor.with(|mut access| *access.get().ended)?)
        }

        fn note<T: Send + 'static>(
            mut access: Access<'_, T, View<'static>>,
            text: String,
        ) -> Result<u32, work::Refusal> {
            let notes = access.get().notes;
            notes.push(text);
            Ok(notes.len() as u32)
        }
    }

    impl JobsImports<View<'static>> for View<'_> {
        async fn pause<T: Send + 'static>(_accessor: &Here<T>) -> Result<()> {
            Turns(1).await;
            Ok(())
        }
    }
}

fn engines() -> [Engine; 2] {
    [EngineKind::Wasmtime, EngineKind::Wasmi].map(|kind| {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        Engine::new(&config).unwrap()
    })
}

fn component(engine: &Engine) -> Component {
    Component::new(engine, include_bytes!("bindgen/jobs.wat")).unwrap()
}

#[test]
fn host_functions_run_beside_each_other() {
    for engine in engines() {
        let mut linker = Linker::new(&engine);
        whole::Jobs::add_to_linker(&mut linker).unwrap();
        let mut store = Store::new(&engine, Host::default());
        let jobs = whole::Jobs::instantiate(&mut store, &component(&engine), &linker).unwrap();
        let ended = block_on(jobs.call_race(&mut store, 20, 2)).unwrap();
        assert_eq!(
            ended,
            (2, 1),
            "the shorter rest ends first, though it began second"
        );
        assert_eq!(jobs.call_count(&mut store).unwrap(), 2);
    }
}

#[test]
fn errors_and_resources_of_concurrent_functions() {
    for engine in engines() {
        let mut linker = Linker::new(&engine);
        whole::Jobs::add_to_linker(&mut linker).unwrap();
        let mut store = Store::new(&engine, Host::default());
        let jobs = whole::Jobs::instantiate(&mut store, &component(&engine), &linker).unwrap();
        let steps = block_on(jobs.call_steps(&mut store, "short".to_owned(), 3)).unwrap();
        assert_eq!(steps, Ok(3));
        let steps = block_on(jobs.call_steps(&mut store, "long".to_owned(), 2000)).unwrap();
        assert_eq!(steps, Err("too long".to_owned()));
        assert_eq!(store.data().notes, ["short", "long"]);
        assert!(store.data().table.is_empty());
    }
}

#[test]
fn a_part_of_the_data_and_a_closure_that_captures() {
    for engine in engines() {
        let mut linker = Linker::new(&engine);
        let second = true;
        whole::Jobs::add_to_linker_with(
            &mut linker,
            move |hosts: &mut (Host, Host)| match second {
                true => &mut hosts.1,
                false => &mut hosts.0,
            },
        )
        .unwrap();
        let mut store = Store::new(&engine, (Host::default(), Host::default()));
        let jobs = whole::Jobs::instantiate(&mut store, &component(&engine), &linker).unwrap();
        block_on(jobs.call_race(&mut store, 1, 2)).unwrap();
        block_on(jobs.call_steps(&mut store, "x".to_owned(), 1))
            .unwrap()
            .unwrap();
        let (first, second) = store.data();
        assert_eq!((first.ended, second.ended), (0, 2));
        assert_eq!(second.notes, ["x"]);
    }
}

#[test]
fn a_view_of_the_data_and_constructors_that_wait() {
    for engine in engines() {
        let mut linker = Linker::new(&engine);
        view::Jobs::add_to_linker_get::<_, view::View<'static>>(&mut linker, |host: &mut Host| {
            view::View {
                table: &mut host.table,
                ended: &mut host.ended,
                notes: &mut host.notes,
            }
        })
        .unwrap();
        let mut store = Store::new(&engine, Host::default());
        let jobs = view::Jobs::instantiate(&mut store, &component(&engine), &linker).unwrap();
        assert_eq!(block_on(jobs.call_race(&mut store, 20, 2)).unwrap(), (2, 1));
        let steps = block_on(jobs.call_steps(&mut store, "short".to_owned(), 3)).unwrap();
        assert_eq!(steps, Ok(3));
        assert_eq!(block_on(jobs.call_count(&mut store)).unwrap(), 2);
        assert!(store.data().table.is_empty());
    }
}

#[test]
fn exports_are_called_beside_each_other() {
    for engine in engines() {
        let mut linker = Linker::new(&engine);
        whole::Jobs::add_to_linker(&mut linker).unwrap();
        let mut store = Store::new(&engine, Host::default());
        let component = component(&engine);
        let one = whole::Jobs::instantiate(&mut store, &component, &linker).unwrap();
        let two = whole::Jobs::instantiate(&mut store, &component, &linker).unwrap();
        let ended = block_on(store.run_concurrent(async |accessor| {
            let long = one.call_race(accessor, 40, 30);
            let short = two.call_race(accessor, 2, 1);
            let (long, short) = futures_util::future::join(long, short).await;
            Ok((long?, short?)) as Result<_>
        }));
        assert_eq!(ended.unwrap().unwrap(), ((4_u32, 3_u32), (2_u32, 1_u32)));
    }
}

#[test]
fn a_trap_of_a_concurrent_function_ends_the_guest() {
    for engine in engines() {
        let mut linker = Linker::new(&engine);
        whole::Jobs::add_to_linker(&mut linker).unwrap();
        let mut store = Store::new(
            &engine,
            Host {
                forgetful: true,
                ..Host::default()
            },
        );
        let jobs = whole::Jobs::instantiate(&mut store, &component(&engine), &linker).unwrap();
        let error = block_on(jobs.call_steps(&mut store, "x".to_owned(), 3)).unwrap_err();
        // After others had run as well.
        assert!(error.is::<Forgotten>(), "{error:#}");
        assert!(!format!("{error:#}").contains("deadlock"), "{error:#}");
    }
}

//! A program and its threads.

use super::futex::{Expected, Futex, NOT_EQUAL};
use super::members::{MAIN, Members};
use crate::interrupt::Terminated;
use crate::module::{Caller, FuncType, Module, ModuleLinker, Outcome, ValType};
use crate::{Limits, Result, Store};
use anyhow::{Context, bail, ensure};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use tidegate_engine::{ExternType, MemoryType, SharedMemory, Trap, TrapCode, waits};

/// How many threads a program may have at once, unless told otherwise.
pub const MAX_THREADS: usize = 4096;

/// What starts a thread, and the module that it is imported from.
const SPAWN: (&str, &str) = ("wasi", "thread-spawn");
/// Where a thread begins: it takes the thread's number and what was passed to [`SPAWN`].
const THREAD_START: &str = "wasi_thread_start";
/// What [`SPAWN`] gives if there can be no more threads: the negative of WASI 0.1's `again`.
const AGAIN: i32 = -6;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A program of several threads, ready to be run: a module that imports a shared memory and `wasi` `thread-spawn`.
///
/// It ends as a whole: when its main thread returns, and when any thread traps or ends the program with an error of a host function, such
/// as that of WASI's `proc_exit`. What the others are doing then does not matter, but the engine must be able to
/// interrupt guests that compute.
pub struct Threads<T: Send + 'static> {
    linker: ModuleLinker<T>,
    module: Module,
    data: Box<dyn Fn() -> T + Send + Sync>,
    limits: Limits,
    max: usize,
    members: Arc<Members>,
}

/// Ends a program of several threads from anywhere. Cheap to clone.
#[derive(Clone)]
pub struct ThreadsHandle(Arc<Members>);

impl ThreadsHandle {
    /// Ends all threads, whatever they are doing; [`Threads::run`] then fails with [`Terminated`] and the reason. A program that has not begun
    /// ends when it does; for one that has ended it has no effect.
    pub fn terminate(&self, reason: impl Into<Arc<str>>) {
        self.0.end(Err(Terminated::Asked(reason.into()).into()));
    }
}

impl std::fmt::Debug for ThreadsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ThreadsHandle").finish_non_exhaustive()
    }
}

/// A program that runs.
struct Group<T: Send + 'static> {
    linker: ModuleLinker<T>,
    module: Module,
    data: Box<dyn Fn() -> T + Send + Sync>,
    limits: Limits,
    max: usize,
    members: Arc<Members>,
    spawn: Box<dyn Fn(Task) + Send + Sync>,
}

impl Module {
    /// Whether it wants to be run as [`Threads`]: it imports a shared memory.
    pub fn uses_threads(&self) -> bool {
        shared_memory(self).is_some()
    }
}

impl<T: Send + 'static> Threads<T> {
    /// A program whose host functions are those of `linker`. `data` makes the data of each thread's store.
    ///
    /// # Errors
    /// The module imports no shared memory, or its engine has none or cannot interrupt guests that compute.
    pub fn new(
        linker: ModuleLinker<T>,
        module: &Module,
        data: impl Fn() -> T + Send + Sync + 'static,
    ) -> Result<Self> {
        ensure!(
            module.uses_threads(),
            "the module imports no shared memory, so it can have no threads"
        );
        ensure!(
            linker.engine().is_interruptible(),
            "threads need an engine that can interrupt guests: set `interruptible`"
        );
        Ok(Self {
            linker,
            module: module.clone(),
            data: Box::new(data),
            limits: Limits::default(),
            max: MAX_THREADS,
            members: Arc::default(),
        })
    }

    /// Limits each thread's store, and the shared memory: it can grow to the bytes that an isolate may have.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many threads there may be at once, the main thread counted; [`MAX_THREADS`] by default. Beyond that `thread-spawn` fails.
    #[must_use]
    pub fn max_threads(mut self, max: usize) -> Self {
        self.max = max;
        self
    }

    /// What ends the program from elsewhere.
    pub fn handle(&self) -> ThreadsHandle {
        ThreadsHandle(self.members.clone())
    }

    /// Runs `_start`, until the program ends. Each thread but this one is given to `spawn` as a future, which it has polled until it is
    /// ready: by a pool of threads, if the program's are to run at the same time.
    ///
    /// The future may be dropped: all threads end.
    ///
    /// # Errors
    /// What ended the program first: a trap, or the error of a host function.
    pub async fn run(self, spawn: impl Fn(Task) + Send + Sync + 'static) -> Result<()> {
        let Self {
            mut linker,
            module,
            data,
            limits,
            max,
            members,
        } = self;
        let (from, name, ty) =
            shared_memory(&module).context("the module imports no shared memory")?;
        let memory = SharedMemory::new(
            linker.engine().core(linker.engine().kind())?,
            &limited(ty, limits.isolate.memory_bytes)?,
        )?;
        linker.shared_memory = Some((from, name, memory.clone()));
        define_futex(&mut linker, memory, ty.memory64)?;
        let mut spawned = Ok(());
        let group = Arc::new_cyclic(|group: &Weak<Group<T>>| {
            spawned = define_spawn(&mut linker, group.clone());
            Group {
                linker,
                module,
                data,
                limits,
                max,
                members,
                spawn: Box::new(spawn),
            }
        });
        spawned?;
        let _end = EndOnDrop(&group.members);
        let mut store = group.store();
        group.members.begin(store.interrupt_handle());
        let result = group.run_main(&mut store).await;
        drop(store);
        group.members.end(result);
        group.members.leave(MAIN);
        group.members.gone().await
    }
}

/// All threads end when nobody waits for the main thread any more.
struct EndOnDrop<'a>(&'a Members);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end(Ok(()));
    }
}

impl<T: Send + 'static> Group<T> {
    fn store(&self) -> Store<T> {
        Store::with_limits(self.linker.engine(), (self.data)(), self.limits)
    }

    async fn run_main(&self, store: &mut Store<T>) -> Result<()> {
        self.enter(store, "_start", &mut []).await
    }

    async fn enter(&self, store: &mut Store<T>, name: &str, slots: &mut [u64]) -> Result<()> {
        let instance = self
            .linker
            .instantiate_async(&mut *store, &self.module)
            .await?;
        // The request to end may have been met by the instantiation, which can be too short to notice.
        if self.members.has_ended() {
            return Ok(());
        }
        let func = instance
            .get_func(&mut *store, name)
            .with_context(|| format!("the module exports no function {name:?}"))?;
        func.call_async(store, slots).await
    }

    /// Starts a thread; gives its number, or a negative one if there can be none.
    fn start(self: &Arc<Self>, argument: u32) -> i32 {
        let mut store = self.store();
        let Some(number) = self.members.join(store.interrupt_handle(), self.max) else {
            return AGAIN;
        };
        let mut thread = Thread {
            group: self.clone(),
            number,
            store: Some(store),
        };
        (self.spawn)(Box::pin(async move { thread.run(argument).await }));
        number
    }
}

/// A thread that was started. It leaves the group when it is dropped.
struct Thread<T: Send + 'static> {
    group: Arc<Group<T>>,
    number: i32,
    store: Option<Store<T>>,
}

impl<T: Send + 'static> Thread<T> {
    async fn run(&mut self, argument: u32) {
        let Some(store) = &mut self.store else { return };
        // Numbers are positive.
        let mut slots = [u64::from(self.number.unsigned_abs()), argument.into()];
        let result = self.group.enter(store, THREAD_START, &mut slots).await;
        if let Err(error) = result {
            self.group.members.end(Err(error));
        }
    }
}

impl<T: Send + 'static> Drop for Thread<T> {
    fn drop(&mut self) {
        self.store = None;
        self.group.members.leave(self.number);
    }
}

/// The shared memory that a module imports: from where, by what name, and its type.
fn shared_memory(module: &Module) -> Option<(String, String, MemoryType)> {
    module
        .compiled_imports()
        .iter()
        .find_map(|import| match &import.ty {
            ExternType::Memory(ty) if ty.shared => {
                Some((import.module.clone(), import.name.clone(), *ty))
            }
            _ => None,
        })
}

/// The type of a shared memory that grows no further than a limit.
fn limited(ty: MemoryType, bytes: u64) -> Result<MemoryType> {
    let pages = bytes >> ty.page_size_log2;
    if ty.minimum > pages {
        bail!(
            "the shared memory begins with {} pages, but the limit is {bytes} bytes",
            ty.minimum
        );
    }
    Ok(MemoryType {
        maximum: Some(ty.maximum.unwrap_or(pages).min(pages)),
        ..ty
    })
}

fn define_spawn<T: Send + 'static>(
    linker: &mut ModuleLinker<T>,
    group: Weak<Group<T>>,
) -> Result<()> {
    let ty = FuncType::new([ValType::I32], [ValType::I32]);
    linker.func(SPAWN.0, SPAWN.1, ty, move |_, slots| {
        let number = match group.upgrade() {
            Some(group) => group.start(slots[0] as u32),
            None => AGAIN,
        };
        slots[0] = number.cast_unsigned().into();
        Ok(Outcome::Done)
    })?;
    Ok(())
}

/// Defines the functions that stand for `memory.atomic.wait32`, `wait64` and `notify`.
fn define_futex<T: Send + 'static>(
    linker: &mut ModuleLinker<T>,
    memory: SharedMemory,
    memory64: bool,
) -> Result<()> {
    let futex = Arc::new(Futex::new(memory));
    let address_type = if memory64 { ValType::I64 } else { ValType::I32 };
    let ty = |operands: &[ValType]| {
        let params = [&[address_type], operands, &[ValType::I64]].concat();
        FuncType::new(params, [ValType::I32])
    };
    let waiting = futex.clone();
    let wait32 = move |_: &mut Caller<'_, T>, slots: &mut [u64]| {
        let expected = Expected::I32(slots[1] as u32);
        wait(&waiting, slots, expected)
    };
    linker.func_waiting(
        waits::MODULE,
        waits::WAIT32,
        ty(&[ValType::I32, ValType::I64]),
        wait32,
    )?;
    let waiting = futex.clone();
    let wait64 = move |_: &mut Caller<'_, T>, slots: &mut [u64]| {
        let expected = Expected::I64(slots[1]);
        wait(&waiting, slots, expected)
    };
    linker.func_waiting(
        waits::MODULE,
        waits::WAIT64,
        ty(&[ValType::I64, ValType::I64]),
        wait64,
    )?;
    linker.func(
        waits::MODULE,
        waits::NOTIFY,
        ty(&[ValType::I32]),
        move |_, slots| {
            let address = address(slots[0], slots[2])?;
            slots[0] = futex.notify(address, slots[1] as u32)?.into();
            Ok(Outcome::Done)
        },
    )?;
    Ok(())
}

fn wait(futex: &Arc<Futex>, slots: &mut [u64], expected: Expected) -> Result<Outcome> {
    let address = address(slots[0], slots[3])?;
    match futex.wait(address, expected, slots[2].cast_signed())? {
        Some(waiting) => Ok(Outcome::Later(Box::pin(
            async move { u64::from(waiting.await) },
        ))),
        None => {
            slots[0] = NOT_EQUAL.into();
            Ok(Outcome::Done)
        }
    }
}

/// The address of an instruction: its operand and its constant offset.
fn address(operand: u64, offset: u64) -> Result<u64, Trap> {
    operand.checked_add(offset).ok_or(Trap {
        code: TrapCode::MemoryOutOfBounds,
        frames: Vec::new(),
    })
}

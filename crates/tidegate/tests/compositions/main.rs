//! Two guests and a host that do what a script of bytes says, on both engines: what everybody is told must be the same.
//!
//! `FUZZ_SECONDS` says for how long other scripts are tried than those of every run, and `FUZZ_SEED` names the one script to run; it then prints what
//! happened.

mod ends;
mod guest;

use ends::{Consumer, Producer, Taken};
use futures_channel::oneshot;
use std::future::Future;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tidegate::{
    Accessor, Component, ConcurrentCall, Config, Engine, EngineKind, Error, FutureReader, Instance,
    Linker, Result, Store, Strategy, StreamReader, Trap, TypedFunc,
};

/// How many scripts every run tries.
const SCRIPTS: u64 = 150;
/// The longest script, in bytes.
const LENGTH: usize = 1500;
/// How often the host has its turn after the script is over.
const LAST_TURNS: u32 = 40;

/// What the store has.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    script: Vec<u8>,
    at: usize,
    /// Whatever happened.
    trace: Vec<String>,
    /// Those who wait for the gate to open.
    waiting: Vec<oneshot::Sender<()>>,
}

impl World {
    fn with<R>(&self, f: impl FnOnce(&mut Shared) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The script's next byte; 0 when it is over.
    fn byte(&self) -> u8 {
        self.with(|shared| {
            let byte = shared.script.get(shared.at).copied();
            shared.at += 1;
            byte.unwrap_or(0)
        })
    }

    fn is_over(&self) -> bool {
        self.with(|shared| shared.at >= shared.script.len())
    }

    fn note(&self, line: String) {
        self.with(|shared| shared.trace.push(line));
    }

    fn gate(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.with(|shared| shared.waiting.push(sender));
        receiver
    }

    /// Lets the one go on that has waited longest.
    fn open(&self) {
        let first = self.with(|shared| {
            let any = !shared.waiting.is_empty();
            any.then(|| shared.waiting.remove(0))
        });
        if let Some(first) = first {
            let _ = first.send(());
        }
    }
}

/// Lets others run, so many times.
async fn turns(count: u32) {
    for _ in 0..count {
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

/// What the host does when the second guest calls `go`.
async fn go(accessor: &Accessor<World>, x: u32) -> Result<(u32,)> {
    let world = accessor.with(|mut access| access.data_mut().clone())?;
    world.note(format!("host: go {x}"));
    match x % 8 {
        0 | 1 => {}
        2 | 3 => turns(x >> 5).await,
        4 => {
            let mut gate = std::pin::pin!(world.gate());
            let mut cancelled = std::pin::pin!(accessor.cancelled());
            let partial = std::future::poll_fn(|cx| match cancelled.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(true),
                Poll::Pending => gate.as_mut().poll(cx).map(|_| false),
            });
            if partial.await {
                world.note(format!("host: go {x} is cancelled"));
                return Ok((7777,));
            }
        }
        7 if x > 200 => anyhow::bail!("the host does not go {x}"),
        _ => {
            let _ = world.gate().await;
        }
    }
    world.note(format!("host: went {x}"));
    Ok((x + 1000,))
}

/// What the components import. `waits`: also a function whose type is not `async` may wait, and hold the store meanwhile.
fn linker(engine: &Engine, waits: bool) -> Result<Linker<World>> {
    let mut linker: Linker<World> = Linker::new(engine);
    let mut script = linker.instance("script")?;
    script.func_wrap("next", |mut store, (_who,): (u32,)| {
        Ok((u32::from(store.data_mut().byte()),))
    })?;
    script.func_wrap("note", |mut store, (who, what, value): (u32, u32, u32)| {
        let who = if who == 0 { "a" } else { "b" };
        store.data_mut().note(format!("{who}: {what} {value:#x}"));
        Ok(())
    })?;
    let mut peer = linker.instance("peer")?;
    peer.func_wrap_concurrent("go", |accessor: &Accessor<World>, (x,): (u32,)| {
        Box::pin(go(accessor, x))
    })?;
    type Given = (StreamReader<u8>, FutureReader<u32>);
    peer.func_wrap_concurrent("take", |accessor: &Accessor<World>, (s, f): Given| {
        Box::pin(async move {
            let world = accessor.with(|mut access| access.data_mut().clone())?;
            world.note("host: take".to_owned());
            accessor.with(|mut access| {
                s.pipe(&mut access, Consumer::new(world.clone()))?;
                f.pipe(&mut access, Taken(world.clone()))
            })??;
            Ok((5u32,))
        })
    })?;
    peer.func_wrap_concurrent("give", |accessor: &Accessor<World>, (x,): (u32,)| {
        Box::pin(async move {
            let world = accessor.with(|mut access| access.data_mut().clone())?;
            world.note(format!("host: give {x}"));
            if x % 2 == 1 {
                turns(1).await;
            }
            let reader = accessor
                .with(|access| StreamReader::new(access, Producer::new(world, x as usize)))??;
            Ok((reader,))
        })
    })?;
    if waits {
        peer.func_wrap_async("plain", |mut store, (x,): (u32,)| {
            Box::new(async move {
                store.data_mut().note(format!("host: plain {x} waits"));
                turns(x % 4).await;
                anyhow::ensure!(x != 77, "the host does not like {x}");
                store.data_mut().note(format!("host: plain {x} has waited"));
                Ok((x * 3,))
            })
        })?;
    } else {
        peer.func_wrap("plain", |mut store, (x,): (u32,)| {
            store.data_mut().note(format!("host: plain {x}"));
            Ok((x * 3,))
        })?;
    }
    Ok(linker)
}

/// What the host can call of a guest.
struct Exports {
    name: &'static str,
    go: TypedFunc<(u32,), (u32,)>,
    take: TypedFunc<(StreamReader<u8>, FutureReader<u32>), (u32,)>,
    give: TypedFunc<(u32,), (StreamReader<u8>,)>,
    plain: TypedFunc<(u32,), (u32,)>,
}

impl Exports {
    fn new(store: &mut Store<World>, instance: &Instance, name: &'static str) -> Result<Self> {
        let component = instance.component();
        let guest = component.export_index(None, name);
        let index = |func| component.export_index(guest.as_ref(), func).unwrap();
        Ok(Self {
            name,
            go: instance.get_typed_func(&mut *store, index("go"))?,
            take: instance.get_typed_func(&mut *store, index("take"))?,
            give: instance.get_typed_func(&mut *store, index("give"))?,
            plain: instance.get_typed_func(&mut *store, index("plain"))?,
        })
    }
}

/// A call that the host waits for.
enum Call {
    Number(ConcurrentCall<(u32,)>),
    Stream(ConcurrentCall<(StreamReader<u8>,)>),
}

/// What an error says, in the words that both engines have for it.
fn told(error: &Error) -> String {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return trap.code.to_string();
    }
    let text = error.root_cause().to_string();
    // Only one engine says where.
    let Some((before, frames)) = text.split_once("error while executing at wasm backtrace:") else {
        return text;
    };
    let last = frames.rsplit('\n').next().and_then(|frame| {
        let (_, name) = frame.split_once('!')?;
        Some(name.split_once(": ")?.1)
    });
    format!("{before}{}", last.unwrap_or_default())
}

/// Starts what the script says.
fn start(
    accessor: &Accessor<World>,
    world: &World,
    exports: &[Exports; 2],
) -> Result<(String, Call)> {
    let guest = &exports[usize::from(world.byte() % 4 == 3)];
    let (kind, x) = (world.byte() % 8, u32::from(world.byte()));
    Ok(match kind {
        0..=3 => {
            let call = guest.go.call_concurrent(accessor, (x,));
            (format!("{}.go({x})", guest.name), Call::Number(call))
        }
        4 => {
            let call = guest.plain.call_concurrent(accessor, (x,));
            (format!("{}.plain({x})", guest.name), Call::Number(call))
        }
        5 => {
            let call = guest.give.call_concurrent(accessor, (x,));
            (format!("{}.give({x})", guest.name), Call::Stream(call))
        }
        _ => {
            let gate = world.gate();
            let (s, f) = accessor.with(|mut access| -> Result<_> {
                let s = StreamReader::new(&mut access, Producer::new(world.clone(), x as usize))?;
                let value = async move {
                    let _ = gate.await;
                    Ok::<_, Error>(x)
                };
                Ok((s, FutureReader::new(&mut access, value)?))
            })??;
            let call = guest.take.call_concurrent(accessor, (s, f));
            (format!("{}.take({x})", guest.name), Call::Number(call))
        }
    })
}

/// Polls a call; says how it ended.
fn poll(
    accessor: &Accessor<World>,
    world: &World,
    call: &mut Call,
    cx: &mut Context<'_>,
) -> Poll<String> {
    match call {
        Call::Number(call) => Pin::new(call).poll(cx).map(|result| match result {
            Ok((number,)) => number.to_string(),
            Err(error) => told(&error),
        }),
        Call::Stream(call) => Pin::new(call).poll(cx).map(|result| {
            let piped = result.and_then(|(stream,)| {
                accessor.with(|access| stream.pipe(access, Consumer::new(world.clone())))?
            });
            match piped {
                Ok(()) => "a stream".to_owned(),
                Err(error) => told(&error),
            }
        }),
    }
}

/// The host's part of the script.
async fn host(accessor: &Accessor<World>, world: &World, exports: &[Exports; 2]) {
    let mut calls: Vec<(String, Call)> = Vec::new();
    let mut left = LAST_TURNS;
    std::future::poll_fn(|cx| {
        calls.retain_mut(|(name, call)| match poll(accessor, world, call, cx) {
            Poll::Pending => true,
            Poll::Ready(end) => {
                world.note(format!("{name}: {end}"));
                false
            }
        });
        if world.is_over() {
            left -= 1;
            world.open();
            if left == 0 {
                return Poll::Ready(());
            }
        }
        match world.byte() % 8 {
            1..=3 if calls.len() < 6 => match start(accessor, world, exports) {
                Ok(call) => calls.push(call),
                Err(error) => world.note(format!("no call: {}", told(&error))),
            },
            4 | 5 => world.open(),
            6 if !calls.is_empty() => {
                let (name, call) = &calls[usize::from(world.byte()) % calls.len()];
                world.note(format!("cancel {name}"));
                match call {
                    Call::Number(call) => call.cancel(),
                    Call::Stream(call) => call.cancel(),
                }
            }
            7 if !calls.is_empty() && world.byte().is_multiple_of(4) => {
                let (name, _) = calls.remove(0);
                world.note(format!("drop {name}"));
            }
            _ => {}
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// One engine with the compositions.
struct Side {
    engine: Engine,
    components: Vec<Component>,
    linkers: [Linker<World>; 2],
}

impl Side {
    /// `often`: guests are interrupted at each opportunity.
    fn new(strategy: Strategy, often: bool) -> Self {
        let mut config = Config::new();
        config.strategy(strategy);
        if often {
            config.pause_often(NonZeroU32::MIN);
        }
        let engine = Engine::new(&config).unwrap();
        let components = guest::STYLES
            .iter()
            .map(|&styles| Component::new(&engine, guest::composition(styles)).unwrap())
            .collect();
        let linkers = [false, true].map(|waits| linker(&engine, waits).unwrap());
        Self {
            engine,
            components,
            linkers,
        }
    }

    /// Runs a script; gives what happened.
    fn run(&self, script: &[u8]) -> Vec<String> {
        let world = World::default();
        let (first, script) = script
            .split_first()
            .map_or((0, script), |(first, rest)| (usize::from(*first), rest));
        let styles = self.components.len();
        let (component, linker) = (
            &self.components[first % styles],
            &self.linkers[first / styles % 2],
        );
        world.with(|shared| shared.script = script.to_vec());
        let mut store = Store::new(&self.engine, world.clone());
        let instance = linker.instantiate(&mut store, component).unwrap();
        let exports = ["a", "b"].map(|guest| Exports::new(&mut store, &instance, guest).unwrap());
        let ran = tidegate::block_on(
            store.run_concurrent(async |accessor| host(accessor, &world, &exports).await),
        );
        if let Err(error) = ran {
            world.note(format!("the store: {}", told(&error)));
        }
        drop(store);
        world.with(|shared| std::mem::take(&mut shared.trace))
    }
}

/// A script that is the same for the same seed.
fn script(seed: u64) -> Vec<u8> {
    let mut dice = ends::Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..4 {
        dice.roll(2);
    }
    let length = 20 + dice.roll(LENGTH - 20);
    (0..length).map(|_| dice.roll(256) as u8).collect()
}

/// Runs a script on both engines, and says how many lines there were.
fn compare(sides: &[Side; 2], seed: u64) -> usize {
    let script = script(seed);
    let runs = || sides.each_ref().map(|side| side.run(&script));
    let [a, b] = catch_unwind(AssertUnwindSafe(runs)).unwrap_or_else(|panic| {
        eprintln!("FUZZ_SEED={seed}: a panic");
        resume_unwind(panic)
    });
    if a != b {
        let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
        let from = same.saturating_sub(12);
        let rest = |trace: &[String]| trace[from..trace.len().min(same + 6)].join("\n  ");
        panic!(
            "FUZZ_SEED={seed}: the engines differ after {same} lines:\n--- compiled\n  {}\n--- interpreted\n  {}",
            rest(&a),
            rest(&b)
        );
    }
    a.len()
}

/// Compiled and interpreted.
fn sides(often: bool) -> [Side; 2] {
    [Strategy::Auto, Strategy::Always(EngineKind::Wasmi)].map(|strategy| Side::new(strategy, often))
}

#[test]
fn everybody_is_told_the_same_on_both_engines() {
    let [usual, interrupted] = [false, true].map(sides);
    let sides_of = |seed: u64| match seed % 8 {
        7 => &interrupted,
        _ => &usual,
    };
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(seed) = number("FUZZ_SEED") {
        let sides = sides_of(seed);
        println!("{}", sides[1].run(&script(seed)).join("\n"));
        compare(sides, seed);
        return;
    }
    let seconds = number("FUZZ_SECONDS");
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut seed = number("FUZZ_FROM").unwrap_or(if end.is_some() { SCRIPTS } else { 0 });
    let mut lines = 0;
    let mut scripts = 0;
    loop {
        let over = match end {
            Some(end) => Instant::now() > end,
            None => scripts == SCRIPTS,
        };
        if over {
            break;
        }
        lines += compare(sides_of(seed), seed);
        seed += 1;
        scripts += 1;
    }
    println!("{scripts} scripts up to seed {seed}, {lines} lines");
    assert!(lines as u64 > 10 * scripts, "the scripts do something");
}

/// Both engines must have something to do: where no two stacks wait in one isolate, code is compiled.
#[test]
fn compositions_are_compiled_where_they_can_be() {
    let side = Side::new(Strategy::Auto, false);
    let engines: Vec<Vec<EngineKind>> = side
        .components
        .iter()
        .map(|component| component.isolates().iter().map(|one| one.engine).collect())
        .collect();
    let count = |kind| engines.iter().flatten().filter(|&&one| one == kind).count();
    assert!(
        count(EngineKind::Wasmtime) >= 16 && count(EngineKind::Wasmi) >= 2,
        "{engines:?}"
    );
}

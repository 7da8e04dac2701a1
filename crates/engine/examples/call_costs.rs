//! What entering and leaving guest code costs, for each engine: `cargo run --release -p tidegate-engine --example call_costs`.

use std::{
    hint::black_box,
    pin::pin,
    task::{Context, Waker},
    time::Instant,
};

use tidegate_engine::{
    Engine, EngineConfig, EngineKind, Extern, Flow, Func, FuncType, Isolate, IsolateData, Limits,
    Module, Pooling, Resume, Stack, Step, ValType,
};

/// ```wat
/// (module
///   (import "h" "sync" (func $sync (param i32) (result i32)))
///   (import "h" "ready" (func $ready (param i32) (result i32)))
///   (import "h" "block" (func $block (param i32) (result i32)))
///   (memory (export "memory") 1)
///   (func (export "nop"))
///   (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
///   (func (export "sync") (param i32) (loop $l … (call $sync …)))   ;; so many times, likewise ready and block
/// ```
fn guest() -> Vec<u8> {
    let function = |name: &str| {
        format!(
            r#"(func (export "{name}") (param i32)
                (loop $l
                    (drop (call ${name} (local.get 0)))
                    (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))"#
        )
    };
    let import =
        |name: &str| format!(r#"(import "h" "{name}" (func ${name} (param i32) (result i32)))"#);
    let text = format!(
        r#"(module {} {} {} (memory (export "memory") 1) (func (export "nop"))
            (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
            {} {} {})"#,
        import("sync"),
        import("ready"),
        import("block"),
        function("sync"),
        function("ready"),
        function("block"),
    );
    wat::parse_str(text).expect("the text above is a module")
}

struct Count(u64);

impl IsolateData for Count {
    type Block = ();
    type Local = ();
    type Reply = ();
}

/// The best of many short runs: one that nothing else on the machine interrupted.
fn report(what: &str, rounds: u64, mut run: impl FnMut()) {
    let best = (0..100)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .min();
    let each = best.unwrap_or_default().as_nanos() as f64 / rounds as f64;
    println!("  {what:<44} {each:>9.1} ns");
}

/// An isolate of the guest's, and its functions by name.
fn isolate(engine: &Engine, module: &Module) -> anyhow::Result<(Isolate<Count>, [Func; 5])> {
    let mut isolate = Isolate::new(engine, Count(0), Limits::default())?;
    let mut cx = isolate.cx();
    let ty = || FuncType::new([ValType::I32], [ValType::I32]);
    let sync = cx.host_func(
        ty(),
        Box::new(|mut cx, slots| {
            cx.data_mut().0 += slots[0];
            Ok(())
        }),
    )?;
    let ready = cx.blocking_host_func(ty(), Box::new(|_, _| Ok(Flow::Return)))?;
    let block = cx.blocking_host_func(ty(), Box::new(|_, _| Ok(Flow::Block(()))))?;
    let instance = cx.instantiate(module, &[sync.into(), ready.into(), block.into()])?;
    let mut funcs = Vec::new();
    for name in ["nop", "add", "sync", "ready", "block"] {
        match cx.export(instance, name) {
            Some(Extern::Func(func)) => funcs.push(func),
            _ => anyhow::bail!("no function {name}"),
        }
    }
    let funcs = funcs
        .try_into()
        .map_err(|_| anyhow::anyhow!("five functions"))?;
    Ok((isolate, funcs))
}

fn measure(config: &EngineConfig, rounds: u64) -> anyhow::Result<()> {
    let engine = Engine::new(config)?;
    let module = Module::new(&engine, &guest())?;
    let (mut isolate, [nop, add, sync, ready, block]) = isolate(&engine, &module)?;

    let mut result = Ok(());
    report("host -> guest, plain, no values", rounds, || {
        let mut cx = isolate.cx();
        for _ in 0..rounds {
            result = cx.call(nop, &mut []);
        }
    });
    result?;
    report("host -> guest, plain, (i32 i32) -> i32", rounds, || {
        let mut cx = isolate.cx();
        for round in 0..rounds {
            let mut slots = [round, 1];
            if cx.call(add, &mut slots).is_err() {
                return;
            }
            black_box(slots);
        }
    });
    for (what, func) in [
        ("host function", sync),
        ("blocking one that is ready", ready),
    ] {
        report(&format!("guest -> {what}"), rounds, || {
            let _ = isolate.cx().call(func, &mut [rounds]);
        });
    }

    let mut isolate = Some(isolate);
    let mut context = Context::from_waker(Waker::noop());
    report("host -> guest on a stack of its own", rounds, || {
        for _ in 0..rounds {
            let Ok(mut stack) = Stack::call(nop, &[]) else {
                return;
            };
            let step = stack.run(&mut isolate, &mut context, Resume::Continue);
            debug_assert!(matches!(step, Step::Done(Ok(()))));
        }
    });
    report("block, and be resumed with a job", rounds, || {
        let Ok(mut stack) = Stack::call(block, &[rounds]) else {
            return;
        };
        let mut step = stack.run(&mut isolate, &mut context, Resume::Continue);
        while let Step::Blocked(()) = step {
            let job = Resume::Job(Box::new(|_, _| Ok(Flow::Return)));
            step = stack.run(&mut isolate, &mut context, job);
        }
    });
    report("the same, the job calling the guest", rounds, || {
        let Ok(mut stack) = Stack::call(block, &[rounds]) else {
            return;
        };
        let mut step = stack.run(&mut isolate, &mut context, Resume::Continue);
        while let Step::Blocked(()) = step {
            let job = Resume::Job(Box::new(move |mut cx, _| {
                cx.call(add, &mut [1, 2])?;
                Ok(Flow::Return)
            }));
            step = stack.run(&mut isolate, &mut context, job);
        }
    });
    drop(isolate);

    let bare = Module::new(
        &engine,
        &wat::parse_str(r#"(module (memory 1) (data (i32.const 0) "x"))"#)?,
    )?;
    bare.prepare()?;
    let rounds = rounds / 100;
    report("make, instantiate and drop an isolate", rounds, || {
        for _ in 0..rounds {
            let Ok(mut isolate) = Isolate::new(&engine, Count(0), Limits::default()) else {
                return;
            };
            let _ = black_box(isolate.cx().instantiate(&bare, &[]));
        }
    });
    Ok(())
}

/// The same through the engine's own typed interface: the floor.
fn floor(rounds: u64) -> wasmtime::Result<()> {
    let engine = wasmtime::Engine::default();
    let module = wasmtime::Module::new(&engine, guest())?;
    let mut store = wasmtime::Store::new(&engine, 0u64);
    let mut host = || {
        wasmtime::Func::wrap(
            &mut store,
            |mut caller: wasmtime::Caller<'_, u64>, x: i32| -> i32 {
                *caller.data_mut() += x as u64;
                x
            },
        )
        .into()
    };
    let imports = [host(), host(), host()];
    let instance = wasmtime::Instance::new(&mut store, &module, &imports)?;
    let nop = instance.get_typed_func::<(), ()>(&mut store, "nop")?;
    let sync = instance.get_typed_func::<i32, ()>(&mut store, "sync")?;
    report("host -> guest, plain, no values", rounds, || {
        for _ in 0..rounds {
            let _ = black_box(nop.call(&mut store, ()));
        }
    });
    report("guest -> host function", rounds, || {
        let _ = sync.call(&mut store, rounds as i32);
    });
    let mut context = Context::from_waker(Waker::noop());
    report("host -> guest on a stack of its own", rounds, || {
        for _ in 0..rounds {
            let call = pin!(nop.call_async(&mut store, ()));
            let _ = black_box(call.poll(&mut context));
        }
    });
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let rounds = 10_000;
    println!("wasmtime's own interface");
    floor(rounds).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    println!("wasmtime");
    measure(&EngineConfig::new(EngineKind::Wasmtime), rounds)?;
    println!("wasmtime, pooling");
    let pooling = EngineConfig {
        pooling: Some(Pooling::default()),
        ..EngineConfig::new(EngineKind::Wasmtime)
    };
    measure(&pooling, rounds)?;
    println!("wasmtime, interruptible");
    let interruptible = EngineConfig {
        interruptible: true,
        ..EngineConfig::new(EngineKind::Wasmtime)
    };
    measure(&interruptible, rounds)?;
    println!("wasmi");
    measure(&EngineConfig::new(EngineKind::Wasmi), rounds / 2)?;
    Ok(())
}

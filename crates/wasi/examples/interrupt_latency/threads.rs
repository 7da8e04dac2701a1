//! Programs of two threads, which are ended from outside.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tidegate::module::{FuncType, Module, ModuleLinker, Outcome, Threads};
use tidegate::scheduler::Scheduler;
use tidegate::{Engine, Result, block_on};

pub const ALL: [(&str, &str); 2] = [
    (
        "end of two threads, both in `memory.atomic.wait32`",
        "(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))",
    ),
    ("end of two threads, both in a loop", "(loop $l (br $l))"),
];

/// Ends a program of two threads, from the request until both are gone.
pub fn end(engine: &Engine, body: &str, times: u32) -> Result<Vec<Duration>> {
    let text = format!(
        r#"(module
            (import "env" "memory" (memory 1 1 shared))
            (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
            (import "host" "begun" (func $begun))
            (func $work {body})
            (func (export "wasi_thread_start") (param i32 i32) (call $begun) (call $work))
            (func (export "_start") (drop (call $spawn (i32.const 0))) (call $work)))"#
    );
    let module = Module::new(engine, text)?;
    let scheduler = Scheduler::new(2)?;
    let mut took = Vec::new();
    for time in 0..times {
        let mut linker = ModuleLinker::new(engine);
        let (begin, begun) = std::sync::mpsc::channel();
        let begin = Mutex::new(begin);
        linker.func("host", "begun", FuncType::default(), move |_, _| {
            let begin = begin.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever measures waits for it.
            let _ = begin.send(());
            Ok(Outcome::Done)
        })?;
        let program = Threads::new(linker, &module, || ())?;
        let handle = program.handle();
        let spawning = scheduler.clone();
        let main = scheduler.spawn(program.run(move |thread| drop(spawning.spawn(thread))));
        begun.recv()?;
        thread::sleep(Duration::from_micros(200 + u64::from(time * 37 % 500)));
        let asked = Instant::now();
        handle.terminate("measured");
        // It ends with the error that was asked for.
        let _ = block_on(main);
        took.push(asked.elapsed());
    }
    Ok(took)
}

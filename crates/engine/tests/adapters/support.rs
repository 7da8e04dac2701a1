//! What the tests share.

use std::task::{Context, Waker};

use tidegate_engine::{
    Cx, Engine, EngineConfig, EngineKind, Extern, Flow, Func, FuncType, Instance, Isolate,
    IsolateData, Job, Limits, Memory, Module, Resume, Stack, Step, ValType,
};

/// Makes a test of each function, for each engine.
macro_rules! both {
    ($($(#[$meta:meta])* fn $name:ident($kind:ident) $body:block)*) => {
        $(
            mod $name {
                use super::*;

                fn run($kind: EngineKind) $body

                $(#[$meta])*
                #[test]
                fn wasmtime() {
                    run(EngineKind::Wasmtime);
                }

                $(#[$meta])*
                #[test]
                fn wasmi() {
                    run(EngineKind::Wasmi);
                }
            }
        )*
    };
}
pub(crate) use both;

/// Isolate data: a log of what happened.
#[derive(Debug, Default)]
pub struct Log(pub Vec<String>);

impl IsolateData for Log {
    type Block = String;
    type Local = ();
    type Reply = u64;

    fn reply(mut cx: Cx<'_, Self>, slots: &mut [u64], reply: u64) -> anyhow::Result<Flow<String>> {
        cx.data_mut().0.push(format!("reply {reply}"));
        slots[0] = reply;
        Ok(Flow::Return)
    }
}

/// An error of the tests' own.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("exit with {0}")]
pub struct Exit(pub i32);

pub fn engine(kind: EngineKind) -> Engine {
    // The tests deserialise what they have just serialised.
    let config = EngineConfig {
        trust_artifacts: true,
        ..EngineConfig::new(kind)
    };
    Engine::new(&config).unwrap()
}

pub fn isolate(engine: &Engine) -> Isolate<Log> {
    Isolate::new(engine, Log::default(), Limits::default()).unwrap()
}

pub fn module(engine: &Engine, wat: &str) -> Module {
    Module::new(engine, &wat::parse_str(wat).unwrap()).unwrap()
}

pub fn instantiate(isolate: &mut Isolate<Log>, module: &Module, imports: &[Extern]) -> Instance {
    isolate.cx().instantiate(module, imports).unwrap()
}

pub fn func(cx: &mut Cx<'_, Log>, instance: Instance, name: &str) -> Func {
    match cx.export(instance, name) {
        Some(Extern::Func(func)) => func,
        other => panic!("no function {name}: {other:?}"),
    }
}

pub fn memory(cx: &mut Cx<'_, Log>, instance: Instance, name: &str) -> Memory {
    match cx.export(instance, name) {
        Some(Extern::Memory(memory)) => memory,
        other => panic!("no memory {name}: {other:?}"),
    }
}

/// Calls an export that has at most one result.
pub fn call(
    isolate: &mut Isolate<Log>,
    instance: Instance,
    name: &str,
    args: &[u64],
) -> anyhow::Result<u64> {
    let mut cx = isolate.cx();
    let func = func(&mut cx, instance, name);
    let mut slots = vec![0; func.slots().max(1)];
    slots[..args.len()].copy_from_slice(args);
    cx.call(func, &mut slots)?;
    Ok(slots[0])
}

pub fn i32_to_i32() -> FuncType {
    FuncType::new([ValType::I32], [ValType::I32])
}

/// A blocking host function `(i32) -> i32` that blocks with its parameter in words.
pub fn blocking(cx: &mut Cx<'_, Log>) -> Extern {
    cx.blocking_host_func(
        i32_to_i32(),
        Box::new(|_, slots| Ok(Flow::Block(format!("{}", slots[0])))),
    )
    .unwrap()
    .into()
}

/// A job that ends the host call with one result.
pub fn give(value: u64) -> Job<Log> {
    Box::new(move |_, slots| {
        slots[0] = value;
        Ok(Flow::Return)
    })
}

pub fn start(stack: &mut Stack<Log>, isolate: &mut Option<Isolate<Log>>) -> Step<String> {
    stack.run(
        isolate,
        &mut Context::from_waker(Waker::noop()),
        Resume::Continue,
    )
}

pub fn resume(
    stack: &mut Stack<Log>,
    isolate: &mut Option<Isolate<Log>>,
    job: Job<Log>,
) -> Step<String> {
    stack.run(
        isolate,
        &mut Context::from_waker(Waker::noop()),
        Resume::Job(job),
    )
}

pub fn blocked(step: Step<String>) -> String {
    match step {
        Step::Blocked(payload) => payload,
        other => panic!("not blocked: {other:?}"),
    }
}

pub fn done(step: Step<String>) {
    match step {
        Step::Done(result) => result.unwrap(),
        other => panic!("not done: {other:?}"),
    }
}

pub fn failed(step: Step<String>) -> anyhow::Error {
    match step {
        Step::Done(Err(error)) => error,
        other => panic!("did not fail: {other:?}"),
    }
}

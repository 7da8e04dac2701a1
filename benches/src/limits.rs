//! Reference lines: what the work would cost if nothing stood between.

use crate::measure::Subject;
use futures::executor::block_on;
use std::io::{Read as _, Write as _};
use wasmtime::Result;

/// A call of a core function by the host.
pub fn core_call() -> Result<Subject> {
    let engine = wasmtime::Engine::default();
    let module = module(&engine, r#"(module (func (export "f")))"#)?;
    let mut store = wasmtime::Store::new(&engine, ());
    let instance = wasmtime::Instance::new(&mut store, &module, &[])?;
    let func = instance.get_typed_func::<(), ()>(&mut store, "f")?;
    Ok(Subject::new(move |n| -> Result<u64> {
        for _ in 0..n {
            func.call(&mut store, ())?;
        }
        Ok(n)
    }))
}

/// Calls a host function so many times.
const CALLS: &str = r#"(module
        (import "" "f" (func $f))
        (func (export "run") (param $n i64)
          (loop $l
            (call $f)
            (local.set $n (i64.sub (local.get $n) (i64.const 1)))
            (br_if $l (i64.ne (local.get $n) (i64.const 0))))))"#;

/// A call of a host function by core code.
pub fn core_host_call() -> Result<Subject> {
    let engine = wasmtime::Engine::default();
    let module = module(&engine, CALLS)?;
    let mut store = wasmtime::Store::new(&engine, ());
    let import = wasmtime::Func::wrap(&mut store, || ());
    let instance = wasmtime::Instance::new(&mut store, &module, &[import.into()])?;
    let func = instance.get_typed_func::<u64, ()>(&mut store, "run")?;
    Ok(Subject::new(move |n| -> Result<u64> {
        func.call(&mut store, n)?;
        Ok(n)
    }))
}

/// A call of a host function by core code that waits once: the engine parks the stack and goes on with it.
pub fn core_wait() -> Result<Subject> {
    let engine = wasmtime::Engine::default();
    let module = module(&engine, CALLS)?;
    let mut store = wasmtime::Store::new(&engine, ());
    let import = wasmtime::Func::wrap_async(&mut store, |_, (): ()| {
        let mut ready = false;
        Box::new(std::future::poll_fn(move |cx| {
            if std::mem::replace(&mut ready, true) {
                return std::task::Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        }))
    });
    let instance = block_on(wasmtime::Instance::new_async(
        &mut store,
        &module,
        &[import.into()],
    ))?;
    let func = instance.get_typed_func::<u64, ()>(&mut store, "run")?;
    Ok(Subject::new(move |n| -> Result<u64> {
        block_on(func.call_async(&mut store, n))?;
        Ok(n)
    }))
}

/// A store with one core instance, pooled, made and dropped.
pub fn core_instance(memory: bool) -> Result<Subject> {
    let mut config = wasmtime::Config::new();
    config.allocation_strategy(wasmtime::InstanceAllocationStrategy::pooling());
    let engine = wasmtime::Engine::new(&config)?;
    let memory = if memory {
        r#"(memory (export "memory") 1)"#
    } else {
        ""
    };
    let text = format!(r#"(module {memory} (func (export "f") (result i32) (i32.const 42)))"#);
    let module = module(&engine, &text)?;
    let pre = wasmtime::Linker::<()>::new(&engine).instantiate_pre(&module)?;
    Ok(Subject::new(move |n| -> Result<u64> {
        for _ in 0..n {
            pre.instantiate(wasmtime::Store::new(&engine, ()))?;
        }
        Ok(n)
    }))
}

/// A copy of so many bytes.
pub fn memcpy(length: usize) -> Result<Subject> {
    let from = vec![3u8; length];
    let mut to = vec![0u8; length];
    Ok(Subject::new(move |n| -> Result<u64> {
        for _ in 0..n {
            std::hint::black_box(&mut to).copy_from_slice(std::hint::black_box(&from));
        }
        Ok(n)
    }))
}

/// The same from a vector that is cloned first.
pub fn cloned_and_copied(length: usize) -> Result<Subject> {
    let from = vec![3u8; length];
    let mut to = vec![0u8; length];
    Ok(Subject::new(move |n| -> Result<u64> {
        for _ in 0..n {
            let cloned = std::hint::black_box(std::hint::black_box(&from).clone());
            std::hint::black_box(&mut to).copy_from_slice(&cloned);
        }
        Ok(n)
    }))
}

/// So many bytes through a pipe of the operating system.
pub fn pipe(length: usize) -> std::io::Result<Subject> {
    let (mut read, mut write) = std::io::pipe()?;
    let from = vec![3u8; length];
    let mut to = vec![0u8; length];
    Ok(Subject::new(move |n| -> std::io::Result<u64> {
        for _ in 0..n {
            write.write_all(&from)?;
            read.read_exact(&mut to)?;
        }
        Ok(n)
    }))
}

fn module(engine: &wasmtime::Engine, text: &str) -> Result<wasmtime::Module> {
    let bytes = wat::parse_str(text).map_err(wasmtime::Error::from)?;
    wasmtime::Module::new(engine, bytes)
}

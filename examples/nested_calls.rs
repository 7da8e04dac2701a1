//! A host function that calls guests, which call it again: load, call, and add the results of two nested calls. All of that is paused again and again from another
//! thread, at whatever level it is, and goes on; the host function knows nothing of it.
//!
//! ```sh
//! cargo run --example nested_calls
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tidegate::interrupt::Outcome;
use tidegate::{AsContextMut, Component, Config, Engine, Linker, Result, Store, block_on, timer};

/// The data of the store: what the host function needs to load another guest.
struct Host {
    linker: Arc<Linker<Self>>,
    component: Component,
}

/// Loads the component once more, and calls it.
async fn load_and_call(mut store: impl AsContextMut<Data = Host>, n: u32) -> Result<u32> {
    let mut context = store.as_context_mut();
    let host = context.data_mut();
    let (linker, component) = (host.linker.clone(), host.component.clone());
    let instance = linker.instantiate_async(&mut store, &component).await?;
    let run = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
    let (result,) = run.call_async(&mut store, (n,)).await?;
    Ok(result)
}

fn main() -> Result<()> {
    let mut config = Config::new();
    config.core().interruptible = true;
    let engine = Engine::new(&config)?;
    let mut linker = Linker::new(&engine);
    linker
        .root()
        .func_wrap_async("call", |mut store, (n,): (u32,)| {
            Box::new(async move {
                timer::sleep(Duration::from_micros(100)).await;
                // Boxed, as it comes back here.
                let result = Box::pin(load_and_call(&mut store, n)).await?;
                Ok((result,))
            })
        })?;
    let host = Host {
        linker: Arc::new(linker),
        component: Component::new(&engine, include_str!("guests/nested.wat"))?,
    };
    let mut store = Store::new(&engine, host);

    let handle = store.interrupt_handle();
    let over = Arc::new(AtomicBool::new(false));
    let (asking, is_over) = (handle.clone(), over.clone());
    let pausing = thread::spawn(move || {
        while !is_over.load(Ordering::Relaxed) {
            asking.pause();
            thread::sleep(Duration::from_micros(200));
        }
    });

    let (mut computing, mut waiting) = (0, 0);
    let mut call = handle.run(load_and_call(&mut store, 6));
    let result = loop {
        match block_on(call) {
            Outcome::Ended(result) => break result?,
            Outcome::Paused(paused) => {
                match paused.suspension().waiting_in {
                    Some(_) => waiting += 1,
                    None => computing += 1,
                }
                call = paused.resume();
            }
        }
    };
    over.store(true, Ordering::Relaxed);
    // It does nothing that panics.
    let _ = pausing.join();
    println!(
        "64 = {result}, paused {computing} times while a guest computed and {waiting} times while the host was at work"
    );
    assert_eq!(result, 64);
    Ok(())
}

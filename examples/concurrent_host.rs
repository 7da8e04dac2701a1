//! Host functions and calls that run side by side: two guests each ask the host two questions at once, a task of the host's counts the time, and one
//! call is given up.
//!
//! ```sh
//! cargo run --example concurrent_host
//! ```

use std::time::Duration;
use tidegate::{Accessor, Component, Config, Engine, Linker, Result, Store, TypedFunc, block_on};

/// How many questions were asked, and how many are open.
#[derive(Default)]
struct Questions {
    asked: u32,
    open: u32,
    most: u32,
}

/// What the guests import: it waits, and does not hold the store meanwhile.
async fn measure(accessor: &Accessor<Questions>, place: u32) -> Result<(u32,)> {
    accessor.with(|mut access| {
        let questions = access.get();
        questions.asked += 1;
        questions.open += 1;
        questions.most = questions.most.max(questions.open);
    })?;
    sleep(Duration::from_millis(20)).await;
    accessor.with(|mut access| access.get().open -= 1)?;
    Ok((place * 10,))
}

/// Any executor will do, and so any timer.
async fn sleep(time: Duration) {
    let (done, waits) = futures_channel::oneshot::channel();
    std::thread::spawn(move || {
        std::thread::sleep(time);
        done.send(())
    });
    waits.await.ok();
}

fn main() -> Result<()> {
    let engine = Engine::new(&Config::new())?;
    let component = Component::new(&engine, include_str!("guests/gather.wat"))?;
    let mut linker = Linker::new(&engine);
    linker
        .root()
        .func_wrap_concurrent("measure", |accessor, (place,): (u32,)| {
            Box::pin(measure(accessor, place))
        })?;

    let mut store = Store::new(&engine, Questions::default());
    let mut gather = || -> Result<TypedFunc<(u32, u32), (u32,)>> {
        let instance = linker.instantiate(&mut store, &component)?;
        instance.get_typed_func(&mut store, "gather")
    };
    let (here, there, nowhere) = (gather()?, gather()?, gather()?);

    let sums = block_on(store.run_concurrent(async |accessor| {
        let here = here.call_concurrent(accessor, (1, 2));
        let there = there.call_concurrent(accessor, (3, 4));
        let ticks = accessor.spawn(|_| async {
            sleep(Duration::from_millis(5)).await;
            "tick"
        })?;
        // Nobody wants to know: the guest's task is cancelled, and its instance stays usable if it confirms.
        drop(nowhere.call_concurrent(accessor, (5, 6)));
        println!("{}", ticks.await?);
        anyhow::Ok((here.await?.0, there.await?.0))
    }))??;

    println!("the sums are {sums:?}");
    assert_eq!(sums, (30, 70));
    let questions = store.data();
    println!(
        "{} questions were asked, {} were open at once",
        questions.asked, questions.most
    );
    assert!(questions.most >= 4);
    Ok(())
}

//! Host functions that return while their caller's code is further up the call stack, in another one that drives the store.

use crate::{Gate, turns};
use std::sync::{Arc, Mutex};
use tidegate::{
    Accessor, Component, Config, Engine, EngineKind, Linker, Store, StoreContextMut, Strategy,
    TypedFunc,
};

const GUEST: &str = r#"
(component
  (import "wait" (func $wait async (param "n" u32) (result u32)))
  (import "drives" (func $drives))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $wait (canon lower (func $wait) async (memory $memory "memory")))
  (core func $drives (canon lower (func $drives)))
  (core func $return (canon task.return (result u32)))
  (core func $cancel (canon subtask.cancel))
  (core func $drop (canon subtask.drop))
  (core func $set-new (canon waitable-set.new))
  (core func $join (canon waitable.join))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "wait" (func $wait (param i32 i32) (result i32)))
    (import "" "drives" (func $drives))
    (import "" "return" (func $return (param i32)))
    (import "" "cancel" (func $cancel (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "set-new" (func $set-new (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (global $subtask (mut i32) (i32.const 0))

    ;; Calls asynchronously; unless `how` is 0, has the host drive the store; if it is 2, cancels then, and gives the subtask's state in the upper half.
    (func (export "run") (param $n i32) (param $how i32) (result i32)
      (local $set i32)
      (global.set $subtask (i32.shr_u (call $wait (local.get $n) (i32.const 16)) (i32.const 4)))
      (if (local.get $how) (then (call $drives)))
      ;; Nothing is in its memory that it was not told of.
      (if (i32.load (i32.const 16)) (then (unreachable)))
      (if (i32.eq (local.get $how) (i32.const 2)) (then
        (i32.store16 (i32.const 18) (call $cancel (global.get $subtask)))
        (return (call $ended))))
      (local.set $set (call $set-new))
      (call $join (global.get $subtask) (local.get $set))
      (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
    (func (export "run-cb") (param i32 i32 i32) (result i32) (call $ended))
    (func $ended (result i32)
      (call $drop (global.get $subtask))
      (call $return (i32.load (i32.const 16)))
      (i32.const 0)))
  (core instance $i (instantiate $m (with "" (instance
    (export "memory" (memory $memory "memory")) (export "wait" (func $wait)) (export "drives" (func $drives))
    (export "return" (func $return)) (export "cancel" (func $cancel)) (export "drop" (func $drop))
    (export "set-new" (func $set-new)) (export "join" (func $join))))))
  (func (export "run") async (param "n" u32) (param "how" u32) (result u32)
    (canon lift (core func $i "run") async (callback (func $i "run-cb")))))
"#;

type Func = TypedFunc<(u32, u32), (u32,)>;

/// Runs it, and gives what it returns.
fn run(kind: EngineKind, how: u32) -> tidegate::Result<u32> {
    let mut config = Config::new();
    config.strategy(Strategy::Always(kind));
    let engine = Engine::new(&config)?;
    let component = Component::new(&engine, GUEST)?;
    let (gate, other) = (Gate::default(), Arc::<Mutex<Option<Func>>>::default());
    let mut linker = Linker::new(&engine);
    let mut root = linker.root();
    let (opens, calls) = (gate.clone(), other.clone());
    root.func_wrap_concurrent("wait", move |_: &Accessor<()>, (n,): (u32,)| {
        let gate = gate.clone();
        Box::pin(async move {
            match n {
                1 => gate.pass().await,
                _ => turns(5).await,
            }
            Ok((100 + n,))
        })
    })?;
    root.func_wrap_async(
        "drives",
        move |mut store: StoreContextMut<'_, ()>, (): ()| {
            let func = calls.lock().unwrap().clone();
            let gate = opens.clone();
            Box::new(async move {
                // `wait` returns to the caller of this while another guest is waited for, which cannot go on as long as one runs that called this.
                gate.open();
                let func = func.expect("there is another guest");
                let error = func.call_async(&mut store, (2, 0)).await.unwrap_err();
                assert!(format!("{error:#}").contains("deadlock"), "{error:#}");
                Ok(())
            })
        },
    )?;
    let mut store = Store::new(&engine, ());
    let [first, second] = [(); 2].map(|()| linker.instantiate(&mut store, &component).unwrap());
    let func: Func = first.get_typed_func(&mut store, "run")?;
    *other.lock().unwrap() = Some(second.get_typed_func(&mut store, "run")?);
    Ok(func.call(&mut store, (1, how))?.0)
}

#[test]
fn they_are_delivered_once_the_caller_can_be_reached() {
    for kind in EngineKind::ALL {
        assert_eq!(run(kind, 1).unwrap(), 101, "{kind:?}");
    }
}

#[test]
fn they_are_delivered_to_a_caller_that_cancels_first() {
    for kind in EngineKind::ALL {
        // It returned: it was not cancelled.
        assert_eq!(run(kind, 2).unwrap(), 2 << 16 | 101, "{kind:?}");
    }
}

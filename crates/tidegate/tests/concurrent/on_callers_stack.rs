//! Guests that call functions of others which run on the caller's stack.

use tidegate::{Component, Config, Engine, EngineKind, Instance, Linker, Store, Strategy};

const GUESTS: &str = include_str!("nested.wat");

fn each(test: impl Fn(Store<()>, Instance)) {
    for kind in EngineKind::ALL {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, GUESTS).unwrap();
        let stacks: Vec<bool> = component
            .isolates()
            .iter()
            .map(|isolate| isolate.stack.is_some())
            .collect();
        // The callee, who calls synchronously, who calls asynchronously.
        assert_eq!(stacks, [false, true, false]);
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine)
            .instantiate(&mut store, &component)
            .unwrap();
        test(store, instance);
    }
}

fn call(store: &mut Store<()>, instance: &Instance, name: &str, n: u32) -> tidegate::Result<u32> {
    let func = instance.get_typed_func::<(u32,), (u32,)>(&mut *store, name)?;
    func.call(store, (n,)).map(|(result,)| result)
}

#[test]
fn results_come_back_at_once_or_later() {
    each(|mut store, instance| {
        for _ in 0..3 {
            assert_eq!(call(&mut store, &instance, "sync-all", 1).unwrap(), 13);
            assert_eq!(call(&mut store, &instance, "async-all", 1).unwrap(), 13);
        }
    });
}

#[test]
fn text_comes_back_by_way_of_the_caller() {
    each(|mut store, instance| {
        let expected = 9000 + u32::from(b's');
        assert_eq!(
            call(&mut store, &instance, "sync-text", 9).unwrap(),
            expected
        );
        assert_eq!(
            call(&mut store, &instance, "async-text", 9).unwrap(),
            expected
        );
    });
}

#[test]
fn a_trap_of_the_callee_is_one_of_its_caller() {
    for name in ["sync-traps", "async-traps", "sync-text", "async-text"] {
        each(|mut store, instance| {
            assert!(call(&mut store, &instance, name, u32::MAX).is_err());
            let error = call(&mut store, &instance, name, 0).unwrap_err();
            assert!(format!("{error:#}").contains("cannot enter"), "{error:#}");
        });
    }
}

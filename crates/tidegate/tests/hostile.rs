//! Guests that lie to the host about their memory, on both engines: each call ends with a value or a trap of that guest, and the store stays usable.

use tidegate::{Component, Config, Engine, EngineKind, Instance, Linker, Store, Strategy, Val};

/// Gives whatever it is told to: pointers, lengths, discriminants, and blocks of memory.
const LIAR: &str = r#"
(component
  (import "log" (func $log))
  (core func $log (canon lower (func $log)))
  (core module $m
    (import "host" "log" (func $log))
    (memory (export "memory") 1)
    (global $answer (mut i32) (i32.const 0))
    (global $manner (mut i32) (i32.const 0))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (if (i32.eq (global.get $manner) (i32.const 1)) (then unreachable))
      (if (i32.eq (global.get $manner) (i32.const 2)) (then (call $log)))
      (if (i32.eq (global.get $manner) (i32.const 3)) (then (drop (memory.grow (i32.const 1)))))
      (global.get $answer))
    (func (export "lie") (param i32 i32)
      (global.set $manner (local.get 0))
      (global.set $answer (local.get 1)))
    (func (export "pair") (param i32 i32) (result i32)
      (i32.store (i32.const 16) (local.get 0))
      (i32.store (i32.const 20) (local.get 1))
      (i32.const 16))
    (func (export "word") (param i32) (result i32) (local.get 0))
    (func (export "take") (param i32 i32)))
  (core instance $i (instantiate $m (with "host" (instance (export "log" (func $log))))))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (type $choice' (variant (case "a") (case "b" u8)))
  (export $choice "choice" (type $choice'))
  (type $marks' (flags "x" "y" "z"))
  (export $marks "marks" (type $marks'))
  (func (export "lie") (param "manner" u32) (param "answer" u32) (canon lift (core func $i "lie")))
  (func (export "text") (param "at" u32) (param "length" u32) (result string)
    (canon lift (core func $i "pair") (memory $memory)))
  (func (export "wide-text") (param "at" u32) (param "length" u32) (result string)
    (canon lift (core func $i "pair") (memory $memory) string-encoding=utf16))
  (func (export "mixed-text") (param "at" u32) (param "length" u32) (result string)
    (canon lift (core func $i "pair") (memory $memory) string-encoding=latin1+utf16))
  (func (export "bytes") (param "at" u32) (param "length" u32) (result (list u8))
    (canon lift (core func $i "pair") (memory $memory)))
  (func (export "numbers") (param "at" u32) (param "length" u32) (result (list u64))
    (canon lift (core func $i "pair") (memory $memory)))
  (func (export "texts") (param "at" u32) (param "length" u32) (result (list string))
    (canon lift (core func $i "pair") (memory $memory)))
  (func (export "spilled") (param "at" u32) (result (tuple u64 u64))
    (canon lift (core func $i "word") (memory $memory)))
  (func (export "choice-of") (param "at" u32) (result $choice)
    (canon lift (core func $i "word") (memory $memory)))
  (func (export "marks-of") (param "word" u32) (result $marks) (canon lift (core func $i "word")))
  (func (export "bool-of") (param "word" u32) (result bool) (canon lift (core func $i "word")))
  (func (export "char-of") (param "word" u32) (result char) (canon lift (core func $i "word")))
  (func (export "take-text") (param "text" string)
    (canon lift (core func $i "take") (memory $memory) (realloc $realloc)))
  (func (export "take-numbers") (param "numbers" (list u64))
    (canon lift (core func $i "take") (memory $memory) (realloc $realloc))))"#;

struct Guest {
    linker: Linker<()>,
    component: Component,
    store: Store<()>,
}

impl Guest {
    fn on_both_engines() -> [Self; 2] {
        [EngineKind::Wasmtime, EngineKind::Wasmi].map(|kind| {
            let mut config = Config::new();
            config.strategy(Strategy::Always(kind));
            let engine = Engine::new(&config).unwrap();
            let mut linker = Linker::new(&engine);
            linker
                .root()
                .func_wrap("log", |_: tidegate::StoreContextMut<'_, ()>, (): ()| Ok(()))
                .unwrap();
            Self {
                component: Component::new(&engine, LIAR).unwrap(),
                store: Store::new(&engine, ()),
                linker,
            }
        })
    }

    fn instance(&mut self) -> Instance {
        self.linker
            .instantiate(&mut self.store, &self.component)
            .unwrap()
    }

    fn call_in(
        &mut self,
        instance: &Instance,
        name: &str,
        arguments: &[Val],
    ) -> Result<Val, String> {
        let func = instance.get_func(&mut self.store, name).unwrap();
        let mut results = vec![Val::Bool(false); usize::from(func.ty().0.result.is_some())];
        match func.call(&mut self.store, arguments, &mut results) {
            Ok(()) => Ok(results.pop().unwrap_or(Val::Bool(true))),
            Err(error) => Err(format!("{error:#}")),
        }
    }

    /// Calls a function of a fresh instance.
    fn call(&mut self, name: &str, arguments: &[u32]) -> Result<Val, String> {
        let arguments: Vec<Val> = arguments.iter().map(|&word| Val::U32(word)).collect();
        let instance = self.instance();
        let result = self.call_in(&instance, name, &arguments);
        if result.is_err() {
            let after = self
                .call_in(&instance, "bool-of", &[Val::U32(1)])
                .unwrap_err();
            assert!(after.contains("cannot enter"), "{name}: {after}");
        }
        result
    }

    fn traps(&mut self, name: &str, arguments: &[u32], why: &str) {
        match self.call(name, arguments) {
            Ok(value) => panic!("{name} {arguments:x?} gave {value:?}"),
            Err(error) => assert!(error.contains(why), "{name} {arguments:x?}: {error}"),
        }
    }
}

const PAGE: u32 = 1 << 16;

#[test]
fn strings_and_lists_that_end_outside_memory_trap() {
    for mut guest in Guest::on_both_engines() {
        for (at, length) in [
            (PAGE - 1, 2),
            (PAGE + 1, 0),
            (0, PAGE + 1),
            (u32::MAX - 7, 8),
            (0, (1 << 28) - 1),
        ] {
            guest.traps("text", &[at, length], "out of bounds");
            guest.traps("bytes", &[at, length], "out of bounds");
        }
        guest.traps("wide-text", &[PAGE - 2, 2], "out of bounds");
        guest.traps("mixed-text", &[PAGE - 2, 1 << 31 | 2], "out of bounds");
        guest.traps("numbers", &[PAGE - 8, 2], "out of bounds");
        guest.traps("spilled", &[PAGE - 8], "out of bounds");
        guest.traps("spilled", &[u32::MAX - 7], "out of bounds");
    }
}

#[test]
fn huge_counts_trap_before_anything_is_allocated() {
    for mut guest in Guest::on_both_engines() {
        for length in [1 << 28, 1 << 31, u32::MAX] {
            guest.traps("text", &[0, length], "too long");
            guest.traps("bytes", &[0, length], "too long");
            guest.traps("numbers", &[0, length], "too long");
            guest.traps("texts", &[0, length], "too long");
        }
        guest.traps("wide-text", &[0, 1 << 27], "too long");
        // It fits the rules, and so would be 32 million strings.
        guest.traps("texts", &[0, (1 << 25) - 1], "out of bounds");
    }
}

#[test]
fn misaligned_pointers_trap() {
    for mut guest in Guest::on_both_engines() {
        for at in [1, 2, 4, 7] {
            guest.traps("numbers", &[at, 1], "unaligned");
            guest.traps("spilled", &[at], "unaligned");
        }
        guest.traps("texts", &[2, 1], "unaligned");
        guest.traps("wide-text", &[1, 1], "unaligned");
        // Also where there is nothing to read.
        guest.traps("numbers", &[4, 0], "unaligned");
    }
}

#[test]
fn discriminants_and_characters_that_are_none_trap() {
    for mut guest in Guest::on_both_engines() {
        // A string's bytes in memory serve as discriminants: the pair that was just stored.
        let instance = guest.instance();
        let stored = guest.call_in(&instance, "bytes", &[Val::U32(2), Val::U32(1)]);
        assert!(stored.is_ok(), "{stored:?}");
        let error = guest
            .call_in(&instance, "choice-of", &[Val::U32(16)])
            .unwrap_err();
        assert!(error.contains("invalid variant discriminant"), "{error}");
        for word in [0xd800, 0xdfff, 0x11_0000, u32::MAX] {
            guest.traps("char-of", &[word], "char");
        }
    }
}

#[test]
fn flags_and_booleans_out_of_range_are_narrowed() {
    for mut guest in Guest::on_both_engines() {
        let all = Val::Flags(["x", "y", "z"].map(Into::into).to_vec());
        assert_eq!(guest.call("marks-of", &[u32::MAX]).unwrap(), all);
        let none = Val::Flags(Vec::new());
        assert_eq!(guest.call("marks-of", &[!0b111]).unwrap(), none);
        for word in [1, 2, 1 << 31, u32::MAX] {
            assert_eq!(guest.call("bool-of", &[word]).unwrap(), Val::Bool(true));
        }
    }
}

#[test]
fn a_lying_realloc_traps_and_nothing_is_written_outside() {
    for mut guest in Guest::on_both_engines() {
        let text = Val::String("tide".into());
        let numbers = Val::List(vec![Val::U64(1), Val::U64(2)]);
        for (name, argument, manner, answer, why) in [
            ("take-text", &text, 0, PAGE - 3, "beyond end of memory"),
            ("take-text", &text, 0, u32::MAX, "beyond end of memory"),
            ("take-numbers", &numbers, 0, 4, "not aligned"),
            (
                "take-numbers",
                &numbers,
                0,
                PAGE - 8,
                "beyond end of memory",
            ),
            (
                "take-numbers",
                &numbers,
                0,
                u32::MAX - 7,
                "beyond end of memory",
            ),
            ("take-text", &text, 1, 0, "unreachable"),
            ("take-text", &text, 2, 0, "cannot leave component instance"),
        ] {
            let instance = guest.instance();
            let lie = [Val::U32(manner), Val::U32(answer)];
            guest.call_in(&instance, "lie", &lie).unwrap();
            let error = guest
                .call_in(&instance, name, std::slice::from_ref(argument))
                .unwrap_err();
            assert!(error.contains(why), "{name} {manner} {answer:#x}: {error}");
            let after = guest.call_in(&instance, "lie", &lie).unwrap_err();
            assert!(after.contains("cannot enter"), "{after}");
        }
        // A block in memory that this very call made.
        let instance = guest.instance();
        let lie = [Val::U32(3), Val::U32(PAGE)];
        guest.call_in(&instance, "lie", &lie).unwrap();
        guest
            .call_in(&instance, "take-numbers", std::slice::from_ref(&numbers))
            .unwrap();
        let back = guest.call_in(&instance, "numbers", &[Val::U32(PAGE), Val::U32(2)]);
        assert_eq!(back.unwrap(), numbers);
    }
}

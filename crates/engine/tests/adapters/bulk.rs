//! Operations on much memory: by pieces where guests can be interrupted, and the same all the same.

use std::fmt::Write;
use std::num::NonZeroU32;

use tidegate_engine::{
    Engine, EngineConfig, EngineKind, Frame, Instance, Isolate, MemoryType, SharedMemory, Stack,
    Step, Trap, TrapCode,
};

use crate::support::*;

/// How much is between two checks of compiled code.
const PIECE: u64 = 64 << 10;
/// How much fuel is taken for at once.
const LARGE_PIECE: u64 = 256 << 10;
const PAGES: u64 = 18;
const BYTES: u64 = PAGES << 16;
/// Bytes of the segment.
const SEGMENT: u64 = 600_000;
/// Elements of the tables, and of their segment.
const ELEMENTS: u64 = 30_000;

fn interruptible(kind: EngineKind) -> Engine {
    Engine::new(&EngineConfig {
        interruptible: true,
        threads: kind == EngineKind::Wasmtime,
        ..EngineConfig::new(kind)
    })
    .unwrap()
}

/// Memories `a`, of 64 bits `w`, and `x`, imported twice, as `x` and `y`.
fn text() -> String {
    let mut text = format!(
        r#"(module
        (import "m" "x" (memory $x {PAGES}))
        (import "m" "x" (memory $y {PAGES}))
        (memory $a (export "a") {PAGES})
        (memory $w (export "w") i64 {PAGES})
        (table $s {ELEMENTS} funcref)
        (table $t i64 {ELEMENTS} funcref)
        (type $number (func (result i32)))
        (func (export "drop") (data.drop $d) (elem.drop $e))
        (func (export "zero") (memory.fill $a (i32.const {BYTES}) (i32.const 1) (i32.const 0)))
        (func (export "constant") (param i32)
            (memory.fill $a (local.get 0) (i32.const 7) (i32.const 700000)))
        (func (export "sum") (result i64) (local i32 i64)
            (loop $l
                (local.set 1 (i64.add
                    (i64.mul (local.get 1) (i64.const 31))
                    (i64.extend_i32_u (i32.add
                        (call $number (table.get $s (local.get 0)))
                        (i32.mul (i32.const 5)
                            (call $number (table.get $t (i64.extend_i32_u (local.get 0)))))))))
                (br_if $l (i32.lt_u
                    (local.tee 0 (i32.add (local.get 0) (i32.const 1)))
                    (i32.const {ELEMENTS}))))
            (local.get 1))
        (table $one 1 funcref)
        (func $number (param funcref) (result i32)
            (if (ref.is_null (local.get 0)) (then (return (i32.const 0))))
            (table.set $one (i32.const 0) (local.get 0))
            (call_indirect $one (type $number) (i32.const 0)))
        (func (export "fill_s") (param i32 i32 i32)
            (table.fill $s (local.get 0) (table.get $s (local.get 1)) (local.get 2)))
        (func (export "fill_t") (param i64 i32 i64)
            (table.fill $t (local.get 0) (table.get $s (local.get 1)) (local.get 2)))
        "#
    );
    let mut operation = |name: &str, code: &str, wide: [bool; 3]| {
        let [a, b, c] = wide.map(|wide| if wide { "i64" } else { "i32" });
        write!(
            text,
            "(func (export \"{name}\") (param {a} {b} {c})
                ({code} (local.get 0) (local.get 1) (local.get 2)))"
        )
        .unwrap();
    };
    for memory in ["a", "w", "x"] {
        let is_wide = memory == "w";
        let (fill, init) = (format!("fill_{memory}"), format!("init_{memory}"));
        let code = format!("memory.fill ${memory}");
        operation(&fill, &code, [is_wide, false, is_wide]);
        let code = format!("memory.init ${memory} $d");
        operation(&init, &code, [is_wide, false, false]);
        for from in ["a", "w", "x", "y"] {
            let from_wide = from == "w";
            operation(
                &format!("copy_{memory}{from}"),
                &format!("memory.copy ${memory} ${from}"),
                [is_wide, from_wide, is_wide && from_wide],
            );
        }
    }
    for table in ["s", "t"] {
        let is_wide = table == "t";
        operation(
            &format!("init_{table}"),
            &format!("table.init ${table} $e"),
            [is_wide, false, false],
        );
        for from in ["s", "t"] {
            let from_wide = from == "t";
            operation(
                &format!("copy_{table}{from}"),
                &format!("table.copy ${table} ${from}"),
                [is_wide, from_wide, is_wide && from_wide],
            );
        }
    }
    for number in 0..7 {
        write!(text, "(func $n{number} (result i32) (i32.const {number}))").unwrap();
    }
    text += "(elem $e func";
    let mut random = Random(5);
    for _ in 0..ELEMENTS {
        write!(text, " $n{}", random.below(7)).unwrap();
    }
    text += ") (data $d \"";
    text.extend((0..SEGMENT).map(|_| char::from(b'a' + random.below(26) as u8)));
    text + "\"))"
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    /// A place or length, often near where something changes.
    fn near(&mut self, end: u64) -> u64 {
        let marks = [
            0,
            4096,
            end / 16,
            PIECE,
            PIECE / 32,
            2 * PIECE,
            LARGE_PIECE,
            end / 2,
            end,
        ];
        match self.below(4) {
            0 => self.below(end + 1),
            1 => self.below(end / 3),
            _ => {
                let mark = marks[self.below(marks.len() as u64) as usize];
                (mark + self.below(5)).saturating_sub(2)
            }
        }
    }
}

/// A guest, and what it is paused at.
struct Guest {
    isolate: Option<Isolate<Log>>,
    instance: Instance,
    owner: Instance,
    pauses: usize,
}

impl Guest {
    fn new(engine: &Engine, text: &str, pauses: bool) -> Self {
        let owner = module(engine, &format!("(module (memory (export \"x\") {PAGES}))"));
        let guest = module(engine, text);
        let mut isolate = isolate(engine);
        if pauses {
            isolate.yield_every(NonZeroU32::MIN).unwrap();
        }
        let mut cx = isolate.cx();
        let owner = cx.instantiate(&owner, &[]).unwrap();
        let x = cx.export(owner, "x").unwrap();
        let instance = cx.instantiate(&guest, &[x, x]).unwrap();
        Self {
            isolate: Some(isolate),
            instance,
            owner,
            pauses: 0,
        }
    }

    fn call(&mut self, name: &str, args: &[u64]) -> Result<Vec<u64>, Trap> {
        let func = func(
            &mut self.isolate.as_mut().unwrap().cx(),
            self.instance,
            name,
        );
        let mut stack = Stack::call(func, args).unwrap();
        loop {
            match start(&mut stack, &mut self.isolate) {
                Step::Yielded => self.pauses += 1,
                Step::Done(Ok(())) => return Ok(stack.results().to_vec()),
                Step::Done(Err(error)) => return Err(error.downcast().unwrap()),
                other => panic!("{other:?}"),
            }
        }
    }

    fn memories(&mut self) -> [Vec<u8>; 3] {
        let (instance, owner) = (self.instance, self.owner);
        let mut cx = self.isolate.as_mut().unwrap().cx();
        [(instance, "a"), (instance, "w"), (owner, "x")].map(|(instance, name)| {
            let memory = memory(&mut cx, instance, name);
            cx.memory(memory).to_vec()
        })
    }
}

fn ended(result: Result<Vec<u64>, Trap>) -> Result<Vec<u64>, (TrapCode, Vec<u32>)> {
    let functions = |frames: Vec<Frame>| frames.iter().map(|frame| frame.func_index).collect();
    result.map_err(|trap| (trap.code, functions(trap.frames)))
}

both! {
    fn memories_are_the_same_whether_by_pieces_or_not(kind) {
        let text = text();
        let mut plain = Guest::new(&engine(kind), &text, false);
        let mut pieces = Guest::new(&interruptible(kind), &text, true);
        let memories = ["a", "w", "x"];
        let mut random = Random(77);
        for seed in ["init_a", "init_w", "init_x"] {
            for guest in [&mut plain, &mut pieces] {
                guest.call(seed, &[1000, 0, SEGMENT]).unwrap();
            }
        }
        let (mut trapped, mut large) = (0, 0);
        for turn in 0..150 {
            let memory = memories[random.below(3) as usize];
            let (to, from) = (random.near(BYTES), random.near(BYTES));
            let length = random.near(BYTES);
            // Mostly within bounds.
            let length = match random.below(4) {
                0 => length,
                1 => BYTES - to.max(from).min(BYTES),
                _ => length.min(BYTES - to.max(from).min(BYTES)),
            };
            let (name, from) = match random.below(6) {
                0 => (format!("fill_{memory}"), from),
                1 => (format!("init_{memory}"), from % SEGMENT),
                _ => (format!("copy_{memory}{}", ["a", "w", "x", "y"][random.below(4) as usize]), from),
            };
            let args = [to, from, length];
            let expected = ended(plain.call(&name, &args));
            let before = pieces.pauses;
            assert_eq!(ended(pieces.call(&name, &args)), expected, "{turn}: {name} {args:?}");
            assert!(pieces.memories() == plain.memories(), "{turn}: {name} {args:?}");
            trapped += u32::from(expected.is_err());
            if expected.is_ok() && length > 2 * LARGE_PIECE {
                large += 1;
                assert!(pieces.pauses - before >= 2, "{turn}: {name} {args:?}");
            }
        }
        assert!(trapped > 10 && large > 10, "{trapped} {large}");
    }

    fn tables_are_the_same_whether_by_pieces_or_not(kind) {
        let text = text();
        let mut plain = Guest::new(&engine(kind), &text, false);
        let mut pieces = Guest::new(&interruptible(kind), &text, true);
        let mut random = Random(33);
        for turn in 0..40 {
            let table = ["s", "t"][random.below(2) as usize];
            let (to, from) = (random.near(ELEMENTS), random.near(ELEMENTS));
            let length = random.near(ELEMENTS);
            let length = match random.below(5) {
                0 => length,
                _ => length.min(ELEMENTS - to.max(from).min(ELEMENTS)),
            };
            let name = match random.below(6) {
                0 => format!("fill_{table}"),
                1 | 2 => format!("init_{table}"),
                _ => format!("copy_{table}{}", ["s", "t"][random.below(2) as usize]),
            };
            let args = [to, from, length];
            let expected = ended(plain.call(&name, &args));
            assert_eq!(ended(pieces.call(&name, &args)), expected, "{turn}: {name} {args:?}");
            if turn % 4 == 3 {
                // What it computes is not what is tried: no pauses in it.
                let sum = call(pieces.isolate.as_mut().unwrap(), pieces.instance, "sum", &[]).unwrap();
                assert_eq!(plain.call("sum", &[]).unwrap(), [sum], "{turn}: {name} {args:?}");
            }
        }
        assert!(pieces.pauses > 20, "{}", pieces.pauses);
    }

    fn bounds_are_those_of_the_specification(kind) {
        let text = text();
        let mut plain = Guest::new(&engine(kind), &text, false);
        let mut pieces = Guest::new(&interruptible(kind), &text, true);
        let (most, wide) = (u64::from(u32::MAX), u64::MAX);
        for (name, args) in [
            ("fill_a", [0, 1, BYTES]),
            ("fill_a", [1, 1, BYTES]),
            ("fill_a", [BYTES, 1, 0]),
            ("fill_a", [BYTES + 1, 1, 0]),
            ("fill_a", [most, 1, most]),
            ("fill_a", [1, 1, most]),
            ("fill_a", [most - LARGE_PIECE, 1, LARGE_PIECE + 1]),
            ("fill_w", [BYTES, 1, 0]),
            ("fill_w", [wide, 1, wide]),
            ("fill_w", [1, 1, wide]),
            ("fill_w", [wide - 2 * LARGE_PIECE + 1, 1, 2 * LARGE_PIECE]),
            ("fill_w", [1 << 32, 1, 2 * LARGE_PIECE]),
            ("fill_w", [0, 1, 1 << 32]),
            ("copy_aw", [0, 1 << 32, 2 * LARGE_PIECE]),
            ("copy_wa", [1 << 32, 0, 2 * LARGE_PIECE]),
            ("copy_ww", [wide, wide, wide]),
            ("copy_aa", [0, BYTES - 2 * LARGE_PIECE, 2 * LARGE_PIECE]),
            ("copy_aa", [0, BYTES - 2 * LARGE_PIECE + 1, 2 * LARGE_PIECE]),
            ("copy_xy", [BYTES - 2 * LARGE_PIECE + 1, 0, 2 * LARGE_PIECE]),
            ("init_a", [0, 0, SEGMENT]),
            ("init_a", [0, 1, SEGMENT]),
            ("init_a", [0, most, SEGMENT]),
            ("init_a", [BYTES - SEGMENT + 1, 0, SEGMENT]),
            ("init_w", [wide - 1, 0, SEGMENT]),
            ("init_t", [wide - 1, 0, ELEMENTS]),
            ("init_s", [0, 1, ELEMENTS]),
            ("fill_t", [1, 0, ELEMENTS]),
            ("copy_ss", [1, 0, ELEMENTS]),
        ] {
            let expected = ended(plain.call(name, &args));
            assert_eq!(ended(pieces.call(name, &args)), expected, "{name} {args:?}");
            assert!(pieces.memories() == plain.memories(), "{name} {args:?}");
        }
        for guest in [&mut plain, &mut pieces] {
            guest.call("zero", &[]).unwrap();
            guest.call("constant", &[3]).unwrap();
            assert_eq!(guest.call("constant", &[BYTES - 699_999]).unwrap_err().code, TrapCode::MemoryOutOfBounds);
            // Dropped segments have a length of zero.
            guest.call("drop", &[]).unwrap();
            for name in ["init_a", "init_w"] {
                let trap = guest.call(name, &[0, 0, SEGMENT]).unwrap_err();
                assert_eq!(trap.code, TrapCode::MemoryOutOfBounds);
            }
            for name in ["init_s", "init_t"] {
                let trap = guest.call(name, &[0, 0, ELEMENTS]).unwrap_err();
                assert_eq!(trap.code, TrapCode::TableOutOfBounds);
            }
            guest.call("init_a", &[0, 0, 0]).unwrap();
        }
        assert!(pieces.memories() == plain.memories());
    }

    fn what_is_paused_midway_goes_on_from_there(kind) {
        if kind == EngineKind::Wasmtime {
            // A stack that has yielded keeps the isolate: see `memories_may_grow_while_they_are_copied`.
            return;
        }
        let text = text();
        let mut guest = Guest::new(&interruptible(kind), &text, true);
        let fill = func(&mut guest.isolate.as_mut().unwrap().cx(), guest.instance, "fill_a");
        let mut stack = Stack::call(fill, &[10, 9, BYTES - 10]).unwrap();
        let mut filled = Vec::new();
        while let Step::Yielded = start(&mut stack, &mut guest.isolate) {
            let [a, ..] = guest.memories();
            let end = a.iter().rposition(|byte| *byte == 9).map_or(10, |last| last + 1);
            assert!(a[..10].iter().all(|byte| *byte == 0) && a[10..end].iter().all(|byte| *byte == 9));
            filled.push(end as u64 - 10);
        }
        filled.dedup();
        let pieces = (BYTES - 10).div_ceil(LARGE_PIECE);
        let pieces: Vec<u64> = (0..pieces).map(|piece| piece * LARGE_PIECE).collect();
        assert_eq!(filled, pieces);
        let [a, ..] = guest.memories();
        assert!(a[10..].iter().all(|byte| *byte == 9));
    }

    fn guests_are_ended_midway(kind) {
        let engine = interruptible(kind);
        let module = module(&engine, "(module (memory (export \"a\") 4096)
            (func (export \"fill\") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0))))");
        let mut isolate = isolate(&engine);
        let handle = isolate.interrupt_handle().unwrap();
        let instance = instantiate(&mut isolate, &module, &[]);
        let fill = func(&mut isolate.cx(), instance, "fill");
        let mut isolate = Some(isolate);
        let mut stack = Stack::call(fill, &[256 << 20]).unwrap();
        handle.interrupt();
        let error = failed(start(&mut stack, &mut isolate));
        let trap = error.downcast_ref::<Trap>().unwrap();
        assert_eq!(trap.code, TrapCode::Interrupted);
        let mut isolate = isolate.unwrap();
        let mut cx = isolate.cx();
        let a = memory(&mut cx, instance, "a");
        assert_eq!(cx.memory(a)[64 << 20], 0);
    }
}

#[test]
fn memories_may_grow_while_they_are_copied() {
    let engine = interruptible(EngineKind::Wasmtime);
    let ty = MemoryType {
        minimum: 16,
        maximum: Some(32),
        memory64: false,
        shared: true,
        page_size_log2: 16,
    };
    let shared = SharedMemory::new(&engine, &ty).unwrap();
    let module = module(
        &engine,
        r#"(module (import "m" "m" (memory 16 32 shared))
            (func (export "grow") (drop (memory.grow (i32.const 1))))
            (func (export "copy") (param i32 i32 i32)
                (memory.copy (local.get 0) (local.get 1) (local.get 2))))"#,
    );
    let guest = |pauses: bool| {
        let mut isolate = isolate(&engine);
        if pauses {
            isolate.yield_every(NonZeroU32::MIN).unwrap();
        }
        let memory = isolate.cx().add_shared_memory(&shared).unwrap();
        let instance = instantiate(&mut isolate, &module, &[memory]);
        (isolate, instance)
    };
    let mut random = Random(9);
    let before: Vec<u8> = (0..16 << 16).map(|_| random.below(256) as u8).collect();
    shared.write(0, &before).unwrap();
    let (mut growing, other) = guest(false);
    let (mut isolate, instance) = guest(true);
    let copy = func(&mut isolate.cx(), instance, "copy");
    let length = (16 << 16) - 100;
    let mut stack = Stack::call(copy, &[100, 0, length]).unwrap();
    let mut isolate = Some(isolate);
    let mut pauses = 0;
    let mut after = vec![0; 16 << 16];
    while let Step::Yielded = start(&mut stack, &mut isolate) {
        call(&mut growing, other, "grow", &[]).unwrap();
        // It goes from the end.
        shared.read(0, &mut after).unwrap();
        let end = (length - pauses * PIECE) as usize;
        assert!(after[..end + 100] == before[..end + 100]);
        assert!(after[end + 100..] == before[end..length as usize]);
        pauses += 1;
    }
    assert_eq!(pauses, length.div_ceil(PIECE));
    assert_eq!(shared.size() as u64, (16 + pauses) << 16);
    shared.read(0, &mut after).unwrap();
    assert!(after[..100] == before[..100] && after[100..] == before[..length as usize]);
}

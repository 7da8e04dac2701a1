//! Guests of the three generations of WASI, put together from lists: what they import, and the loops that they export.
//!
//! Their memory: 0 what functions return; 256 paths; 1024 lists of one buffer, and parameters; 64 KiB the buffer; 1 MiB what the host allocates, again and
//! again; 3 MiB what is waited for; 4 MiB what has happened.

mod p1;
mod p2;
mod p3;

use super::Generation;

/// The text of the guest that uses `generation`.
pub fn text(generation: Generation) -> String {
    match generation {
        Generation::P1 => p1::text(),
        Generation::P2 => p2::text(),
        Generation::P3 => p3::text(),
    }
}

/// A function of the host: its name in the guest, its core type, and where it comes from.
struct Host(&'static str, &'static str, &'static str);

/// An exported loop: its name, what is done once, and what is done each time. It is given `$n` (how often), `$size` and `$arg`, and gives `$sum`.
struct Loop(&'static str, &'static str, &'static str);

const PATHS: &str = r#"(data (i32.const 256) "file") (data (i32.const 272) "many")"#;

/// What the host allocates.
const REALLOC: &str = r#"
    (global $next (mut i32) (i32.const 0x100000))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (if (i32.gt_u (i32.add (global.get $next) (local.get 3)) (i32.const 0x200000))
        (then (global.set $next (i32.const 0x100000))))
      (local.set $at (global.get $next))
      (global.set $next (i32.and (i32.add (i32.add (local.get $at) (local.get 3)) (i32.const 7)) (i32.const -8)))
      (local.get $at))"#;

/// What all guests' code begins with.
const HELPERS: &str = r#"
    (global $begun (mut i32) (i32.const 0))
    (global $a (mut i32) (i32.const 0))
    (global $b (mut i32) (i32.const 0))
    (global $c (mut i32) (i32.const 0))
    (func $ok (param i32) (if (local.get 0) (then unreachable)))
    (func $u64 (param i32) (result i64) (i64.extend_i32_u (local.get 0)))
    ;; Where the next read or write is, in a file of 1 MiB.
    (func $offset (param $n i64) (result i64) (i64.shl (i64.and (local.get $n) (i64.const 15)) (i64.const 16)))"#;

fn loops(loops: &[Loop]) -> String {
    let each = loops.iter().map(|Loop(name, once, body)| {
        format!(
            r#"
    (func ${name} (export "{name}") (param $n i64) (param $size i32) (param $arg i32) (result i64)
      (local $sum i64) (local $i i32) (local $j i32) (local $k i32) (local $cookie i64)
      (if (i32.eqz (global.get $begun)) (then (global.set $begun (i32.const 1)) {once}))
      (loop $l
        {body}
        (local.set $n (i64.sub (local.get $n) (i64.const 1)))
        (br_if $l (i64.ne (local.get $n) (i64.const 0))))
      (local.get $sum))"#
        )
    });
    each.collect()
}

/// A component: its imports of `interfaces`, functions of which it lowers, and its loops, which are lifted in the given way.
fn component(
    interfaces: &str,
    hosts: &[Host],
    helpers: &str,
    all: &[Loop],
    exported: impl Fn(&str) -> String,
) -> String {
    let join = |part: &dyn Fn(&Host) -> String| hosts.iter().map(part).collect::<String>();
    let lowered = join(&|Host(name, _, from)| format!("\n  (core func ${name} ({from}))"));
    let imported =
        join(&|Host(name, ty, _)| format!("\n    (import \"\" \"{name}\" (func ${name} {ty}))"));
    let given = join(&|Host(name, ..)| format!(" (export \"{name}\" (func ${name}))"));
    let lifted: String = all.iter().map(|Loop(name, ..)| exported(name)).collect();
    let loops = loops(all);
    format!(
        r#"(component {interfaces}
  (core module $memory (memory (export "memory") 128) {REALLOC})
  (core instance $memory (instantiate $memory)){lowered}
  (core module $m {imported}
    (import "" "memory" (memory 128)) {PATHS} {HELPERS} {helpers} {loops})
  (core instance $m (instantiate $m (with "" (instance (export "memory" (memory $memory "memory")){given})))){lifted})"#
    )
}

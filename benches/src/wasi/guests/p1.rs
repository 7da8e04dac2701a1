//! A guest of WASI 0.1.

use super::{HELPERS, Host, Loop, PATHS, loops};

const HOSTS: [Host; 8] = [
    Host("fd_read", "(param i32 i32 i32 i32) (result i32)", ""),
    Host("fd_write", "(param i32 i32 i32 i32) (result i32)", ""),
    Host("fd_pread", "(param i32 i32 i32 i64 i32) (result i32)", ""),
    Host("fd_pwrite", "(param i32 i32 i32 i64 i32) (result i32)", ""),
    Host("fd_close", "(param i32) (result i32)", ""),
    Host("fd_readdir", "(param i32 i32 i32 i64 i32) (result i32)", ""),
    Host(
        "path_open",
        "(param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)",
        "",
    ),
    Host("poll_oneoff", "(param i32 i32 i32 i32) (result i32)", ""),
];

const HELPERS_1: &str = r#"
    ;; The list of one buffer.
    (func $buffer (param $size i32)
      (i32.store (i32.const 1024) (i32.const 0x10000))
      (i32.store (i32.const 1028) (local.get $size)))
    (func $open-path (param $path i32) (param $flags i32) (param $rights i64) (result i32)
      (call $ok (call $path_open (i32.const 3) (i32.const 0) (local.get $path) (i32.const 4)
        (local.get $flags) (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 0)))
      (i32.load (i32.const 0)))
    ;; What `fd_read` and its like did, and the first byte of the buffer.
    (func $done (result i64)
      (i64.add (call $u64 (i32.load (i32.const 0))) (call $u64 (i32.load8_u (i32.const 0x10000)))))"#;

const OPEN: &str = r#"
    (global.set $a (call $open-path (i32.const 256) (i32.const 0) (i64.const 0x46)))
    (call $buffer (local.get $size))"#;

const LOOPS: [Loop; 7] = [
    Loop(
        "write",
        "(call $buffer (local.get $size))",
        r#"(call $ok (call $fd_write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 0)))
        (local.set $sum (i64.add (local.get $sum) (call $u64 (i32.load (i32.const 0)))))"#,
    ),
    Loop(
        "read",
        "(call $buffer (local.get $size))",
        r#"(call $ok (call $fd_read (i32.const 0) (i32.const 1024) (i32.const 1) (i32.const 0)))
        (local.set $sum (i64.add (local.get $sum) (call $done)))"#,
    ),
    // The standard input among clocks that are far away; with `$arg`, its byte is read.
    Loop(
        "poll",
        r#"(call $buffer (i32.const 1))
        (loop $more
          (local.set $j (i32.add (i32.const 0x300000) (i32.mul (local.get $i) (i32.const 48))))
          (i32.store (local.get $j) (local.get $i))
          ;; What it is: a clock (the monotonic one), and last a descriptor (0).
          (local.set $k (i32.eq (local.get $i) (i32.sub (local.get $size) (i32.const 1))))
          (i32.store8 offset=8 (local.get $j) (local.get $k))
          (i32.store offset=16 (local.get $j) (i32.eqz (local.get $k)))
          (i64.store offset=24 (local.get $j) (i64.const 1000000000000000))
          (br_if $more (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $size))))"#,
        r#"(call $ok (call $poll_oneoff (i32.const 0x300000) (i32.const 0x400000) (local.get $size) (i32.const 0)))
        (local.set $sum (i64.add (local.get $sum)
          (i64.add (call $u64 (i32.load (i32.const 0))) (i64.load (i32.const 0x400000)))))
        (if (local.get $arg) (then
          (call $ok (call $fd_read (i32.const 0) (i32.const 1024) (i32.const 1) (i32.const 0)))))"#,
    ),
    Loop(
        "file-read",
        OPEN,
        r#"(call $ok (call $fd_pread (global.get $a) (i32.const 1024) (i32.const 1) (call $offset (local.get $n)) (i32.const 0)))
        (local.set $sum (i64.add (local.get $sum) (call $done)))"#,
    ),
    Loop(
        "file-write",
        OPEN,
        r#"(call $ok (call $fd_pwrite (global.get $a) (i32.const 1024) (i32.const 1) (call $offset (local.get $n)) (i32.const 0)))
        (local.set $sum (i64.add (local.get $sum) (call $done)))"#,
    ),
    Loop(
        "open",
        "",
        r#"(call $ok (call $fd_close (call $open-path (i32.const 256) (i32.const 0) (i64.const 2))))
        (local.set $sum (i64.add (local.get $sum) (i64.const 1)))"#,
    ),
    // By pieces of `$size` bytes; the last entry of a piece may be cut off.
    Loop(
        "readdir",
        "",
        r#"(local.set $cookie (i64.const 0))
        (global.set $a (call $open-path (i32.const 272) (i32.const 2) (i64.const 0x4000)))
        (loop $more
          (call $ok (call $fd_readdir (global.get $a) (i32.const 0x10000) (local.get $size) (local.get $cookie) (i32.const 0)))
          (local.set $j (i32.load (i32.const 0)))
          (local.set $i (i32.const 0))
          (block $cut (loop $entry
            (br_if $cut (i32.gt_u (i32.add (local.get $i) (i32.const 24)) (local.get $j)))
            (local.set $k (i32.add (i32.const 24) (i32.load offset=0x10010 (local.get $i))))
            (br_if $cut (i32.gt_u (i32.add (local.get $i) (local.get $k)) (local.get $j)))
            (local.set $cookie (i64.load offset=0x10000 (local.get $i)))
            (local.set $sum (i64.add (local.get $sum) (i64.const 1)))
            (local.set $i (i32.add (local.get $i) (local.get $k)))
            (br $entry)))
          (br_if $more (i32.eq (local.get $j) (local.get $size))))
        (call $ok (call $fd_close (global.get $a)))"#,
    ),
];

/// The module's text.
pub fn text() -> String {
    let imports: String = HOSTS
        .iter()
        .map(|Host(name, ty, _)| {
            format!("\n  (import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} {ty}))")
        })
        .collect();
    let loops = loops(&LOOPS);
    format!(
        "(module {imports}\n  (memory (export \"memory\") 128) {PATHS} {HELPERS} {HELPERS_1} {loops})"
    )
}

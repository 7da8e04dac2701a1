//! A guest of WASI 0.3.

use super::{Host, Loop, component};

/// Only what the loops use.
const INTERFACES: &str = r#"
  (import "wasi:cli/types@0.3.0" (instance $cli
    (type $code (enum "io" "illegal-byte-sequence" "pipe"))
    (export "error-code" (type (eq $code)))))
  (alias export $cli "error-code" (type $cli-code))
  (import "wasi:cli/stdin@0.3.0" (instance $stdin
    (alias outer 1 $cli-code (type $code'))
    (export "error-code" (type $code (eq $code')))
    (export "read-via-stream" (func (result (tuple (stream u8) (future (result (error $code)))))))))
  (import "wasi:cli/stdout@0.3.0" (instance $stdout
    (alias outer 1 $cli-code (type $code'))
    (export "error-code" (type $code (eq $code')))
    (export "write-via-stream" (func (param "data" (stream u8)) (result (future (result (error $code))))))))
  (import "wasi:clocks/monotonic-clock@0.3.0" (instance $clock
    (export "wait-for" (func async (param "how-long" u64)))))
  (import "wasi:filesystem/types@0.3.0" (instance $files
    (export "descriptor" (type $descriptor (sub resource)))
    (type $code' (variant (case "access") (case "already") (case "bad-descriptor") (case "busy") (case "deadlock") (case "quota")
      (case "exist") (case "file-too-large") (case "illegal-byte-sequence") (case "in-progress") (case "interrupted") (case "invalid")
      (case "io") (case "is-directory") (case "loop") (case "too-many-links") (case "message-size") (case "name-too-long")
      (case "no-device") (case "no-entry") (case "no-lock") (case "insufficient-memory") (case "insufficient-space")
      (case "not-directory") (case "not-empty") (case "not-recoverable") (case "unsupported") (case "no-tty") (case "no-such-device")
      (case "overflow") (case "not-permitted") (case "pipe") (case "read-only") (case "invalid-seek") (case "text-file-busy")
      (case "cross-device") (case "other" (option string))))
    (export "error-code" (type $code (eq $code')))
    (type $kind' (variant (case "block-device") (case "character-device") (case "directory") (case "fifo") (case "symbolic-link")
      (case "regular-file") (case "socket") (case "other" (option string))))
    (export "descriptor-type" (type $kind (eq $kind')))
    (type $entry' (record (field "type" $kind) (field "name" string)))
    (export "directory-entry" (type $entry (eq $entry')))
    (type $path-flags' (flags "symlink-follow"))
    (export "path-flags" (type $path-flags (eq $path-flags')))
    (type $open-flags' (flags "create" "directory" "exclusive" "truncate"))
    (export "open-flags" (type $open-flags (eq $open-flags')))
    (type $flags' (flags "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync" "mutate-directory"))
    (export "descriptor-flags" (type $flags (eq $flags')))
    (export "[method]descriptor.open-at" (func async (param "self" (borrow $descriptor)) (param "path-flags" $path-flags) (param "path" string)
      (param "open-flags" $open-flags) (param "flags" $flags) (result (result (own $descriptor) (error $code)))))
    (export "[method]descriptor.read-via-stream" (func (param "self" (borrow $descriptor)) (param "offset" u64)
      (result (tuple (stream u8) (future (result (error $code)))))))
    (export "[method]descriptor.write-via-stream" (func (param "self" (borrow $descriptor)) (param "data" (stream u8)) (param "offset" u64)
      (result (future (result (error $code))))))
    (export "[method]descriptor.read-directory" (func (param "self" (borrow $descriptor))
      (result (tuple (stream $entry) (future (result (error $code)))))))))
  (alias export $files "descriptor" (type $descriptor))
  (alias export $files "directory-entry" (type $entry))
  (alias export $files "error-code" (type $code))
  (import "wasi:filesystem/preopens@0.3.0" (instance $preopens
    (alias outer 1 $descriptor (type $descriptor'))
    (export "descriptor" (type $descriptor (eq $descriptor')))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))
  (import "wasi:sockets/types@0.3.0" (instance $sockets
    (export "tcp-socket" (type $socket (sub resource)))
    (type $code' (variant (case "access-denied") (case "not-supported") (case "invalid-argument") (case "out-of-memory") (case "timeout")
      (case "invalid-state") (case "address-not-bindable") (case "address-in-use") (case "remote-unreachable") (case "connection-refused")
      (case "connection-broken") (case "connection-reset") (case "connection-aborted") (case "datagram-too-large")
      (case "other" (option string))))
    (export "error-code" (type $code (eq $code')))
    (type $family' (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type $family (eq $family')))
    (type $v4' (record (field "port" u16) (field "address" (tuple u8 u8 u8 u8))))
    (export "ipv4-socket-address" (type $v4 (eq $v4')))
    (type $v6' (record (field "port" u16) (field "flow-info" u32) (field "address" (tuple u16 u16 u16 u16 u16 u16 u16 u16)) (field "scope-id" u32)))
    (export "ipv6-socket-address" (type $v6 (eq $v6')))
    (type $address' (variant (case "ipv4" $v4) (case "ipv6" $v6)))
    (export "ip-socket-address" (type $address (eq $address')))
    (export "[static]tcp-socket.create" (func (param "address-family" $family) (result (result (own $socket) (error $code)))))
    (export "[method]tcp-socket.connect" (func async (param "self" (borrow $socket)) (param "remote-address" $address) (result (result (error $code)))))
    (export "[method]tcp-socket.send" (func (param "self" (borrow $socket)) (param "data" (stream u8)) (result (future (result (error $code))))))
    (export "[method]tcp-socket.receive" (func (param "self" (borrow $socket)) (result (tuple (stream u8) (future (result (error $code)))))))))
  (type $bytes (stream u8))
  (type $entries (stream $entry))
  (type $ending (future (result (error $code))))"#;

macro_rules! lower {
    ($from:literal $($how:literal)?) => {
        concat!("canon lower (func ", $from, ") ", $($how,)? r#"(memory $memory "memory") (realloc (func $memory "realloc"))"#)
    };
}

#[rustfmt::skip]
const HOSTS: [Host; 26] = [
    Host("stdin", "(param i32)", lower!(r#"$stdin "read-via-stream""#)),
    Host("stdout", "(param i32) (result i32)", lower!(r#"$stdout "write-via-stream""#)),
    Host("wait-for", "(param i64) (result i32)", lower!(r#"$clock "wait-for""# "async ")),
    Host("directories", "(param i32)", lower!(r#"$preopens "get-directories""#)),
    Host("open-at", "(param i32 i32) (result i32)", lower!(r#"$files "[method]descriptor.open-at""# "async ")),
    Host("read-via", "(param i32 i64 i32)", lower!(r#"$files "[method]descriptor.read-via-stream""#)),
    Host("write-via", "(param i32 i32 i64) (result i32)", lower!(r#"$files "[method]descriptor.write-via-stream""#)),
    Host("read-directory", "(param i32 i32)", lower!(r#"$files "[method]descriptor.read-directory""#)),
    Host("socket", "(param i32 i32)", lower!(r#"$sockets "[static]tcp-socket.create""#)),
    Host("connect", "(param i32 i32) (result i32)", lower!(r#"$sockets "[method]tcp-socket.connect""# "async ")),
    Host("send", "(param i32 i32) (result i32)", lower!(r#"$sockets "[method]tcp-socket.send""#)),
    Host("receive", "(param i32 i32)", lower!(r#"$sockets "[method]tcp-socket.receive""#)),
    Host("drop-descriptor", "(param i32)", "canon resource.drop $descriptor"),
    Host("new", "(result i64)", "canon stream.new $bytes"),
    Host("stream-read", "(param i32 i32 i32) (result i32)", r#"canon stream.read $bytes async (memory $memory "memory")"#),
    Host("stream-write", "(param i32 i32 i32) (result i32)", r#"canon stream.write $bytes async (memory $memory "memory")"#),
    Host("entries-read", "(param i32 i32 i32) (result i32)", r#"canon stream.read $entries async (memory $memory "memory") (realloc (func $memory "realloc"))"#),
    Host("drop-reader", "(param i32)", "canon stream.drop-readable $bytes"),
    Host("drop-writer", "(param i32)", "canon stream.drop-writable $bytes"),
    Host("drop-entries", "(param i32)", "canon stream.drop-readable $entries"),
    Host("future-read", "(param i32 i32) (result i32)", r#"canon future.read $ending async (memory $memory "memory") (realloc (func $memory "realloc"))"#),
    Host("drop-future", "(param i32)", "canon future.drop-readable $ending"),
    Host("set-new", "(result i32)", "canon waitable-set.new"),
    Host("set-wait", "(param i32 i32) (result i32)", r#"canon waitable-set.wait (memory $memory "memory")"#),
    Host("join", "(param i32 i32)", "canon waitable.join"),
    Host("drop-subtask", "(param i32)", "canon subtask.drop"),
];

const HELPERS: &str = r#"
    (global $set (mut i32) (i32.const 0))
    ;; Waits for an event, which is to be of the given waitable.
    (func $event (param $of i32) (result i32)
      (drop (call $set-wait (global.get $set) (i32.const 32)))
      (if (i32.ne (i32.load (i32.const 32)) (local.get $of)) (then unreachable))
      (i32.load (i32.const 36)))
    (func $join-set (param $waitable i32)
      (if (i32.eqz (global.get $set)) (then (global.set $set (call $set-new))))
      (call $join (local.get $waitable) (global.get $set)))
    ;; What an operation on an end gave, be it at once or later.
    (func $settled (param $end i32) (param $result i32) (result i32)
      (if (i32.eq (local.get $result) (i32.const -1)) (then
        (call $join-set (local.get $end))
        (local.set $result (call $event (local.get $end)))
        (call $join (local.get $end) (i32.const 0))))
      (local.get $result))
    ;; The same for operations that must move something.
    (func $moved (param $end i32) (param $result i32) (result i32)
      (local.set $result (call $settled (local.get $end) (local.get $result)))
      (if (i32.and (local.get $result) (i32.const 15)) (then unreachable))
      (i32.shr_u (local.get $result) (i32.const 4)))
    ;; Waits until an async call has returned.
    (func $returned (param $packed i32)
      (local $subtask i32)
      (if (i32.ne (i32.and (local.get $packed) (i32.const 15)) (i32.const 2)) (then
        (local.set $subtask (i32.shr_u (local.get $packed) (i32.const 4)))
        (call $join-set (local.get $subtask))
        (loop $more (br_if $more (i32.ne (call $event (local.get $subtask)) (i32.const 2))))
        (call $join (local.get $subtask) (i32.const 0))
        (call $drop-subtask (local.get $subtask)))))
    (func $read-from (param $end i32) (param $size i32) (result i32)
      (call $moved (local.get $end) (call $stream-read (local.get $end) (i32.const 0x10000) (local.get $size))))
    (func $write-to (param $end i32) (param $size i32) (result i32)
      (call $moved (local.get $end) (call $stream-write (local.get $end) (i32.const 0x10000) (local.get $size))))
    (func $end-well (param $future i32)
      (drop (call $settled (local.get $future) (call $future-read (local.get $future) (i32.const 64))))
      (call $ok (i32.load8_u (i32.const 64)))
      (call $drop-future (local.get $future)))
    ;; A stream of bytes: the writer goes to $c, the reader is returned.
    (func $pair (result i32)
      (local $pair i64)
      (local.set $pair (call $new))
      (global.set $c (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
      (i32.wrap_i64 (local.get $pair)))
    (func $root (result i32)
      (call $directories (i32.const 0))
      (i32.load (i32.load (i32.const 0))))
    (func $open-path (param $dir i32) (param $path i32) (param $open i32) (param $flags i32) (result i32)
      (i32.store (i32.const 1024) (local.get $dir))
      (i32.store8 (i32.const 1028) (i32.const 0))
      (i32.store (i32.const 1032) (local.get $path))
      (i32.store (i32.const 1036) (i32.const 4))
      (i32.store8 (i32.const 1040) (local.get $open))
      (i32.store8 (i32.const 1041) (local.get $flags))
      (call $returned (call $open-at (i32.const 1024) (i32.const 0)))
      (call $ok (i32.load8_u (i32.const 0)))
      (i32.load (i32.const 4)))"#;

const OPEN: &str = r#"
    (global.set $a (call $open-path (call $root) (i32.const 256) (i32.const 0) (i32.const 3)))"#;

const STDIN: &str = r#"
    (call $stdin (i32.const 0))
    (global.set $a (i32.load (i32.const 0)))"#;

const LOOPS: [Loop; 9] = [
    Loop(
        "write",
        "(global.set $b (call $stdout (call $pair)))",
        r#"(local.set $sum (i64.add (local.get $sum) (call $u64 (call $write-to (global.get $c) (local.get $size)))))"#,
    ),
    Loop(
        "read",
        STDIN,
        r#"(local.set $sum (i64.add (local.get $sum) (call $u64 (call $read-from (global.get $a) (local.get $size)))))"#,
    ),
    // The standard input among clocks that are far away.
    Loop(
        "poll",
        r#"(call $stdin (i32.const 0))
        (global.set $a (i32.load (i32.const 0)))
        (loop $more
          (if (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $size)) (then
            (local.set $j (call $wait-for (i64.const 1000000000000000)))
            (if (i32.ne (i32.and (local.get $j) (i32.const 15)) (i32.const 1)) (then unreachable))
            (call $join-set (i32.shr_u (local.get $j) (i32.const 4)))
            (br $more))))"#,
        r#"(local.set $sum (i64.add (local.get $sum) (call $u64 (call $read-from (global.get $a) (i32.const 1)))))"#,
    ),
    Loop(
        "file-read",
        OPEN,
        r#"(call $read-via (global.get $a) (call $offset (local.get $n)) (i32.const 0))
        (local.set $i (i32.load (i32.const 0)))
        (local.set $j (i32.load (i32.const 4)))
        (local.set $sum (i64.add (local.get $sum) (call $u64 (call $read-from (local.get $i) (local.get $size)))))
        (call $drop-reader (local.get $i))
        (call $drop-future (local.get $j))"#,
    ),
    Loop(
        "file-write",
        OPEN,
        r#"(local.set $i (call $write-via (global.get $a) (call $pair) (call $offset (local.get $n))))
        (local.set $sum (i64.add (local.get $sum) (call $u64 (call $write-to (global.get $c) (local.get $size)))))
        (call $drop-writer (global.get $c))
        (call $end-well (local.get $i))"#,
    ),
    Loop(
        "file-read-stream",
        OPEN,
        r#"(call $read-via (global.get $a) (i64.const 0) (i32.const 0))
        (local.set $i (i32.load (i32.const 0)))
        (local.set $j (i32.load (i32.const 4)))
        (local.set $k (i32.const 16))
        (loop $more
          (local.set $sum (i64.add (local.get $sum) (call $u64 (call $read-from (local.get $i) (local.get $size)))))
          (br_if $more (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
        (call $drop-reader (local.get $i))
        (call $drop-future (local.get $j))"#,
    ),
    Loop(
        "file-write-stream",
        OPEN,
        r#"(local.set $i (call $write-via (global.get $a) (call $pair) (i64.const 0)))
        (local.set $k (i32.const 16))
        (loop $more
          (local.set $sum (i64.add (local.get $sum) (call $u64 (call $write-to (global.get $c) (local.get $size)))))
          (br_if $more (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
        (call $drop-writer (global.get $c))
        (call $end-well (local.get $i))"#,
    ),
    Loop(
        "open",
        "(global.set $a (call $root))",
        r#"(call $drop-descriptor (call $open-path (global.get $a) (i32.const 256) (i32.const 0) (i32.const 1)))
        (local.set $sum (i64.add (local.get $sum) (i64.const 1)))"#,
    ),
    Loop(
        "readdir",
        "(global.set $a (call $open-path (call $root) (i32.const 272) (i32.const 2) (i32.const 1)))",
        r#"(call $read-directory (global.get $a) (i32.const 0))
        (local.set $i (i32.load (i32.const 0)))
        (local.set $j (i32.load (i32.const 4)))
        (loop $more
          (local.set $k (call $settled (local.get $i) (call $entries-read (local.get $i) (i32.const 0x300000) (i32.const 64))))
          (local.set $sum (i64.add (local.get $sum) (call $u64 (i32.shr_u (local.get $k) (i32.const 4)))))
          (br_if $more (i32.eqz (i32.and (local.get $k) (i32.const 15)))))
        (call $drop-entries (local.get $i))
        (call $end-well (local.get $j))"#,
    ),
];

/// A message of `$size` bytes to 127.0.0.1 at port `$arg`, and back.
const TCP: Loop = Loop(
    "tcp",
    r#"(call $socket (i32.const 0) (i32.const 0))
    (call $ok (i32.load8_u (i32.const 0)))
    (local.set $i (i32.load (i32.const 4)))
    (i32.store (i32.const 1024) (local.get $i))
    (i32.store8 (i32.const 1028) (i32.const 0))
    (i32.store16 (i32.const 1032) (local.get $arg))
    (i32.store (i32.const 1034) (i32.const 0x0100007f))
    (call $returned (call $connect (i32.const 1024) (i32.const 0)))
    (call $ok (i32.load8_u (i32.const 0)))
    (call $receive (local.get $i) (i32.const 0))
    (global.set $a (i32.load (i32.const 0)))
    (global.set $b (call $send (local.get $i) (call $pair)))"#,
    r#"(drop (call $write-to (global.get $c) (local.get $size)))
    (local.set $i (local.get $size))
    (loop $more
      (local.set $j (call $read-from (global.get $a) (local.get $i)))
      (local.set $sum (i64.add (local.get $sum) (call $u64 (local.get $j))))
      (br_if $more (local.tee $i (i32.sub (local.get $i) (local.get $j)))))"#,
);

/// The component's text.
pub fn text() -> String {
    let loops: Vec<Loop> = LOOPS.into_iter().chain([TCP]).collect();
    // A function of an async type may wait, whichever way it is lifted.
    component(INTERFACES, &HOSTS, HELPERS, &loops, |name| {
        format!(
            r#"
  (func (export "{name}") async (param "n" u64) (param "size" u32) (param "arg" u32) (result u64) (canon lift (core func $m "{name}")))"#
        )
    })
}

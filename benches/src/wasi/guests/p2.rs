//! A guest of WASI 0.2.

use super::{Host, Loop, component};

/// Only what the loops use.
const INTERFACES: &str = r#"
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
    (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $error'))
    (alias outer 1 $pollable (type $pollable'))
    (export "error" (type $error (eq $error')))
    (export "pollable" (type $pollable (eq $pollable')))
    (export "input-stream" (type $in (sub resource)))
    (export "output-stream" (type $out (sub resource)))
    (type $failed' (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $failed (eq $failed')))
    (export "[method]input-stream.read" (func (param "self" (borrow $in)) (param "len" u64) (result (result (list u8) (error $failed)))))
    (export "[method]input-stream.blocking-read" (func (param "self" (borrow $in)) (param "len" u64) (result (result (list u8) (error $failed)))))
    (export "[method]input-stream.subscribe" (func (param "self" (borrow $in)) (result (own $pollable))))
    (export "[method]output-stream.check-write" (func (param "self" (borrow $out)) (result (result u64 (error $failed)))))
    (export "[method]output-stream.write" (func (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $failed)))))
    (export "[method]output-stream.blocking-flush" (func (param "self" (borrow $out)) (result (result (error $failed)))))
    (export "[method]output-stream.blocking-write-and-flush" (func (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $failed)))))))
  (alias export $streams "input-stream" (type $in))
  (alias export $streams "output-stream" (type $out))
  (import "wasi:cli/stdin@0.2.0" (instance $stdin
    (alias outer 1 $in (type $in'))
    (export "input-stream" (type $in (eq $in')))
    (export "get-stdin" (func (result (own $in))))))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $out (type $out'))
    (export "output-stream" (type $out (eq $out')))
    (export "get-stdout" (func (result (own $out))))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $pollable'))
    (export "pollable" (type $pollable (eq $pollable')))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (import "wasi:filesystem/types@0.2.0" (instance $files
    (alias outer 1 $in (type $in'))
    (alias outer 1 $out (type $out'))
    (export "input-stream" (type $in (eq $in')))
    (export "output-stream" (type $out (eq $out')))
    (export "descriptor" (type $descriptor (sub resource)))
    (export "directory-entry-stream" (type $entries (sub resource)))
    (type $code' (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist" "file-too-large"
      "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop" "too-many-links" "message-size"
      "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory" "insufficient-space" "not-directory" "not-empty"
      "not-recoverable" "unsupported" "no-tty" "no-such-device" "overflow" "not-permitted" "pipe" "read-only" "invalid-seek"
      "text-file-busy" "cross-device"))
    (export "error-code" (type $code (eq $code')))
    (type $kind' (enum "unknown" "block-device" "character-device" "directory" "fifo" "symbolic-link" "regular-file" "socket"))
    (export "descriptor-type" (type $kind (eq $kind')))
    (type $entry' (record (field "type" $kind) (field "name" string)))
    (export "directory-entry" (type $entry (eq $entry')))
    (type $path-flags' (flags "symlink-follow"))
    (export "path-flags" (type $path-flags (eq $path-flags')))
    (type $open-flags' (flags "create" "directory" "exclusive" "truncate"))
    (export "open-flags" (type $open-flags (eq $open-flags')))
    (type $flags' (flags "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync" "mutate-directory"))
    (export "descriptor-flags" (type $flags (eq $flags')))
    (export "[method]descriptor.open-at" (func (param "self" (borrow $descriptor)) (param "path-flags" $path-flags) (param "path" string)
      (param "open-flags" $open-flags) (param "flags" $flags) (result (result (own $descriptor) (error $code)))))
    (export "[method]descriptor.read" (func (param "self" (borrow $descriptor)) (param "length" u64) (param "offset" u64)
      (result (result (tuple (list u8) bool) (error $code)))))
    (export "[method]descriptor.write" (func (param "self" (borrow $descriptor)) (param "buffer" (list u8)) (param "offset" u64)
      (result (result u64 (error $code)))))
    (export "[method]descriptor.read-via-stream" (func (param "self" (borrow $descriptor)) (param "offset" u64) (result (result (own $in) (error $code)))))
    (export "[method]descriptor.write-via-stream" (func (param "self" (borrow $descriptor)) (param "offset" u64) (result (result (own $out) (error $code)))))
    (export "[method]descriptor.read-directory" (func (param "self" (borrow $descriptor)) (result (result (own $entries) (error $code)))))
    (export "[method]directory-entry-stream.read-directory-entry" (func (param "self" (borrow $entries)) (result (result (option $entry) (error $code)))))))
  (alias export $files "descriptor" (type $descriptor))
  (alias export $files "directory-entry-stream" (type $entries))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor (type $descriptor'))
    (export "descriptor" (type $descriptor (eq $descriptor')))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))
  (import "wasi:sockets/network@0.2.0" (instance $network
    (export "network" (type (sub resource)))
    (type $code' (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout" "concurrency-conflict"
      "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable" "address-in-use" "remote-unreachable"
      "connection-refused" "connection-reset" "connection-aborted" "datagram-too-large" "name-unresolvable"
      "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type (eq $code')))
    (type $family' (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $family')))
    (type $v4' (record (field "port" u16) (field "address" (tuple u8 u8 u8 u8))))
    (export "ipv4-socket-address" (type $v4 (eq $v4')))
    (type $v6' (record (field "port" u16) (field "flow-info" u32) (field "address" (tuple u16 u16 u16 u16 u16 u16 u16 u16)) (field "scope-id" u32)))
    (export "ipv6-socket-address" (type $v6 (eq $v6')))
    (type $address' (variant (case "ipv4" $v4) (case "ipv6" $v6)))
    (export "ip-socket-address" (type (eq $address')))))
  (alias export $network "network" (type $network-type))
  (alias export $network "error-code" (type $net-code))
  (alias export $network "ip-address-family" (type $family))
  (alias export $network "ip-socket-address" (type $address))
  (import "wasi:sockets/instance-network@0.2.0" (instance $instance-network
    (alias outer 1 $network-type (type $network'))
    (export "network" (type $network (eq $network')))
    (export "instance-network" (func (result (own $network))))))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp
    (alias outer 1 $in (type $in'))
    (alias outer 1 $out (type $out'))
    (alias outer 1 $pollable (type $pollable'))
    (alias outer 1 $network-type (type $network'))
    (alias outer 1 $net-code (type $code'))
    (alias outer 1 $address (type $address'))
    (export "input-stream" (type $in (eq $in')))
    (export "output-stream" (type $out (eq $out')))
    (export "pollable" (type $pollable (eq $pollable')))
    (export "network" (type $network (eq $network')))
    (export "error-code" (type $code (eq $code')))
    (export "ip-socket-address" (type $address (eq $address')))
    (export "tcp-socket" (type $socket (sub resource)))
    (export "[method]tcp-socket.start-connect" (func (param "self" (borrow $socket)) (param "network" (borrow $network))
      (param "remote-address" $address) (result (result (error $code)))))
    (export "[method]tcp-socket.finish-connect" (func (param "self" (borrow $socket)) (result (result (tuple (own $in) (own $out)) (error $code)))))
    (export "[method]tcp-socket.subscribe" (func (param "self" (borrow $socket)) (result (own $pollable))))))
  (alias export $tcp "tcp-socket" (type $socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
    (alias outer 1 $socket (type $socket'))
    (alias outer 1 $net-code (type $code'))
    (alias outer 1 $family (type $family'))
    (export "tcp-socket" (type $socket (eq $socket')))
    (export "error-code" (type $code (eq $code')))
    (export "ip-address-family" (type $family (eq $family')))
    (export "create-tcp-socket" (func (param "address-family" $family) (result (result (own $socket) (error $code)))))))"#;

macro_rules! lower {
    ($from:literal) => {
        concat!(
            "canon lower (func ",
            $from,
            r#") (memory $memory "memory") (realloc (func $memory "realloc"))"#
        )
    };
}

#[rustfmt::skip]
const HOSTS: [Host; 25] = [
    Host("stdin", "(result i32)", lower!(r#"$stdin "get-stdin""#)),
    Host("stdout", "(result i32)", lower!(r#"$stdout "get-stdout""#)),
    Host("in-read", "(param i32 i64 i32)", lower!(r#"$streams "[method]input-stream.read""#)),
    Host("in-blocking-read", "(param i32 i64 i32)", lower!(r#"$streams "[method]input-stream.blocking-read""#)),
    Host("in-subscribe", "(param i32) (result i32)", lower!(r#"$streams "[method]input-stream.subscribe""#)),
    Host("check", "(param i32 i32)", lower!(r#"$streams "[method]output-stream.check-write""#)),
    Host("out-write", "(param i32 i32 i32 i32)", lower!(r#"$streams "[method]output-stream.write""#)),
    Host("out-flush", "(param i32 i32)", lower!(r#"$streams "[method]output-stream.blocking-flush""#)),
    Host("out-write-flush", "(param i32 i32 i32 i32)", lower!(r#"$streams "[method]output-stream.blocking-write-and-flush""#)),
    Host("poll-list", "(param i32 i32 i32)", lower!(r#"$poll "poll""#)),
    Host("block", "(param i32)", lower!(r#"$poll "[method]pollable.block""#)),
    Host("subscribe-duration", "(param i64) (result i32)", lower!(r#"$clock "subscribe-duration""#)),
    Host("directories", "(param i32)", lower!(r#"$preopens "get-directories""#)),
    Host("open-at", "(param i32 i32 i32 i32 i32 i32 i32)", lower!(r#"$files "[method]descriptor.open-at""#)),
    Host("pread", "(param i32 i64 i64 i32)", lower!(r#"$files "[method]descriptor.read""#)),
    Host("pwrite", "(param i32 i32 i32 i64 i32)", lower!(r#"$files "[method]descriptor.write""#)),
    Host("read-via", "(param i32 i64 i32)", lower!(r#"$files "[method]descriptor.read-via-stream""#)),
    Host("write-via", "(param i32 i64 i32)", lower!(r#"$files "[method]descriptor.write-via-stream""#)),
    Host("entries", "(param i32 i32)", lower!(r#"$files "[method]descriptor.read-directory""#)),
    Host("entry", "(param i32 i32)", lower!(r#"$files "[method]directory-entry-stream.read-directory-entry""#)),
    Host("network", "(result i32)", lower!(r#"$instance-network "instance-network""#)),
    Host("socket", "(param i32 i32)", lower!(r#"$create "create-tcp-socket""#)),
    Host("connect", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)", lower!(r#"$tcp "[method]tcp-socket.start-connect""#)),
    Host("connected", "(param i32 i32)", lower!(r#"$tcp "[method]tcp-socket.finish-connect""#)),
    Host("socket-subscribe", "(param i32) (result i32)", lower!(r#"$tcp "[method]tcp-socket.subscribe""#)),
];

#[rustfmt::skip]
const DROPS: [Host; 5] = [
    Host("drop-in", "(param i32)", "canon resource.drop $in"),
    Host("drop-out", "(param i32)", "canon resource.drop $out"),
    Host("drop-descriptor", "(param i32)", "canon resource.drop $descriptor"),
    Host("drop-entries", "(param i32)", "canon resource.drop $entries"),
    Host("drop-pollable", "(param i32)", "canon resource.drop $pollable"),
];

const HELPERS: &str = r#"
    ;; Traps unless what was returned is a success.
    (func $check-result (call $ok (i32.load8_u (i32.const 0))))
    ;; What was read: how much, and its first byte.
    (func $list (param $at i32) (result i64)
      (call $check-result)
      (i64.add (call $u64 (i32.load offset=4 (local.get $at))) (call $u64 (i32.load8_u (i32.load (local.get $at))))))
    (func $write-to (param $out i32) (param $size i32)
      (call $check (local.get $out) (i32.const 0))
      (call $check-result)
      (if (i64.gt_u (call $u64 (local.get $size)) (i64.load (i32.const 8))) (then unreachable))
      (call $out-write (local.get $out) (i32.const 0x10000) (local.get $size) (i32.const 0))
      (call $check-result))
    (func $root (result i32)
      (call $directories (i32.const 0))
      (i32.load (i32.load (i32.const 0))))
    (func $open-path (param $dir i32) (param $path i32) (param $open i32) (param $flags i32) (result i32)
      (call $open-at (local.get $dir) (i32.const 0) (local.get $path) (i32.const 4) (local.get $open) (local.get $flags) (i32.const 0))
      (call $check-result)
      (i32.load (i32.const 4)))"#;

const OPEN: &str = r#"
    (global.set $a (call $open-path (call $root) (i32.const 256) (i32.const 0) (i32.const 3)))"#;

const LOOPS: [Loop; 13] = [
    Loop(
        "write",
        "(global.set $a (call $stdout))",
        r#"(call $write-to (global.get $a) (local.get $size))
        (local.set $sum (i64.add (local.get $sum) (i64.const 1)))"#,
    ),
    Loop(
        "write-flush",
        "(global.set $a (call $stdout))",
        r#"(call $out-write-flush (global.get $a) (i32.const 0x10000) (local.get $size) (i32.const 0))
        (call $check-result)
        (local.set $sum (i64.add (local.get $sum) (i64.const 1)))"#,
    ),
    Loop(
        "read",
        "(global.set $a (call $stdin))",
        r#"(call $in-read (global.get $a) (call $u64 (local.get $size)) (i32.const 0))
        (local.set $sum (i64.add (local.get $sum) (call $list (i32.const 4))))"#,
    ),
    Loop(
        "blocking-read",
        "(global.set $a (call $stdin))",
        r#"(call $in-blocking-read (global.get $a) (call $u64 (local.get $size)) (i32.const 0))
        (local.set $sum (i64.add (local.get $sum) (call $list (i32.const 4))))"#,
    ),
    // The standard input among clocks that are far away; with `$arg`, its byte is read.
    Loop(
        "poll",
        r#"(global.set $a (call $stdin))
        (loop $more
          (i32.store offset=0x300000 (i32.shl (local.get $i) (i32.const 2)) (call $subscribe-duration (i64.const 1000000000000000)))
          (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $size))))
        (i32.store offset=0x2ffffc (i32.shl (local.get $size) (i32.const 2)) (call $in-subscribe (global.get $a)))"#,
        r#"(call $poll-list (i32.const 0x300000) (local.get $size) (i32.const 0))
        (local.set $sum (i64.add (local.get $sum) (i64.add (call $u64 (i32.load (i32.const 4))) (call $u64 (i32.load (i32.load (i32.const 0)))))))
        (if (local.get $arg) (then
          (call $in-read (global.get $a) (i64.const 1) (i32.const 0))
          (drop (call $list (i32.const 4)))))"#,
    ),
    Loop(
        "file-read",
        OPEN,
        r#"(call $pread (global.get $a) (call $u64 (local.get $size)) (call $offset (local.get $n)) (i32.const 0))
        (local.set $sum (i64.add (local.get $sum) (call $list (i32.const 4))))"#,
    ),
    Loop(
        "file-write",
        OPEN,
        r#"(call $pwrite (global.get $a) (i32.const 0x10000) (local.get $size) (call $offset (local.get $n)) (i32.const 0))
        (call $check-result)
        (local.set $sum (i64.add (local.get $sum) (i64.load (i32.const 8))))"#,
    ),
    // 64 reads of `$size`, at most 1 MiB.
    Loop(
        "file-read-stream",
        OPEN,
        r#"(call $read-via (global.get $a) (i64.const 0) (i32.const 0))
        (call $check-result)
        (local.set $j (i32.load (i32.const 4)))
        (local.set $i (i32.const 16))
        (loop $more
          (call $in-blocking-read (local.get $j) (call $u64 (local.get $size)) (i32.const 0))
          (local.set $sum (i64.add (local.get $sum) (call $list (i32.const 4))))
          (br_if $more (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
        (call $drop-in (local.get $j))"#,
    ),
    Loop(
        "file-write-stream",
        OPEN,
        r#"(call $write-via (global.get $a) (i64.const 0) (i32.const 0))
        (call $check-result)
        (local.set $j (i32.load (i32.const 4)))
        (local.set $i (i32.const 16))
        (loop $more
          (call $check (local.get $j) (i32.const 0))
          (call $check-result)
          (if (i64.lt_u (i64.load (i32.const 8)) (call $u64 (local.get $size))) (then
            (call $out-flush (local.get $j) (i32.const 0))
            (call $check-result)
            (br $more)))
          (call $out-write (local.get $j) (i32.const 0x10000) (local.get $size) (i32.const 0))
          (call $check-result)
          (local.set $sum (i64.add (local.get $sum) (i64.const 1)))
          (br_if $more (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
        (call $out-flush (local.get $j) (i32.const 0))
        (call $check-result)
        (call $drop-out (local.get $j))"#,
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
        r#"(call $entries (global.get $a) (i32.const 0))
        (call $check-result)
        (local.set $j (i32.load (i32.const 4)))
        (block $end (loop $more
          (call $entry (local.get $j) (i32.const 0))
          (call $check-result)
          (br_if $end (i32.eqz (i32.load8_u (i32.const 4))))
          (local.set $sum (i64.add (local.get $sum) (call $u64 (i32.load (i32.const 16)))))
          (br $more)))
        (call $drop-entries (local.get $j))"#,
    ),
    // A message of `$size` bytes to 127.0.0.1 at port `$arg`, and back.
    Loop(
        "tcp",
        r#"(call $socket (i32.const 0) (i32.const 0))
        (call $check-result)
        (local.set $i (i32.load (i32.const 4)))
        (call $connect (local.get $i) (call $network) (i32.const 0) (local.get $arg)
          (i32.const 127) (i32.const 0) (i32.const 0) (i32.const 1)
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
        (call $check-result)
        (call $block (call $socket-subscribe (local.get $i)))
        (call $connected (local.get $i) (i32.const 0))
        (call $check-result)
        (global.set $a (i32.load (i32.const 4)))
        (global.set $b (i32.load (i32.const 8)))"#,
        r#"(call $write-to (global.get $b) (local.get $size))
        (local.set $i (local.get $size))
        (loop $more
          (call $in-blocking-read (global.get $a) (call $u64 (local.get $i)) (i32.const 0))
          (call $check-result)
          (local.set $sum (i64.add (local.get $sum) (call $u64 (i32.load (i32.const 8)))))
          (br_if $more (local.tee $i (i32.sub (local.get $i) (i32.load (i32.const 8))))))"#,
    ),
    // Pollables made and dropped.
    Loop(
        "subscribe",
        "(global.set $a (call $stdin))",
        r#"(local.set $i (call $in-subscribe (global.get $a)))
        (call $block (local.get $i))
        (call $drop-pollable (local.get $i))
        (local.set $sum (i64.add (local.get $sum) (i64.const 1)))"#,
    ),
];

/// The component's text.
pub fn text() -> String {
    let hosts: Vec<Host> = HOSTS.into_iter().chain(DROPS).collect();
    component(INTERFACES, &hosts, HELPERS, &LOOPS, |name| {
        format!(
            r#"
  (func (export "{name}") (param "n" u64) (param "size" u32) (param "arg" u32) (result u64) (canon lift (core func $m "{name}")))"#
        )
    })
}

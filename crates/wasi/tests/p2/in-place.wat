;; Copies 64 KiB, or as many bytes as there are, from the offset 1000 of "from" to the offset 3 of "to". Gives how many were read, with
;; 2^32 more at the end of the file, and how many were written.
(component
  (import "wasi:filesystem/types@0.2.0" (instance $files
    (export "descriptor" (type $descriptor (sub resource)))
    (type $code' (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist" "file-too-large"
      "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop" "too-many-links" "message-size"
      "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory" "insufficient-space" "not-directory" "not-empty"
      "not-recoverable" "unsupported" "no-tty" "no-such-device" "overflow" "not-permitted" "pipe" "read-only" "invalid-seek"
      "text-file-busy" "cross-device"))
    (export "error-code" (type $code (eq $code')))
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
      (result (result u64 (error $code)))))))
  (alias export $files "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor (type $descriptor'))
    (export "descriptor" (type $descriptor (eq $descriptor')))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))

  (core module $memory
    (memory (export "memory") 4)
    (global $next (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $next)
      (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 7)) (i32.const -8)))))
  (core instance $memory (instantiate $memory))
  (core func $directories (canon lower (func $preopens "get-directories") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $open (canon lower (func $files "[method]descriptor.open-at") (memory $memory "memory")))
  (core func $read (canon lower (func $files "[method]descriptor.read") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $write (canon lower (func $files "[method]descriptor.write") (memory $memory "memory")))
  (core module $m
    (import "" "memory" (memory 4))
    (import "" "directories" (func $directories (param i32)))
    (import "" "open" (func $open (param i32 i32 i32 i32 i32 i32 i32)))
    (import "" "read" (func $read (param i32 i64 i64 i32)))
    (import "" "write" (func $write (param i32 i32 i32 i64 i32)))
    (data (i32.const 256) "fromto")
    (func $descriptor (param $path i32) (param $length i32) (param $flags i32) (result i32)
      (call $directories (i32.const 0))
      (call $open (i32.load (i32.load (i32.const 0))) (i32.const 0) (local.get $path) (local.get $length) (i32.const 0) (local.get $flags) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then unreachable))
      (i32.load (i32.const 4)))
    (func (export "copy") (param $length i64) (result i32)
      (call $read (call $descriptor (i32.const 256) (i32.const 4) (i32.const 1)) (local.get $length) (i64.const 1000) (i32.const 16))
      (if (i32.load8_u (i32.const 16)) (then unreachable))
      (i64.store (i32.const 64) (i64.or (i64.extend_i32_u (i32.load (i32.const 24)))
        (i64.shl (i64.extend_i32_u (i32.load8_u (i32.const 28))) (i64.const 32))))
      (call $write (call $descriptor (i32.const 260) (i32.const 2) (i32.const 2)) (i32.load (i32.const 20)) (i32.load (i32.const 24)) (i64.const 3) (i32.const 32))
      (if (i32.load8_u (i32.const 32)) (then unreachable))
      (i64.store (i32.const 72) (i64.load (i32.const 40)))
      (i32.const 64)))
  (core instance $m (instantiate $m (with "" (instance (export "memory" (memory $memory "memory"))
    (export "directories" (func $directories)) (export "open" (func $open)) (export "read" (func $read)) (export "write" (func $write))))))
  (func (export "copy") (param "length" u64) (result (tuple u64 u64)) (canon lift (core func $m "copy") (memory $memory "memory"))))

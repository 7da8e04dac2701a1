;; One component calls another in loops.
(component
  (component $callee
    (core module $m
      (memory (export "memory") 64)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
      (func (export "scalars") (param i32 i64) (result i64) (i64.add (i64.extend_i32_u (local.get 0)) (local.get 1)))
      (func (export "take") (param i32 i32) (result i32) (i32.add (local.get 1) (i32.load8_u (local.get 0)))))
    (core instance $i (instantiate $m))
    (func (export "scalars") (param "a" u32) (param "b" u64) (result u64) (canon lift (core func $i "scalars")))
    (func (export "string") (param "a" string) (result u32)
      (canon lift (core func $i "take") (memory $i "memory") (realloc (func $i "realloc"))))
    (func (export "bytes") (param "a" (list u8)) (result u32)
      (canon lift (core func $i "take") (memory $i "memory") (realloc (func $i "realloc")))))
  (component $caller
    (import "scalars" (func $scalars (param "a" u32) (param "b" u64) (result u64)))
    (import "string" (func $string (param "a" string) (result u32)))
    (import "bytes" (func $bytes (param "a" (list u8)) (result u32)))
    (core module $mem (memory (export "memory") 64))
    (core instance $mem (instantiate $mem))
    (core func $scalars' (canon lower (func $scalars)))
    (core func $string' (canon lower (func $string) (memory $mem "memory")))
    (core func $bytes' (canon lower (func $bytes) (memory $mem "memory")))
    (core module $m
      (import "" "scalars" (func $scalars (param i32 i64) (result i64)))
      (import "" "string" (func $string (param i32 i32) (result i32)))
      (import "" "bytes" (func $bytes (param i32 i32) (result i32)))
      (func (export "scalars") (param $n i64) (result i64)
        (local $sum i64)
        (loop $l
          (local.set $sum (i64.add (local.get $sum) (call $scalars (i32.const 7) (local.get $n))))
          (local.set $n (i64.sub (local.get $n) (i64.const 1)))
          (br_if $l (i64.ne (local.get $n) (i64.const 0))))
        (local.get $sum))
      (func (export "string") (param $n i64) (param $length i32) (result i64)
        (local $sum i64)
        (loop $l
          (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (call $string (i32.const 65536) (local.get $length)))))
          (local.set $n (i64.sub (local.get $n) (i64.const 1)))
          (br_if $l (i64.ne (local.get $n) (i64.const 0))))
        (local.get $sum))
      (func (export "bytes") (param $n i64) (param $length i32) (result i64)
        (local $sum i64)
        (loop $l
          (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (call $bytes (i32.const 65536) (local.get $length)))))
          (local.set $n (i64.sub (local.get $n) (i64.const 1)))
          (br_if $l (i64.ne (local.get $n) (i64.const 0))))
        (local.get $sum)))
    (core instance $i (instantiate $m (with "" (instance
      (export "scalars" (func $scalars')) (export "string" (func $string')) (export "bytes" (func $bytes'))))))
    (func (export "run-scalars") (param "n" u64) (result u64) (canon lift (core func $i "scalars")))
    (func (export "run-string") (param "n" u64) (param "length" u32) (result u64) (canon lift (core func $i "string")))
    (func (export "run-bytes") (param "n" u64) (param "length" u32) (result u64) (canon lift (core func $i "bytes"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller
    (with "scalars" (func $callee "scalars")) (with "string" (func $callee "string")) (with "bytes" (func $callee "bytes"))))
  (export "run-scalars" (func $caller "run-scalars"))
  (export "run-string" (func $caller "run-string"))
  (export "run-bytes" (func $caller "run-bytes")))

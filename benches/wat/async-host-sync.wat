;; Calls async functions of the host synchronously, in loops.
(component
  (import "work" (func $work async))
  (import "string" (func $string async (param "a" string) (result u32)))
  (core module $mem (memory (export "memory") 1))
  (core instance $mem (instantiate $mem))
  (core func $work' (canon lower (func $work)))
  (core func $string' (canon lower (func $string) (memory $mem "memory")))
  (core module $m
    (import "" "work" (func $work))
    (import "" "string" (func $string (param i32 i32) (result i32)))
    (func (export "run") (param $n i64) (result i64)
      (local $done i64)
      (loop $l
        (call $work)
        (local.set $done (i64.add (local.get $done) (i64.const 1)))
        (br_if $l (i64.lt_u (local.get $done) (local.get $n))))
      (local.get $done))
    (func (export "run-string") (param $n i64) (param $length i32) (result i64)
      (local $sum i64)
      (loop $l
        (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (call $string (i32.const 16) (local.get $length)))))
        (local.set $n (i64.sub (local.get $n) (i64.const 1)))
        (br_if $l (i64.ne (local.get $n) (i64.const 0))))
      (local.get $sum)))
  (core instance $i (instantiate $m (with "" (instance (export "work" (func $work')) (export "string" (func $string'))))))
  (func (export "run") async (param "n" u64) (result u64) (canon lift (core func $i "run")))
  (func (export "run-string") async (param "n" u64) (param "length" u32) (result u64) (canon lift (core func $i "run-string"))))

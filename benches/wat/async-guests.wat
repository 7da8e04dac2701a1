;; One guest calls an async function of another's, which returns at once.
(component
  (component $callee
    (core func $return (canon task.return (result u64)))
    (core module $m
      (import "" "return" (func $return (param i64)))
      (func (export "f") (param i64) (result i32) (call $return (i64.add (local.get 0) (i64.const 1))) (i32.const 0))
      (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
    (func (export "f") async (param "a" u64) (result u64)
      (canon lift (core func $i "f") async (callback (func $i "callback")))))
  (component $sync
    (import "f" (func $f async (param "a" u64) (result u64)))
    (core func $f' (canon lower (func $f)))
    (core module $m
      (import "" "f" (func $f (param i64) (result i64)))
      (func (export "run") (param $n i64) (result i64)
        (local $done i64)
        (loop $l
          (local.set $done (call $f (local.get $done)))
          (br_if $l (i64.lt_u (local.get $done) (local.get $n))))
        (local.get $done)))
    (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
    (func (export "run") async (param "n" u64) (result u64) (canon lift (core func $i "run"))))
  (component $async
    (import "f" (func $f async (param "a" u64) (result u64)))
    (core module $mem (memory (export "memory") 1))
    (core instance $mem (instantiate $mem))
    (core func $f' (canon lower (func $f) async (memory $mem "memory")))
    (core func $return (canon task.return (result u64)))
    (core module $m
      (import "" "memory" (memory 1))
      (import "" "f" (func $f (param i64 i32) (result i32)))
      (import "" "return" (func $return (param i64)))
      (func (export "run") (param $n i64) (result i32)
        (local $done i64)
        (loop $l
          (if (i32.ne (call $f (local.get $done) (i32.const 16)) (i32.const 2)) (then unreachable))
          (local.set $done (i64.load (i32.const 16)))
          (br_if $l (i64.lt_u (local.get $done) (local.get $n))))
        (call $return (local.get $done))
        (i32.const 0))
      (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m (with "" (instance
      (export "memory" (memory $mem "memory")) (export "f" (func $f')) (export "return" (func $return))))))
    (func (export "run") async (param "n" u64) (result u64)
      (canon lift (core func $i "run") async (callback (func $i "callback")))))
  (instance $callee (instantiate $callee))
  (instance $sync (instantiate $sync (with "f" (func $callee "f"))))
  (instance $async (instantiate $async (with "f" (func $callee "f"))))
  (export "run-sync" (func $sync "run"))
  (export "run-async" (func $async "run")))

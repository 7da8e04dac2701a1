;; Calls an async function of the host synchronously, in a loop.
(component
  (import "work" (func $work async))
  (core func $work' (canon lower (func $work)))
  (core module $m
    (import "" "work" (func $work))
    (func (export "run") (param $n i64) (result i64)
      (local $done i64)
      (loop $l
        (call $work)
        (local.set $done (i64.add (local.get $done) (i64.const 1)))
        (br_if $l (i64.lt_u (local.get $done) (local.get $n))))
      (local.get $done)))
  (core instance $i (instantiate $m (with "" (instance (export "work" (func $work'))))))
  (func (export "run") async (param "n" u64) (result u64) (canon lift (core func $i "run"))))

;; run(n) gives 1 for 0, else call(n - 1) + call(n - 1), after having computed for a while.
(component
  (import "call" (func $call (param "n" u32) (result u32)))
  (core func $lowered (canon lower (func $call)))
  (core module $m
    (import "host" "call" (func $call (param i32) (result i32)))
    (func (export "run") (param $n i32) (result i32)
      (local $i i32)
      (local.set $i (i32.const 100000))
      (loop $compute
        (br_if $compute (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (if (i32.eqz (local.get $n)) (then (return (i32.const 1))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (i32.add (call $call (local.get $n)) (call $call (local.get $n)))))
  (core instance $i (instantiate $m
    (with "host" (instance (export "call" (func $lowered))))))
  (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))

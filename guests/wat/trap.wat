;; Traps three calls deep, to show a backtrace with names.
(module $trap
  (memory (export "memory") 1)
  (func $divide (param $dividend i32) (param $divisor i32) (result i32)
    (i32.div_u (local.get $dividend) (local.get $divisor)))
  (func $average (param $sum i32) (param $count i32) (result i32)
    (call $divide (local.get $sum) (local.get $count)))
  (func $main (export "_start")
    (drop (call $average (i32.const 7) (i32.const 0)))))

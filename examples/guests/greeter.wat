;; Implements the world of examples/greeter.wit: it asks the host for the hour and greets accordingly.
(component
  (import "example:greeter/clock" (instance $clock
    (export "hour" (func (result u32)))))
  (core func $hour (canon lower (func $clock "hour")))

  (core module $module
    (import "clock" "hour" (func $hour (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "Good morning, Good evening, ")
    (global $next (mut i32) (i32.const 64))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get $size) (i32.const 7)) (i32.const -8)))))
    (func (export "greet") (param $name i32) (param $length i32) (result i32)
      (local $text i32)
      (local.set $text (i32.add (global.get $next) (i32.const 8)))
      ;; Fourteen bytes of greeting, then the name; before both, where they are.
      (memory.copy (local.get $text)
        (select (i32.const 0) (i32.const 14) (i32.lt_u (call $hour) (i32.const 12)))
        (i32.const 14))
      (memory.copy (i32.add (local.get $text) (i32.const 14)) (local.get $name) (local.get $length))
      (i32.store (global.get $next) (local.get $text))
      (i32.store offset=4 (global.get $next) (i32.add (local.get $length) (i32.const 14)))
      (global.get $next)))
  (core instance $i (instantiate $module (with "clock" (instance (export "hour" (func $hour))))))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (func (export "greet") (param "name" string) (result string)
    (canon lift (core func $i "greet") (memory $memory) (realloc $realloc))))

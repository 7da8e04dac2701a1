;; Opens two journals of the host's, writes to both, closes one, and leaves the other open.
(component
  (import "example:journal/journals" (instance $journals
    (export "journal" (type $journal (sub resource)))
    (export "[constructor]journal" (func (param "title" string) (result (own $journal))))
    (export "[method]journal.write" (func (param "self" (borrow $journal)) (param "line" string) (result u32)))))
  (alias export $journals "journal" (type $journal))

  (core module $memory
    (memory (export "memory") 1)
    (data (i32.const 0) "weather")
    (data (i32.const 16) "expenses")
    (data (i32.const 32) "rain")
    (data (i32.const 48) "umbrella, 12")
    (data (i32.const 64) "sun"))
  (core instance $m (instantiate $memory))
  (alias core export $m "memory" (core memory $memory))
  (core func $open (canon lower (func $journals "[constructor]journal") (memory $memory)))
  (core func $write (canon lower (func $journals "[method]journal.write") (memory $memory)))
  (core func $close (canon resource.drop $journal))

  (core module $module
    (import "journals" "open" (func $open (param i32 i32) (result i32)))
    (import "journals" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "journals" "close" (func $close (param i32)))
    (func (export "run") (result i32)
      (local $weather i32) (local $expenses i32)
      (local.set $weather (call $open (i32.const 0) (i32.const 7)))
      (local.set $expenses (call $open (i32.const 16) (i32.const 8)))
      (drop (call $write (local.get $weather) (i32.const 32) (i32.const 4)))
      (drop (call $write (local.get $expenses) (i32.const 48) (i32.const 12)))
      (call $close (local.get $expenses))
      ;; How many lines the weather has now.
      (call $write (local.get $weather) (i32.const 64) (i32.const 3))))
  (core instance $i (instantiate $module
    (with "journals" (instance
      (export "open" (func $open)) (export "write" (func $write)) (export "close" (func $close))))))
  (func (export "run") (result u32) (canon lift (core func $i "run"))))

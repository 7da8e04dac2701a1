;; Gives back what it reads, in capital letters. It waits for the host both ways: its stack is parked meanwhile.
(component
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (type $stream (stream u8))
  (core func $new (canon stream.new $stream))
  (core func $read (canon stream.read $stream (memory $libc "memory")))
  (core func $write (canon stream.write $stream (memory $libc "memory")))
  (core func $drop-readable (canon stream.drop-readable $stream))
  (core func $drop-writable (canon stream.drop-writable $stream))
  (core func $return (canon task.return (result $stream)))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "new" (func $new (result i64)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "" "drop-readable" (func $drop-readable (param i32)))
    (import "" "drop-writable" (func $drop-writable (param i32)))
    (import "" "return" (func $return (param i32)))
    (func $capitals (param $at i32) (param $end i32)
      (local $letter i32)
      (block $done
        (loop $next
          (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
          (local.set $letter (i32.load8_u (local.get $at)))
          (if (i32.le_u (i32.sub (local.get $letter) (i32.const 97)) (i32.const 25))
            (then (i32.store8 (local.get $at) (i32.sub (local.get $letter) (i32.const 32)))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next))))
    (func (export "shout") (param $in i32)
      (local $both i64) (local $out i32) (local $result i32) (local $at i32) (local $end i32) (local $last i32)
      (local.set $both (call $new))
      (local.set $out (i32.wrap_i64 (i64.shr_u (local.get $both) (i64.const 32))))
      ;; The caller has the result from here on; this task goes on.
      (call $return (i32.wrap_i64 (local.get $both)))
      (block $closed
        (loop $more
          (local.set $result (call $read (local.get $in) (i32.const 1024) (i32.const 4096)))
          (local.set $last (i32.and (local.get $result) (i32.const 15)))
          (local.set $at (i32.const 1024))
          (local.set $end (i32.add (local.get $at) (i32.shr_u (local.get $result) (i32.const 4))))
          (call $capitals (local.get $at) (local.get $end))
          (block $written
            (loop $again
              (br_if $written (i32.ge_u (local.get $at) (local.get $end)))
              (local.set $result
                (call $write (local.get $out) (local.get $at) (i32.sub (local.get $end) (local.get $at))))
              (br_if $closed (i32.and (local.get $result) (i32.const 15)))
              (local.set $at (i32.add (local.get $at) (i32.shr_u (local.get $result) (i32.const 4))))
              (br $again)))
          (br_if $more (i32.eqz (local.get $last)))))
      (call $drop-readable (local.get $in))
      (call $drop-writable (local.get $out))))
  (core instance $m (instantiate $m (with "" (instance
    (export "memory" (memory $libc "memory"))
    (export "new" (func $new)) (export "read" (func $read)) (export "write" (func $write))
    (export "drop-readable" (func $drop-readable)) (export "drop-writable" (func $drop-writable))
    (export "return" (func $return))))))
  (func (export "shout") async (param "in" $stream) (result $stream)
    (canon lift (core func $m "shout") async))

  ;; Waits until a future has its value: so long, the host's other work goes on.
  (type $future (future u32))
  (core func $read-future (canon future.read $future (memory $libc "memory")))
  (core func $return-number (canon task.return (result u32)))
  (core module $w
    (import "" "memory" (memory 1))
    (import "" "read" (func $read (param i32 i32) (result i32)))
    (import "" "return" (func $return (param i32)))
    (func (export "await") (param i32)
      (drop (call $read (local.get 0) (i32.const 0)))
      (call $return (i32.load (i32.const 0)))))
  (core instance $w (instantiate $w (with "" (instance
    (export "memory" (memory $libc "memory"))
    (export "read" (func $read-future)) (export "return" (func $return-number))))))
  (func (export "await") async (param "f" $future) (result u32)
    (canon lift (core func $w "await") async)))

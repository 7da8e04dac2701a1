;; Waits for items of a stream with its stack, again and again; returns to its caller as soon as it has the stream.
(component
  (type $bytes (stream u8))
  (core module $memory (memory (export "memory") 1 16))
  (core instance $memory (instantiate $memory))
  (core func $read (canon stream.read $bytes (memory $memory "memory")))
  (core func $return (canon task.return))
  (core module $m
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "return" (func $return))
    (func (export "park") (param $from i32) (result i32)
      (call $return)
      (loop $l
        (br_if $l (i32.eqz (i32.and
          (call $read (local.get $from) (i32.const 16) (i32.const 1))
          (i32.const 15)))))
      (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
  (core instance $i (instantiate $m (with "" (instance (export "read" (func $read)) (export "return" (func $return))))))
  (func (export "park") async (param "from" $bytes)
    (canon lift (core func $i "park") async (callback (func $i "callback")))))

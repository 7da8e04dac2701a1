;; Asks the host two questions at once, waits for both answers, and adds them up.
(component
  (import "measure" (func $measure async (param "place" u32) (result u32)))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $measure (canon lower (func $measure) async (memory $memory "memory")))
  (core func $drop (canon subtask.drop))
  (core func $set-new (canon waitable-set.new))
  (core func $set-drop (canon waitable-set.drop))
  (core func $wait (canon waitable-set.wait (memory $memory "memory")))
  (core func $join (canon waitable.join))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "measure" (func $measure (param i32 i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "set-new" (func $set-new (result i32)))
    (import "" "set-drop" (func $set-drop (param i32)))
    (import "" "wait" (func $wait (param i32 i32) (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    ;; Gives 1 if the call waits, and has put its subtask into the set then; 0 if it has returned.
    (func $ask (param $place i32) (param $set i32) (param $out i32) (result i32)
      (local $packed i32)
      (local.set $packed (call $measure (local.get $place) (local.get $out)))
      (if (i32.eq (local.get $packed) (i32.const 2)) (then (return (i32.const 0))))
      (call $join (i32.shr_u (local.get $packed) (i32.const 4)) (local.get $set))
      (i32.const 1))
    (func (export "gather") (param $one i32) (param $two i32) (result i32)
      (local $set i32) (local $left i32)
      (local.set $set (call $set-new))
      (local.set $left
        (i32.add
          (call $ask (local.get $one) (local.get $set) (i32.const 16))
          (call $ask (local.get $two) (local.get $set) (i32.const 20))))
      (block $done
        (loop $next
          (br_if $done (i32.eqz (local.get $left)))
          ;; The event: at 0 which subtask, at 4 its state. 2 is "returned".
          (drop (call $wait (local.get $set) (i32.const 0)))
          (if (i32.eq (i32.load (i32.const 4)) (i32.const 2))
            (then
              (call $drop (i32.load (i32.const 0)))
              (local.set $left (i32.sub (local.get $left) (i32.const 1)))))
          (br $next)))
      (call $set-drop (local.get $set))
      (i32.add (i32.load (i32.const 16)) (i32.load (i32.const 20)))))
  (core instance $i (instantiate $m (with "" (instance
    (export "memory" (memory $memory "memory")) (export "measure" (func $measure)) (export "drop" (func $drop))
    (export "set-new" (func $set-new)) (export "set-drop" (func $set-drop)) (export "wait" (func $wait)) (export "join" (func $join))))))
  (func (export "gather") async (param "one" u32) (param "two" u32) (result u32) (canon lift (core func $i "gather"))))

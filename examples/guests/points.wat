;; Adds up points: `sum: func(points: list<point>) -> point`.
(component
  (core module $module
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 16))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get $size) (i32.const 7)) (i32.const -8)))))
    (func (export "sum") (param $point i32) (param $count i32) (result i32)
      (i64.store (i32.const 0) (i64.const 0))
      (loop $again
        (if (local.get $count)
          (then
            (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.load (local.get $point))))
            (i32.store (i32.const 4) (i32.add (i32.load (i32.const 4)) (i32.load offset=4 (local.get $point))))
            (local.set $point (i32.add (local.get $point) (i32.const 8)))
            (local.set $count (i32.sub (local.get $count) (i32.const 1)))
            (br $again))))
      (i32.const 0)))
  (core instance $i (instantiate $module))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (type $fields (record (field "x" s32) (field "y" s32)))
  (export $point "point" (type $fields))
  (func (export "sum") (param "points" (list $point)) (result $point)
    (canon lift (core func $i "sum") (memory $memory) (realloc $realloc))))

;; A component with functions over values of many types, to be called by `tidegate run --invoke`.
(component $values
  (core module $code
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 1024))
    ;; An allocator that only grows.
    (func $realloc (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $new i32)
      (local.set $new
        (i32.and
          (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $top (i32.add (local.get $new) (local.get $size)))
      (if (i32.gt_u (global.get $top) (i32.mul (memory.size) (i32.const 65536)))
        (then
          (if (i32.eq (i32.const -1) (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get $size) (i32.const 65536)))))
            (then (unreachable)))))
      (memory.copy (local.get $new) (local.get $old) (local.get $old-size))
      (local.get $new))

    (func (export "add") (param i32 i32) (result i32)
      (i32.add (local.get 0) (local.get 1)))

    (func (export "sum") (param $pointer i32) (param $length i32) (result i64)
      (local $sum i64)
      (block $done
        (loop $next
          (br_if $done (i32.eqz (local.get $length)))
          (local.set $sum (i64.add (local.get $sum) (i64.load32_u (local.get $pointer))))
          (local.set $pointer (i32.add (local.get $pointer) (i32.const 4)))
          (local.set $length (i32.sub (local.get $length) (i32.const 1)))
          (br $next)))
      (local.get $sum))

    ;; "hello, " before the name, at an address whose first 8 bytes are the result.
    (data (i32.const 16) "hello, ")
    (func (export "greet") (param $pointer i32) (param $length i32) (result i32)
      (local $text i32)
      (local.set $text
        (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.add (local.get $length) (i32.const 7))))
      (memory.copy (local.get $text) (i32.const 16) (i32.const 7))
      (memory.copy (i32.add (local.get $text) (i32.const 7)) (local.get $pointer) (local.get $length))
      (i32.store (i32.const 8) (local.get $text))
      (i32.store (i32.const 12) (i32.add (local.get $length) (i32.const 7)))
      (i32.const 8))

    ;; (x, y) to (y, x); the coordinates stay in registers on the way in and go through memory on the way out.
    (func (export "mirror") (param $x f64) (param $y f64) (result i32)
      (f64.store (i32.const 32) (local.get $y))
      (f64.store (i32.const 40) (local.get $x))
      (i32.const 32))

    ;; some(n / d), or none where d is 0.
    (func (export "divide") (param $n i32) (param $d i32) (result i32)
      (i32.store (i32.const 48) (i32.const 0))
      (if (local.get $d)
        (then
          (i32.store (i32.const 48) (i32.const 1))
          (i32.store (i32.const 52) (i32.div_u (local.get $n) (local.get $d)))))
      (i32.const 48)))

  (core instance $i (instantiate $code))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))

  (func (export "add") (param "a" u32) (param "b" u32) (result u32)
    (canon lift (core func $i "add")))
  (func (export "sum") (param "numbers" (list u32)) (result u64)
    (canon lift (core func $i "sum") (memory (core memory $memory)) (realloc (core func $realloc))))
  (func (export "greet") (param "name" string) (result string)
    (canon lift (core func $i "greet") (memory (core memory $memory)) (realloc (core func $realloc))))
  (type $point' (record (field "x" f64) (field "y" f64)))
  (export $point "point" (type $point'))
  (func (export "mirror") (param "point" $point) (result $point)
    (canon lift (core func $i "mirror") (memory (core memory $memory))))
  (func (export "divide") (param "n" u32) (param "d" u32) (result (option u32))
    (canon lift (core func $i "divide") (memory (core memory $memory)))))

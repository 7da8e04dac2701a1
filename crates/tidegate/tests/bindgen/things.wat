(component
  (import "test:things/counters@1.2.0" (instance $counters
    (type $refusal' (variant (case "zero") (case "too-large" u32)))
    (export "refusal" (type $refusal (eq $refusal')))
    (export "counter" (type $counter (sub resource)))
    (export "[constructor]counter" (func (param "start" u32) (result (own $counter))))
    (export "[method]counter.add" (func (param "self" (borrow $counter)) (param "n" u32) (result u32)))
    (export "[static]counter.merge"
      (func (param "a" (own $counter)) (param "b" (own $counter)) (result (own $counter))))
    (export "[method]counter.divide"
      (func (param "self" (borrow $counter)) (param "by" u32) (result (result u32 (error $refusal)))))
    (export "total" (func (param "counters" (list (borrow $counter))) (result u32)))))
  (alias export $counters "counter" (type $counter))

  (core module $memory
    (memory (export "memory") 1)
    (data (i32.const 0) "no division by zero")
    (data (i32.const 32) "too large")
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $next))
      (global.set $next (i32.add (local.get $at) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))
      (local.get $at)))
  (core instance $m (instantiate $memory))
  (alias core export $m "memory" (core memory $memory))
  (alias core export $m "realloc" (core func $realloc))

  (core module $dtors
    (import "m" "memory" (memory 1))
    (func (export "stack") (param $rep i32)
      ;; A dropped stack is marked, and the number of dropped ones is counted.
      (i32.store (local.get $rep) (i32.const -1))
      (i32.store (i32.const 512) (i32.add (i32.load (i32.const 512)) (i32.const 1)))))
  (core instance $d (instantiate $dtors (with "m" (instance $m))))
  (alias core export $d "stack" (core func $dtor))
  (type $stack (resource (rep i32) (dtor (core func $dtor))))

  (core func $new (canon lower (func $counters "[constructor]counter")))
  (core func $add (canon lower (func $counters "[method]counter.add")))
  (core func $merge (canon lower (func $counters "[static]counter.merge")))
  (core func $divide (canon lower (func $counters "[method]counter.divide") (memory $memory)))
  (core func $total (canon lower (func $counters "total") (memory $memory)))
  (core func $drop (canon resource.drop $counter))
  (core func $stack-new (canon resource.new $stack))
  (core func $stack-rep (canon resource.rep $stack))
  (core func $stack-drop (canon resource.drop $stack))

  (core module $main
    (import "m" "memory" (memory 1))
    (import "m" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "c" "new" (func $new (param i32) (result i32)))
    (import "c" "add" (func $add (param i32 i32) (result i32)))
    (import "c" "merge" (func $merge (param i32 i32) (result i32)))
    (import "c" "divide" (func $divide (param i32 i32 i32)))
    (import "c" "total" (func $total (param i32 i32) (result i32)))
    (import "c" "drop" (func $drop (param i32)))
    (import "s" "new" (func $stack-new (param i32) (result i32)))
    (import "s" "rep" (func $stack-rep (param i32) (result i32)))
    (import "s" "drop" (func $stack-drop (param i32)))

    (func (export "count") (param $start i32) (param $by i32) (result i32)
      (local $a i32) (local $b i32)
      (local.set $a (call $new (local.get $start)))
      (local.set $b (call $new (i32.const 1)))
      (drop (call $add (local.get $a) (i32.const 5)))
      ;; Both at once, then both in one.
      (i32.store (i32.const 64) (local.get $a))
      (i32.store (i32.const 68) (local.get $b))
      (if (i32.ne
            (call $total (i32.const 64) (i32.const 2))
            (i32.add (local.get $start) (i32.const 6)))
        (then unreachable))
      (local.set $a (call $merge (local.get $a) (local.get $b)))
      (call $divide (local.get $a) (local.get $by) (i32.const 80))
      (call $drop (local.get $a))
      ;; result<u32, refusal> at 80, result<u32, string> at 96.
      (i32.store (i32.const 96) (i32.load8_u (i32.const 80)))
      (if (i32.load8_u (i32.const 80))
        (then
          (if (i32.load8_u (i32.const 84))
            (then
              (i32.store (i32.const 100) (i32.const 32))
              (i32.store (i32.const 104) (i32.const 9)))
            (else
              (i32.store (i32.const 100) (i32.const 0))
              (i32.store (i32.const 104) (i32.const 19)))))
        (else
          (i32.store (i32.const 100) (i32.load (i32.const 84)))))
      (i32.const 96))

    (func (export "stack") (param $first i32) (result i32)
      (local $rep i32)
      (local.set $rep (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 4)))
      (i32.store (local.get $rep) (local.get $first))
      (call $stack-new (local.get $rep)))
    (func (export "push") (param $rep i32) (param $value i32)
      (i32.store (local.get $rep) (i32.add (i32.load (local.get $rep)) (local.get $value))))
    (func (export "sum") (param $rep i32) (result i32)
      ;; What it holds, and a thousand for each stack that was dropped before.
      (i32.add (i32.load (local.get $rep)) (i32.mul (i32.load (i32.const 512)) (i32.const 1000))))
    (func (export "take") (param $handle i32) (result i32)
      (i32.load (call $stack-rep (local.get $handle)))
      (call $stack-drop (local.get $handle))))
  (core instance $i (instantiate $main
    (with "m" (instance $m))
    (with "c" (instance
      (export "new" (func $new)) (export "add" (func $add)) (export "merge" (func $merge))
      (export "divide" (func $divide)) (export "total" (func $total)) (export "drop" (func $drop))))
    (with "s" (instance
      (export "new" (func $stack-new)) (export "rep" (func $stack-rep)) (export "drop" (func $stack-drop))))))

  (func (export "count") (param "start" u32) (param "by" u32) (result (result u32 (error string)))
    (canon lift (core func $i "count") (memory $memory)))

  (func $constructor (param "first" u32) (result (own $stack)) (canon lift (core func $i "stack")))
  (func $push (param "self" (borrow $stack)) (param "value" u32) (canon lift (core func $i "push")))
  (func $sum (param "self" (borrow $stack)) (result u32) (canon lift (core func $i "sum")))
  (func $take (param "stack" (own $stack)) (result u32) (canon lift (core func $i "take")))
  ;; Gives the functions the exported type's name.
  (component $named
    (import "stack" (type $stack (sub resource)))
    (import "constructor" (func $constructor (param "first" u32) (result (own $stack))))
    (import "push" (func $push (param "self" (borrow $stack)) (param "value" u32)))
    (import "sum" (func $sum (param "self" (borrow $stack)) (result u32)))
    (import "take" (func $take (param "stack" (own $stack)) (result u32)))
    (export $exported "stack" (type $stack))
    (export "[constructor]stack" (func $constructor) (func (param "first" u32) (result (own $exported))))
    (export "[method]stack.push" (func $push) (func (param "self" (borrow $exported)) (param "value" u32)))
    (export "[method]stack.sum" (func $sum) (func (param "self" (borrow $exported)) (result u32)))
    (export "[static]stack.take" (func $take) (func (param "stack" (own $exported)) (result u32))))
  (instance $stacks (instantiate $named
    (with "stack" (type $stack))
    (with "constructor" (func $constructor))
    (with "push" (func $push))
    (with "sum" (func $sum))
    (with "take" (func $take))))
  (export "test:things/stacks@1.1.0" (instance $stacks)))

;; Functions of a component that uses async, which return at once.
(component
  (core module $m
    (import "" "return" (func $return))
    (func (export "callback-lift") (result i32) (call $return) (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) unreachable)
    (func (export "stackful-lift") (call $return))
    (func (export "sync-lift")))
  (core func $return (canon task.return))
  (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
  (func (export "sync-lift") (canon lift (core func $i "sync-lift")))
  (func (export "callback-lift") async
    (canon lift (core func $i "callback-lift") async (callback (func $i "callback"))))
  (func (export "stackful-lift") async (canon lift (core func $i "stackful-lift") async)))

;; The smallest command of WASI 0.1 that says something.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param $fd i32) (param $iovs i32) (param $count i32) (param $written i32) (result i32)))
  (memory (export "memory") 1)
  ;; One iovec: the text's address and its length.
  (data (i32.const 0) "\10\00\00\00" "\0c\00\00\00")
  (data (i32.const 16) "hello, tide\n")
  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))

;; Hands its stdin to stdout as it is, and ends as the two futures say. Says goodbye through WASI 0.2, when all is written.
(component
  (import "wasi:cli/types@0.3.0" (instance $types
    (type $code (enum "io" "illegal-byte-sequence" "pipe"))
    (export "error-code" (type (eq $code)))))
  (alias export $types "error-code" (type $code))
  (import "wasi:cli/stdin@0.3.0" (instance $stdin
    (alias outer 1 $code (type $code'))
    (export "error-code" (type $code (eq $code')))
    (export "read-via-stream" (func (result (tuple (stream u8) (future (result (error $code)))))))))
  (import "wasi:cli/stdout@0.3.0" (instance $stdout
    (alias outer 1 $code (type $code'))
    (export "error-code" (type $code (eq $code')))
    (export "write-via-stream" (func (param "data" (stream u8)) (result (future (result (error $code))))))))
  (import "wasi:io/error@0.2.12" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error))
  (import "wasi:io/streams@0.2.12" (instance $streams
    (alias outer 1 $error (type $error'))
    (export "error" (type $error (eq $error')))
    (type $stream-error' (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error')))
    (export "output-stream" (type $output (sub resource)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output))
  (import "wasi:cli/stdout@0.2.12" (instance $stdout2
    (alias outer 1 $output (type $output'))
    (export "output-stream" (type $output (eq $output')))
    (export "get-stdout" (func (result (own $output))))))

  (core module $memory (memory (export "memory") 1) (data (i32.const 64) "goodbye\n"))
  (core instance $memory (instantiate $memory))
  (type $ending (future (result (error $code))))
  (core func $stdin (canon lower (func $stdin "read-via-stream") (memory $memory "memory")))
  (core func $stdout (canon lower (func $stdout "write-via-stream")))
  (core func $stdout2 (canon lower (func $stdout2 "get-stdout")))
  (core func $say (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $memory "memory")))
  (core func $ended (canon future.read $ending (memory $memory "memory")))
  (core func $return (canon task.return (result (result))))

  (core module $main
    (import "" "memory" (memory 1))
    (import "" "stdin" (func $stdin (param i32)))
    (import "" "stdout" (func $stdout (param i32) (result i32)))
    (import "" "stdout2" (func $stdout2 (result i32)))
    (import "" "say" (func $say (param i32 i32 i32 i32)))
    (import "" "ended" (func $ended (param i32 i32) (result i32)))
    (import "" "return" (func $return (param i32)))
    (func (export "run")
      (local $written i32) (local $failed i32)
      (call $stdin (i32.const 8))
      (local.set $written (call $stdout (i32.load (i32.const 8))))
      (if (call $ended (i32.load (i32.const 12)) (i32.const 32)) (then unreachable))
      (local.set $failed (i32.load8_u (i32.const 32)))
      (if (call $ended (local.get $written) (i32.const 32)) (then unreachable))
      (call $say (call $stdout2) (i32.const 64) (i32.const 8) (i32.const 40))
      (call $return (i32.or (local.get $failed) (i32.load8_u (i32.const 32))))))
  (core instance $main (instantiate $main (with "" (instance
    (export "memory" (memory $memory "memory"))
    (export "stdin" (func $stdin))
    (export "stdout" (func $stdout))
    (export "stdout2" (func $stdout2))
    (export "say" (func $say))
    (export "ended" (func $ended))
    (export "return" (func $return))))))

  (func $run async (result (result)) (canon lift (core func $main "run") async))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.3.0" (instance $run)))

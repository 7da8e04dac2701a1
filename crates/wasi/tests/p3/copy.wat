;; Copies stdin to stdout through its own memory, `chunk` bytes at a time, and ends as the two futures say.
;; The chunk is the first argument's length, in bytes.
(component
  (import "wasi:cli/types@0.3.0" (instance $types
    (type $code (enum "io" "illegal-byte-sequence" "pipe"))
    (export "error-code" (type (eq $code)))))
  (alias export $types "error-code" (type $code))
  (import "wasi:cli/environment@0.3.0" (instance $environment
    (export "get-arguments" (func (result (list string))))))
  (import "wasi:cli/stdin@0.3.0" (instance $stdin
    (alias outer 1 $code (type $code'))
    (export "error-code" (type $code (eq $code')))
    (export "read-via-stream" (func (result (tuple (stream u8) (future (result (error $code)))))))))
  (import "wasi:cli/stdout@0.3.0" (instance $stdout
    (alias outer 1 $code (type $code'))
    (export "error-code" (type $code (eq $code')))
    (export "write-via-stream" (func (param "data" (stream u8)) (result (future (result (error $code))))))))

  (core module $memory
    (memory (export "memory") 64)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get 3)))))
  (core instance $memory (instantiate $memory))

  (type $bytes (stream u8))
  (type $ending (future (result (error $code))))
  (core func $arguments (canon lower (func $environment "get-arguments")
    (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $stdin (canon lower (func $stdin "read-via-stream") (memory $memory "memory")))
  (core func $stdout (canon lower (func $stdout "write-via-stream")))
  (core func $new (canon stream.new $bytes))
  (core func $read (canon stream.read $bytes (memory $memory "memory")))
  (core func $write (canon stream.write $bytes (memory $memory "memory")))
  (core func $drop-readable (canon stream.drop-readable $bytes))
  (core func $drop-writable (canon stream.drop-writable $bytes))
  (core func $ended (canon future.read $ending (memory $memory "memory")))
  (core func $drop-ending (canon future.drop-readable $ending))
  (core func $return (canon task.return (result (result))))

  (core module $main
    (import "" "memory" (memory 1))
    (import "" "arguments" (func $arguments (param i32)))
    (import "" "stdin" (func $stdin (param i32)))
    (import "" "stdout" (func $stdout (param i32) (result i32)))
    (import "" "new" (func $new (result i64)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "" "drop-readable" (func $drop-readable (param i32)))
    (import "" "drop-writable" (func $drop-writable (param i32)))
    (import "" "ended" (func $ended (param i32 i32) (result i32)))
    (import "" "drop-ending" (func $drop-ending (param i32)))
    (import "" "return" (func $return (param i32)))

    ;; 0 if the future says `ok`.
    (func $failed (param $ending i32) (result i32)
      (if (call $ended (local.get $ending) (i32.const 32)) (then unreachable))
      (call $drop-ending (local.get $ending))
      (i32.load8_u (i32.const 32)))

    (func (export "run")
      (local $chunk i32) (local $in i32) (local $out i32) (local $reader i32) (local $pair i64)
      (local $packed i32) (local $have i32) (local $done i32) (local $wrote i32) (local $read-ending i32) (local $written-ending i32)
      (call $arguments (i32.const 0))
      ;; The pointer to the list, then the pointer to its first string and the length of that.
      (local.set $chunk (i32.load offset=4 (i32.load (i32.const 0))))
      (call $stdin (i32.const 8))
      (local.set $in (i32.load (i32.const 8)))
      (local.set $read-ending (i32.load (i32.const 12)))
      (local.set $pair (call $new))
      (local.set $out (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
      (local.set $written-ending (call $stdout (i32.wrap_i64 (local.get $pair))))
      (block $end
        (loop $more
          (local.set $packed (call $read (local.get $in) (i32.const 65536) (local.get $chunk)))
          (local.set $have (i32.shr_u (local.get $packed) (i32.const 4)))
          (local.set $done (i32.const 0))
          (block $written
            (loop $rest
              (br_if $written (i32.eq (local.get $done) (local.get $have)))
              (local.set $wrote (call $write (local.get $out)
                (i32.add (i32.const 65536) (local.get $done))
                (i32.sub (local.get $have) (local.get $done))))
              ;; Nobody takes it any more.
              (br_if $end (i32.eq (i32.and (local.get $wrote) (i32.const 15)) (i32.const 1)))
              (local.set $done (i32.add (local.get $done) (i32.shr_u (local.get $wrote) (i32.const 4))))
              (br $rest)))
          ;; The other end is gone.
          (br_if $end (i32.eq (i32.and (local.get $packed) (i32.const 15)) (i32.const 1)))
          (br $more)))
      (call $drop-readable (local.get $in))
      (call $drop-writable (local.get $out))
      (call $return (i32.or (call $failed (local.get $read-ending)) (call $failed (local.get $written-ending))))))
  (core instance $main (instantiate $main (with "" (instance
    (export "memory" (memory $memory "memory"))
    (export "arguments" (func $arguments))
    (export "stdin" (func $stdin))
    (export "stdout" (func $stdout))
    (export "new" (func $new))
    (export "read" (func $read))
    (export "write" (func $write))
    (export "drop-readable" (func $drop-readable))
    (export "drop-writable" (func $drop-writable))
    (export "ended" (func $ended))
    (export "drop-ending" (func $drop-ending))
    (export "return" (func $return))))))

  (func $run async (result (result)) (canon lift (core func $main "run") async))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.3.0" (instance $run)))

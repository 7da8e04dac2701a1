//! How runs end that do not end by themselves: signals, `--timeout`, and threads that end their program.
#![cfg(unix)]

use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A run with a cache of its own.
struct Run {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Run {
    /// Runs text, which is put in a file.
    fn text(options: &[&str], text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("guest.wat");
        std::fs::write(&file, text).unwrap();
        Self::start(folder, options, &file)
    }

    /// Runs one of the guests of this repository.
    fn guest(options: &[&str], name: &str) -> Self {
        let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests");
        Self::start(tempfile::tempdir().unwrap(), options, &guests.join(name))
    }

    fn start(folder: tempfile::TempDir, options: &[&str], file: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .arg("run")
            .args(options)
            .arg(file)
            .env("TIDEGATE_CACHE_DIR", folder.path().join("cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            child,
            _folder: folder,
        }
    }

    /// Waits until the guest has written this.
    fn expect(&mut self, text: &str) {
        let mut found = vec![0; text.len()];
        self.child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut found)
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&found), text);
    }

    fn write(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// What is left of its output when it has ended, and how it did. Its standard input stays open until then.
    fn end(mut self) -> Output {
        let stdin = self.child.stdin.take();
        let output = self.child.wait_with_output().unwrap();
        drop(stdin);
        output
    }
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
}

/// A command of WASI 0.1 that says that it has begun.
fn command(body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\08\00\00\00\06\00\00\00begun\n")
            ;; A subscription: the monotonic clock in an hour.
            (data (i32.const 264) "\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\a0\b8\30\46\03\00\00")
            (func (export "_start")
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))
                {body}))"#
    )
}

const ENGINES: [&str; 2] = ["wasmtime", "wasmi"];
const BUSY: &str = "(loop $l (br $l))";
const SLEEPS: &str =
    "(drop (call $poll (i32.const 256) (i32.const 1024) (i32.const 1) (i32.const 512)))";

#[test]
fn guests_that_compute_and_guests_that_wait_end_at_a_signal() {
    for engine in ENGINES {
        for body in [BUSY, SLEEPS] {
            for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
                let mut run = Run::text(&["--engine", engine], &command(body));
                run.expect("begun\n");
                run.signal(signal);
                let output = run.end();
                assert_code(&output, code);
                assert!(output.stdout.is_empty() && output.stderr.is_empty());
            }
        }
    }
}

#[test]
fn guests_that_read_end_at_a_signal_in_all_generations() {
    for name in ["wasm/cat-p1.wasm", "wasm/cat-p2.wasm", "wasm/cat-p3.wasm"] {
        for engine in ENGINES {
            let mut run = Run::guest(&["--engine", engine], name);
            run.write("so far\n");
            run.expect("so far\n");
            run.signal(Signal::INT);
            assert_code(&run.end(), 130);
        }
    }
}

#[test]
fn what_was_written_before_a_signal_reaches_its_reader() {
    for name in ["wasm/cat-p1.wasm", "wasm/cat-p2.wasm", "wasm/cat-p3.wasm"] {
        let mut run = Run::guest(&[], name);
        let mut stdin = run.child.stdin.take().unwrap();
        // Without an end, so that only the signal ends the guest, in the middle of it.
        let writer = std::thread::spawn(move || {
            (0u64..)
                .try_for_each(|n| writeln!(stdin, "line {n}"))
                .unwrap_err()
        });
        run.expect("line 0\n");
        run.signal(Signal::INT);
        let output = run.end();
        assert_code(&output, 130);
        let text = String::from_utf8(output.stdout).unwrap();
        for (line, n) in text.split_inclusive('\n').zip(1u64..) {
            let expected = format!("line {n}\n");
            // The last one may have been cut.
            assert!(
                expected.starts_with(line),
                "{name}: {line:?} is not {expected:?}"
            );
        }
        writer.join().unwrap();
    }
}

#[test]
fn a_second_signal_ends_the_process() {
    let text = "x".repeat(1 << 20);
    let mut run = Run::guest(&[], "wasm/cat-p2.wasm");
    let mut stdin = run.child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    // The rest of the output stays where it is, so that the first signal leaves something to wait for.
    run.expect("x");
    run.signal(Signal::INT);
    run.signal(Signal::INT);
    assert_eq!(run.child.wait().unwrap().code(), Some(130));
    drop(writer.join().unwrap());
}

#[test]
fn guests_that_compute_wait_or_read_end_when_the_time_is_over() {
    for engine in ENGINES {
        let options = ["--engine", engine, "--timeout", "100ms"];
        for body in [BUSY, SLEEPS] {
            let output = Run::text(&options, &command(body)).end();
            assert_code(&output, 124);
            assert_eq!(output.stdout, b"begun\n");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("within 100ms"), "{said}");
        }
        for name in ["wasm/cat-p1.wasm", "wasm/cat-p2.wasm", "wasm/cat-p3.wasm"] {
            assert_code(&Run::guest(&options, name).end(), 124);
        }
    }
}

/// A program of several threads, which says that it has begun once three threads have, busy in three ways.
fn threads(then: &str) -> String {
    format!(
        r#"(module
            (import "env" "memory" (memory 1 1 shared))
            (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (data (i32.const 0) "\08\00\00\00\06\00\00\00begun\n")
            (data (i32.const 32) "\80\00\00\00\10\00\00\00")
            (func $begun (drop (i32.atomic.rmw.add (i32.const 64) (i32.const 1))))
            (func (export "wasi_thread_start") (param $tid i32) (param $kind i32)
                (if (i32.eq (local.get $kind) (i32.const 0)) (then
                    (call $begun) (loop $l (br $l))))
                (if (i32.eq (local.get $kind) (i32.const 1)) (then
                    (call $begun)
                    (drop (memory.atomic.wait32 (i32.const 72) (i32.const 0) (i64.const -1)))))
                (if (i32.eq (local.get $kind) (i32.const 2)) (then
                    (call $begun)
                    (drop (call $read (i32.const 0) (i32.const 32) (i32.const 1) (i32.const 40)))))
                (if (i32.eq (local.get $kind) (i32.const 3)) (then (call $exit (i32.const 7))))
                (if (i32.eq (local.get $kind) (i32.const 4)) (then
                    (drop (i32.div_u (i32.const 1) (i32.const 0))))))
            (func (export "_start")
                (drop (call $spawn (i32.const 0)))
                (drop (call $spawn (i32.const 1)))
                (drop (call $spawn (i32.const 2)))
                (loop $until (br_if $until (i32.ne (i32.atomic.load (i32.const 64)) (i32.const 3))))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))
                {then})
            (export "memory" (memory 0)))"#
    )
}

/// The main thread waits, so that what ends the program is another.
const WAITS: &str = "(drop (memory.atomic.wait32 (i32.const 76) (i32.const 0) (i64.const -1)))";

#[test]
fn a_thread_that_exits_ends_the_program_with_its_code() {
    for (then, code) in [
        ("", 0),
        ("(call $exit (i32.const 9))", 9),
        ("(drop (call $spawn (i32.const 3)))", 7),
    ] {
        let waits = if code == 7 { WAITS } else { "" };
        let output = Run::text(&[], &threads(&format!("{then} {waits}"))).end();
        assert_code(&output, code);
        assert_eq!(output.stdout, b"begun\n");
    }
}

#[test]
fn a_thread_that_traps_ends_the_program_and_is_its_cause() {
    for (then, cause) in [
        ("unreachable", "unreachable"),
        (
            "(drop (call $spawn (i32.const 4)))",
            "integer divide by zero",
        ),
    ] {
        let output = Run::text(&[], &threads(&format!("{then} {WAITS}"))).end();
        assert_code(&output, 134);
        assert_eq!(output.stdout, b"begun\n");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(cause), "{said}");
        assert_eq!(said.matches("trapped").count(), 1, "{said}");
    }
}

#[test]
fn programs_of_several_threads_end_at_a_signal_and_when_the_time_is_over() {
    let mut run = Run::text(&[], &threads(WAITS));
    run.expect("begun\n");
    run.signal(Signal::INT);
    assert_code(&run.end(), 130);
    let output = Run::text(&["--timeout", "1s"], &threads(WAITS)).end();
    assert_code(&output, 124);
}

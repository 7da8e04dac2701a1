//! The command as its users meet it: exit codes, what is granted, what is said.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The command with a cache of its own.
struct Tidegate {
    folder: tempfile::TempDir,
}

impl Tidegate {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn cache(&self) -> PathBuf {
        self.path().join("cache")
    }

    fn run(&self, words: &[&str]) -> Output {
        self.run_with(words, "")
    }

    fn run_with(&self, words: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(words)
            .env("TIDEGATE_CACHE_DIR", self.cache())
            .env("FROM_OUTSIDE", "seen")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        // Written while the output is read, or both sides could wait for each other. A command that does not read its input may be
        // gone already.
        std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    }
}

fn guest(name: &str) -> String {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests");
    guests.join(name).to_str().unwrap().to_owned()
}

#[track_caller]
fn assert_output(output: &Output, code: i32, stdout: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout, "{said}");
    assert_eq!(output.status.code(), Some(code), "{said}");
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn runs_text_and_binary_on_both_engines() {
    let tidegate = Tidegate::new();
    for engine in ["auto", "wasmtime", "wasmi"] {
        let output = tidegate.run(&["run", "--engine", engine, &guest("wat/hello.wat")]);
        assert_output(&output, 0, "hello, tide\n");
        let sort = guest("wasm/sortlines.wasm");
        let output = tidegate.run_with(&["run", "--engine", engine, &sort, "-n"], "10\n9\n");
        assert_output(&output, 0, "9\n10\n");
        let sum = [
            "run",
            "--engine",
            engine,
            "--invoke",
            "sum([1, 2, 3])",
            &guest("wat/values.wat"),
        ];
        assert_output(&tidegate.run(&sum), 0, "6\n");
    }
}

#[test]
fn copies_input_to_output_in_all_generations() {
    let tidegate = Tidegate::new();
    let text: String = (0..100_000).map(|n| format!("line {n}\n")).collect();
    for name in ["wasm/cat-p1.wasm", "wasm/cat-p2.wasm", "wasm/cat-p3.wasm"] {
        let output = tidegate.run_with(&["run", &guest(name)], &text);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(output.stdout == text.as_bytes(), "{name} changed the bytes");
    }
}

#[test]
fn guests_do_the_same_when_they_are_interrupted_at_every_opportunity() {
    let tidegate = Tidegate::new();
    let text: String = (0..1000).map(|n| format!("line {n}\n")).collect();
    for engine in ["wasmtime", "wasmi"] {
        let often = ["run", "--engine", engine, "--pause-often", "1"];
        for name in ["wasm/cat-p1.wasm", "wasm/cat-p2.wasm", "wasm/cat-p3.wasm"] {
            let output = tidegate.run_with(&[&often[..], &[&guest(name)]].concat(), &text);
            assert_output(&output, 0, &text);
        }
        let sort = guest("wasm/sortlines.wasm");
        let output = tidegate.run_with(&[&often[..], &[&sort, "-n"]].concat(), "10\n9\n");
        assert_output(&output, 0, "9\n10\n");
        let output = tidegate.run(&[&often[..], &[&guest("wat/trap.wat")]].concat());
        assert_output(&output, 134, "");
    }
}

#[test]
fn counts_words_in_all_generations() {
    let tidegate = Tidegate::new();
    // A word of 5 bytes lies across the ends of pieces of 64 KiB.
    let text = "word \n".repeat(50_000);
    for name in ["wasm/wc-p1.wasm", "wasm/wc-p2.wasm", "wasm/wc-p3.wasm"] {
        let output = tidegate.run_with(&["run", &guest(name)], &text);
        assert_output(&output, 0, "50000 50000 300000\n");
    }
}

#[test]
fn the_guests_exit_code_is_the_commands() {
    let tidegate = Tidegate::new();
    let sort = guest("wasm/sortlines.wasm");
    assert_output(&tidegate.run(&["run", &sort, "-x"]), 2, "");
    assert_output(&tidegate.run(&["run", &sort, "/absent"]), 1, "");
}

#[test]
fn a_trap_shows_the_guests_functions_and_exits_with_134() {
    let tidegate = Tidegate::new();
    let output = tidegate.run(&["run", &guest("wat/trap.wat")]);
    assert_output(&output, 134, "");
    let said = stderr(&output);
    assert!(said.contains("integer divide by zero"), "{said}");
    for name in ["trap!divide", "trap!average", "trap!main"] {
        assert!(said.contains(name), "{said}");
    }
}

#[test]
fn an_interpreted_trap_says_who_could_show_the_functions() {
    let tidegate = Tidegate::new();
    let output = tidegate.run(&["run", "--engine", "wasmi", &guest("wat/trap.wat")]);
    assert_output(&output, 134, "");
    let said = stderr(&output);
    assert!(said.contains("integer divide by zero"), "{said}");
    assert!(said.contains("--engine wasmtime"), "{said}");
}

#[test]
fn a_limit_is_raised_by_the_name_that_the_trap_gives() {
    let tidegate = Tidegate::new();
    let file = tidegate.path().join("sets.wat");
    let sets = r#"(component
        (core func $new (canon waitable-set.new))
        (core module $m
            (import "" "new" (func $new (result i32)))
            (func (export "f") (result i32)
                (drop (call $new)) (drop (call $new)) (call $new)))
        (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
        (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;
    std::fs::write(&file, sets).unwrap();
    let run = |limit: &str| {
        let file = file.to_str().unwrap();
        tidegate.run(&["run", "--limit", limit, "--invoke", "f()", file])
    };
    let output = run("max-handles=2");
    assert_output(&output, 134, "");
    let said = stderr(&output);
    assert!(said.contains("--limit max-handles=4"), "{said}");
    assert_output(&run("max-handles=4"), 0, "3\n");
}

#[test]
fn a_guest_is_in_the_time_zone_that_was_named_and_else_in_utc() {
    let tidegate = Tidegate::new();
    let file = tidegate.path().join("zone.wat");
    let zone = r#"(component
        (import "wasi:clocks/wall-clock@0.2.0" (instance $clock
            (type $d (record (field "seconds" u64) (field "nanoseconds" u32)))
            (export "datetime" (type (eq $d)))))
        (alias export $clock "datetime" (type $datetime))
        (import "wasi:clocks/timezone@0.2.0" (instance $zone
            (alias outer 1 $datetime (type $d))
            (export "datetime" (type $e (eq $d)))
            (export "utc-offset" (func (param "when" $e) (result s32)))))
        (export "zone" (instance $zone)))"#;
    std::fs::write(&file, zone).unwrap();
    let file = file.to_str().unwrap();
    // Noon of the first of July 2024.
    let call = "utc-offset({seconds: 1719835200, nanoseconds: 0})";
    let output = tidegate.run(&["run", "--invoke", call, file]);
    assert_output(&output, 0, "0\n");
    let rule = "CET-1CEST,M3.5.0,M10.5.0/3";
    let output = tidegate.run(&["run", "--time-zone", rule, "--invoke", call, file]);
    assert_output(&output, 0, "7200\n");
    let output = tidegate.run(&["run", "--time-zone", "Europe/Atlantis", file]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("Europe/Berlin"));
}

#[test]
fn a_guest_that_does_not_end_is_ended() {
    let tidegate = Tidegate::new();
    for engine in ["wasmtime", "wasmi"] {
        let words = [
            "run",
            "--engine",
            engine,
            "--timeout",
            "200ms",
            &guest("wat/spin.wat"),
        ];
        let output = tidegate.run(&words);
        assert_output(&output, 124, "");
        assert!(stderr(&output).contains("within 200ms"));
    }
}

#[test]
fn a_guest_has_the_folders_that_were_named_and_no_others() {
    let tidegate = Tidegate::new();
    let folder = tidegate.path().join("data");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.txt"), "one two\n").unwrap();
    let host = folder.to_str().unwrap();
    for name in ["wasm/tally.wasm", "wasm/tally-p2.wasm"] {
        let tally = guest(name);
        let output = tidegate.run(&[
            "run",
            "--dir",
            &format!("{host}::/data::ro"),
            &tally,
            "/data",
        ]);
        assert!(output.status.success(), "{}", stderr(&output));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            said.contains("txt                 1          1          2            8"),
            "{said}"
        );
        let output = tidegate.run(&[
            "run",
            "--dir",
            &format!("{host}::/data"),
            &tally,
            host,
            "/data/..",
        ]);
        assert_eq!(output.status.code(), Some(1), "neither is granted");
    }
}

#[test]
fn wave_values_go_in_and_come_out() {
    let tidegate = Tidegate::new();
    let values = guest("wat/values.wat");
    for (call, result) in [
        ("add(1, 2)", "3"),
        (r#"greet("you")"#, r#""hello, you""#),
        ("mirror({x: 1.5, y: -2})", "{x: -2, y: 1.5}"),
        ("divide(7, 2)", "some(3)"),
        ("divide(1, 0)", "none"),
    ] {
        let output = tidegate.run(&["run", "--invoke", call, &values]);
        assert_output(&output, 0, &format!("{result}\n"));
    }
    let output = tidegate.run(&["run", "--invoke", "subtract(1, 2)", &values]);
    assert_output(&output, 2, "");
    assert!(stderr(&output).contains("exported are add, sum, greet, mirror, divide"));
    let output = tidegate.run(&["run", "--invoke", "add(1)", &values]);
    assert_output(&output, 2, "");
    assert!(stderr(&output).contains("add takes (a: u32, b: u32)"));
}

#[test]
fn functions_of_core_modules_are_called_with_numbers() {
    let tidegate = Tidegate::new();
    let file = tidegate.path().join("numbers.wat");
    let text = r#"(module (func (export "both") (param i32 f64) (result f64 i32) (local.get 1) (local.get 0)))"#;
    std::fs::write(&file, text).unwrap();
    let output = tidegate.run(&["run", "--invoke", "both(-1, 2.5)", file.to_str().unwrap()]);
    assert_output(&output, 0, "(2.5, -1)\n");
}

#[test]
fn what_was_compiled_ahead_of_time_runs() {
    let tidegate = Tidegate::new();
    for name in ["wasm/sortlines.wasm", "wasm/cat-p2.wasm"] {
        let compiled = tidegate.path().join("program.cwasm");
        let compiled = compiled.to_str().unwrap();
        let output = tidegate.run(&["compile", "-o", compiled, &guest(name)]);
        assert_output(&output, 0, "");
        assert_output(&tidegate.run_with(&["run", compiled], "b\n"), 0, "b\n");

        let mut bytes = std::fs::read(compiled).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(compiled, &bytes).unwrap();
        let output = tidegate.run(&["run", compiled]);
        assert_output(&output, 1, "");
        assert!(stderr(&output).contains("damaged"), "{}", stderr(&output));
    }
}

#[test]
fn the_cache_is_filled_once_and_mended_when_damaged() {
    let tidegate = Tidegate::new();
    let hello = guest("wat/hello.wat");
    assert_output(
        &tidegate.run(&["run", "--no-cache", &hello]),
        0,
        "hello, tide\n",
    );
    assert!(!tidegate.cache().exists(), "--no-cache makes no cache");

    assert_output(&tidegate.run(&["run", &hello]), 0, "hello, tide\n");
    let entries: Vec<_> = std::fs::read_dir(tidegate.cache())
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(entries.len(), 1);
    let entry = entries[0].path();
    let intact = std::fs::read(&entry).unwrap();
    for damaged in [&b""[..], b"nonsense", &intact[..intact.len() - 1]] {
        std::fs::write(&entry, damaged).unwrap();
        assert_output(&tidegate.run(&["run", &hello]), 0, "hello, tide\n");
        assert!(
            std::fs::read(&entry).unwrap() == intact,
            "the entry was mended"
        );
    }
}

#[test]
fn bad_files_are_named_with_what_is_wrong() {
    let tidegate = Tidegate::new();
    let file = tidegate.path().join("bad.wasm");
    let path = file.to_str().unwrap();
    let intact = std::fs::read(guest("wasm/cat-p2.wasm")).unwrap();
    for bytes in [
        &b""[..],
        b"hello",
        b"\0asm\x01\0\0\0\x01",
        &intact[..intact.len() / 2],
    ] {
        std::fs::write(&file, bytes).unwrap();
        let output = tidegate.run(&["run", path]);
        assert_output(&output, 1, "");
        assert!(stderr(&output).contains("bad.wasm"), "{}", stderr(&output));
    }
    assert_output(&tidegate.run(&["run", "/absent.wasm"]), 1, "");
}

#[test]
fn an_import_that_nobody_offers_is_named() {
    let tidegate = Tidegate::new();
    let file = tidegate.path().join("import.wat");
    std::fs::write(
        &file,
        r#"(module (import "env" "launch" (func)) (func (export "_start")))"#,
    )
    .unwrap();
    let output = tidegate.run(&["run", file.to_str().unwrap()]);
    assert_output(&output, 1, "");
    assert!(stderr(&output).contains("launch"), "{}", stderr(&output));
    std::fs::write(
        &file,
        r#"(component (import "my:own/api" (instance (export "launch" (func)))))"#,
    )
    .unwrap();
    let output = tidegate.run(&["run", file.to_str().unwrap()]);
    assert_output(&output, 1, "");
    assert!(
        stderr(&output).contains("my:own/api"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn inspect_tells_what_a_program_may_touch() {
    let tidegate = Tidegate::new();
    let output = tidegate.run(&["inspect", &guest("wasm/tally-p2.wasm")]);
    let said = String::from_utf8_lossy(&output.stdout);
    for part in [
        "import wasi:filesystem/types",
        "export wasi:cli/run",
        "files below each --dir",
        "on wasmtime",
    ] {
        assert!(said.contains(part), "{part} is missing in:\n{said}");
    }
    assert!(!said.contains("the network"), "{said}");
    assert!(said.contains("a command, by wasi:cli/run@0.2."), "{said}");
    let output = tidegate.run(&["inspect", &guest("wasm/cat-p3.wasm")]);
    let said = String::from_utf8_lossy(&output.stdout);
    for part in [
        "run: async func() -> result",
        "a command, by wasi:cli/run@0.3.0",
    ] {
        assert!(said.contains(part), "{part} is missing in:\n{said}");
    }
    let output = tidegate.run(&["inspect", &guest("wat/hello.wat")]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("wasi_snapshot_preview1 fd_write: func(i32, i32, i32, i32) -> i32"),
        "{said}"
    );
}

#[test]
fn scripts_are_run_and_counted() {
    let tidegate = Tidegate::new();
    let folder = tidegate.path().join("scripts/deeper");
    std::fs::create_dir_all(&folder).unwrap();
    let component = r#"(component
        (core module $m (func (export "f") (result i32) (i32.const 42)) (func (export "t") (unreachable)))
        (core instance $i (instantiate $m))
        (func (export "f") (result u32) (canon lift (core func $i "f")))
        (func (export "t") (canon lift (core func $i "t"))))"#;
    let good = format!(
        "{component} (assert_return (invoke \"f\") (u32.const 42)) (assert_trap (invoke \"t\") \"unreachable\")"
    );
    std::fs::write(folder.join("good.wast"), good).unwrap();
    let root = tidegate.path().join("scripts");
    let output = tidegate.run(&["wast", root.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("6 passed, 0 failed; files: 2 passed"),
        "{said}"
    );

    let bad = format!(
        "{component} (assert_return (invoke \"f\") (u32.const 41)) (assert_trap (invoke \"f\") \"unreachable\")"
    );
    std::fs::write(folder.join("bad.wast"), bad).unwrap();
    std::fs::write(folder.join("broken.wast"), "(component").unwrap();
    let output = tidegate.run(&["wast", "--engine", "wasmi", root.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("4 passed, 3 failed; files: 1 passed, 2 failed"),
        "{said}"
    );
}

#[test]
fn scripts_may_have_core_modules_and_threads() {
    let tidegate = Tidegate::new();
    let file = tidegate.path().join("core.wast");
    let script = r#"
        (module $A
            (memory (export "m") 1) (global (export "g") (mut i32) (i32.const 7))
            (func (export "f") (param i64 f32) (result f32 i64) (local.get 1) (local.get 0))
            (func (export "t") (unreachable)))
        (register "a")
        (module $B
            (import "a" "g" (global (mut i32)))
            (import "spectest" "print_i32" (func $print (param i32)))
            (func (export "set") (global.set 0 (i32.const 9)) (call $print (i32.const 9))))
        (invoke "set")
        (assert_return (get $A "g") (i32.const 9))
        (assert_return (invoke $A "f" (i64.const -1) (f32.const nan)) (f32.const nan:canonical) (i64.const -1))
        (assert_trap (invoke $A "t") "unreachable")
        (assert_invalid (module (func (result i32))) "type mismatch")
        (assert_malformed (module quote "(func") "unexpected end")
        (assert_unlinkable (module (import "a" "nothing" (func))) "unknown import")
        (module definition $D (func (export "one") (result i32) (i32.const 1)))
        (module instance $I $D)
        (assert_return (invoke $I "one") (i32.const 1))
        (component
            (core module $m (func (export "f") (result i32) (i32.const 42)))
            (core instance $i (instantiate $m))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))
        (assert_return (invoke "f") (u32.const 42))"#;
    std::fs::write(&file, script).unwrap();
    let output = tidegate.run(&["wast", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("30 passed, 0 failed"), "{said}");
    assert!(output.status.success());

    let threads = r#"
        (module $Mem (memory (export "shared") 1 1 shared))
        (thread $T1 (shared (module $Mem))
            (register "mem" $Mem)
            (module (memory (import "mem" "shared") 1 1 shared)
                (func (export "run") (result i32)
                    (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
            (assert_return (invoke "run") (either (i32.const 0) (i32.const 1))))
        (thread $T2 (shared (module $Mem))
            (register "mem" $Mem)
            (module (memory (import "mem" "shared") 1 1 shared)
                (func (export "run")
                    (i32.atomic.store (i32.const 0) (i32.const 42))
                    (drop (memory.atomic.notify (i32.const 0) (i32.const -1)))))
            (invoke "run")
            (assert_return (invoke "run") (i32.const 1)))
        (wait $T1)
        (wait $T2)
        (register "mem" $Mem)
        (module (memory (import "mem" "shared") 1 1 shared)
            (func (export "get") (result i32) (i32.load (i32.const 0))))
        (assert_return (invoke "get") (i32.const 42))"#;
    std::fs::write(&file, threads).unwrap();
    let output = tidegate.run(&["wast", "--engine", "wasmtime", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // The last directive of the second thread expects a result that there is not.
    assert!(said.contains("14 passed, 1 failed"), "{said}");
}

#[test]
fn bad_command_lines_exit_with_2() {
    let tidegate = Tidegate::new();
    for words in [
        &["run"][..],
        &["run", "--dir", "", "x.wasm"],
        &["run", "--timeout", "soon", "x.wasm"],
        &["run", "--limit", "max-patience=1", "x.wasm"],
        &["run", "-S", "everything", "x.wasm"],
        &["wast"],
        &["frobnicate"],
    ] {
        assert_eq!(tidegate.run(words).status.code(), Some(2), "{words:?}");
    }
}

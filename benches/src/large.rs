//! A large component, put together: nested components with code of their own, each of which calls the one before it.

use std::fmt::Write as _;

/// Nested components.
const PARTS: usize = 12;

/// Functions of numbers that each exports.
const FUNCTIONS: usize = 16;

/// How many of them the next one calls, apart from one that takes a string.
const CALLED: usize = 8;

/// The component: 23 core modules with 300 functions, 12 memories and 12 tables; 192 functions are exported, and 99 pass from component to component.
pub fn component() -> String {
    let mut out = String::from("(component\n");
    for part in 0..PARTS {
        // Writing to a string does not fail.
        let _ = nested(&mut out, part);
    }
    for part in 0..PARTS {
        let _ = instance(&mut out, part);
    }
    out.push(')');
    out
}

const TYPE: &str = r#"(param "a" u32) (param "b" u64) (result u64)"#;

fn nested(out: &mut String, part: usize) -> std::fmt::Result {
    writeln!(out, "(component $c{part}")?;
    if part > 0 {
        for f in 0..CALLED {
            writeln!(out, r#"  (import "f{f}" (func $f{f} {TYPE}))"#)?;
        }
        writeln!(
            out,
            r#"  (import "take" (func $take (param "a" string) (result u32)))"#
        )?;
    }
    main_module(out, part)?;
    writeln!(out, "  (core instance $main (instantiate $main))")?;
    for f in 0..FUNCTIONS {
        writeln!(
            out,
            r#"  (func (export "f{f}") {TYPE} (canon lift (core func $main "f{f}")))"#
        )?;
    }
    writeln!(
        out,
        r#"  (func (export "take") (param "a" string) (result u32)
    (canon lift (core func $main "take") (memory $main "memory") (realloc (func $main "realloc"))))"#
    )?;
    if part > 0 {
        calls(out)?;
    }
    writeln!(out, ")")
}

/// The core module with a part's memory, table and functions, which differ from part to part.
fn main_module(out: &mut String, part: usize) -> std::fmt::Result {
    writeln!(
        out,
        r#"  (core module $main
    (memory (export "memory") 2)
    (table (export "table") 32 funcref)
    (global $calls (mut i32) (i32.const {part}))
    (data (i32.const 1024) "part {part} of a large component")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (func (export "take") (param i32 i32) (result i32)
      (i32.add (local.get 1) (i32.load8_u (local.get 0))))"#
    )?;
    for f in 0..FUNCTIONS {
        writeln!(
            out,
            r#"    (func $f{f} (export "f{f}") (param i32 i64) (result i64)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (i64.add (i64.mul (local.get 1) (i64.const {})) (i64.extend_i32_u (local.get 0))))"#,
            part + f
        )?;
    }
    writeln!(
        out,
        "    (elem (i32.const 0) {}))",
        numbered("$f", FUNCTIONS)
    )
}

/// What a part calls of the one before it, and a core module that does.
fn calls(out: &mut String) -> std::fmt::Result {
    let mut imports = String::new();
    for f in 0..CALLED {
        writeln!(out, "  (core func $f{f}' (canon lower (func $f{f})))")?;
        write!(imports, r#" (export "f{f}" (func $f{f}'))"#)?;
    }
    writeln!(
        out,
        r#"  (core func $take' (canon lower (func $take) (memory $main "memory")))
  (core module $calls
    (import "main" "memory" (memory 2))
    (import "previous" "take" (func $take (param i32 i32) (result i32)))"#
    )?;
    for f in 0..CALLED {
        writeln!(
            out,
            r#"    (import "previous" "f{f}" (func $f{f} (param i32 i64) (result i64)))"#
        )?;
    }
    for f in 0..CALLED {
        writeln!(
            out,
            r#"    (func (export "call{f}") (param i32 i64) (result i64) (call $f{f} (local.get 0) (local.get 1)))"#
        )?;
    }
    writeln!(
        out,
        r#"    (func (export "call") (result i32) (call $take (i32.const 1024) (i32.const 4))))
  (core instance $calls (instantiate $calls (with "main" (instance $main))
    (with "previous" (instance (export "take" (func $take')){imports}))))
  (func (export "call") (result u32) (canon lift (core func $calls "call")))"#
    )?;
    for f in 0..CALLED {
        writeln!(
            out,
            r#"  (func (export "call{f}") {TYPE} (canon lift (core func $calls "call{f}")))"#
        )?;
    }
    Ok(())
}

fn instance(out: &mut String, part: usize) -> std::fmt::Result {
    let mut args = String::new();
    if let Some(previous) = part.checked_sub(1) {
        for f in 0..CALLED {
            write!(args, r#" (with "f{f}" (func $i{previous} "f{f}"))"#)?;
        }
        write!(args, r#" (with "take" (func $i{previous} "take"))"#)?;
    }
    writeln!(
        out,
        r#"(instance $i{part} (instantiate $c{part}{args}))
(export "part{part}" (instance $i{part}))"#
    )
}

fn numbered(name: &str, count: usize) -> String {
    let names = (0..count).map(|number| format!("{name}{number}"));
    names.collect::<Vec<_>>().join(" ")
}

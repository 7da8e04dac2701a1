//! `tidegate inspect`: what a file imports and exports, how it would be run, and what it may touch.

mod text;
mod touch;

use crate::args::InspectArgs;
use crate::program::{self, Kind};
use crate::status::{Failure, Outcome};
use anyhow::{Context as _, Result};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use tidegate_core::plan::{Export, ImportKind, Plan};

/// Prints what there is to know about a file.
pub fn execute(args: &InspectArgs) -> Outcome {
    let bytes = program::read(&args.file)?;
    let text = match Kind::of(&bytes) {
        Some(Kind::Precompiled) => {
            return Err(
                Failure::usage(format_args!("{} is precompiled", args.file.display()))
                    .help("inspect the module or component that it was compiled from"),
            );
        }
        Some(Kind::Component) => component(args, &bytes),
        _ => module(args, &bytes),
    }
    .with_context(|| format!("cannot inspect {}", args.file.display()))?;
    // A reader that has seen enough is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

fn component(args: &InspectArgs, bytes: &[u8]) -> Result<String> {
    // Nothing is compiled for an interpreter, so the plan is there at once.
    let engine = crate::run::engine(args.engine, crate::run::Needs::default())?;
    let component = tidegate::Component::decode(&engine, bytes)?;
    let plan = component.plan();
    let mut text = headline(&args.file, "a component", bytes);
    match text::component(bytes) {
        Ok(wit) => text.push_str(&wit),
        Err(error) => {
            // Types that have no name cannot be written as WIT; the names can be told all the same.
            writeln!(text, "{error:#}; its imports and exports:")?;
            for import in &plan.imports {
                let path = import.path.join(" ");
                match &import.kind {
                    ImportKind::Func(ty) => {
                        writeln!(text, "  import {path}: {}", plan.types.display_func(*ty))?
                    }
                    _ => writeln!(text, "  import {path}")?,
                }
            }
            exports(&mut text, plan, &plan.exports, "")?;
        }
    }
    if let Some(run) = crate::run::command_interface(&component) {
        section(&mut text, "Runs as");
        writeln!(text, "  a command, by {run}")?;
    }
    section(&mut text, "Isolates");
    for isolate in component.isolates() {
        writeln!(
            text,
            "  {} on {}: {}",
            isolate.instances.join(", "),
            isolate.engine.name(),
            isolate.reason
        )?;
        match isolate.stack {
            Some(reason) => writeln!(text, "    suspendable, on a stack of its own: {reason}")?,
            None => writeln!(
                text,
                "    plain: entered without a stack, unless host functions that it calls in mid-stack wait"
            )?,
        }
    }
    touched(
        &mut text,
        &touch::by_interfaces(plan.imports.iter().map(|import| &*import.path[0])),
    );
    Ok(text)
}

/// Lists exports, those of instances after the names of these.
fn exports(
    text: &mut String,
    plan: &Plan,
    exported: &[(Box<str>, Export)],
    of: &str,
) -> Result<()> {
    for (name, export) in exported {
        match export {
            Export::Func { ty, .. } => writeln!(
                text,
                "  export {of}{name}: {}",
                plan.types.display_func(*ty)
            )?,
            Export::Type(ty) => writeln!(text, "  export {of}{name}: {}", plan.types.display(*ty))?,
            Export::Instance(inner) => exports(text, plan, inner, &format!("{of}{name} "))?,
            _ => writeln!(text, "  export {of}{name}")?,
        }
    }
    Ok(())
}

fn module(args: &InspectArgs, bytes: &[u8]) -> Result<String> {
    let engine = crate::run::engine(args.engine, crate::run::Needs::default())?;
    let module = text::Module::read(bytes)?;
    let mut text = headline(&args.file, "a core module", bytes);
    section(&mut text, "Imports");
    for (from, name, ty) in &module.imports {
        writeln!(text, "  {from} {name}: {ty}")?;
    }
    section(&mut text, "Exports");
    for (name, kind) in &module.exports {
        writeln!(text, "  {name}: {kind}")?;
    }
    section(&mut text, "Isolates");
    writeln!(
        text,
        "  the module on {}: {}",
        engine.kind().name(),
        reason(args)
    )?;
    let functions = module
        .imports
        .iter()
        .filter(|(from, ..)| from == tidegate_wasi::p1::MODULE);
    touched(
        &mut text,
        &touch::by_functions(functions.map(|(_, name, _)| name.as_str())),
    );
    Ok(text)
}

fn reason(args: &InspectArgs) -> &'static str {
    match args.engine {
        crate::args::EngineChoice::Auto => "nothing in it needs the interpreter",
        _ => "the embedder asks for it",
    }
}

fn headline(file: &Path, what: &str, bytes: &[u8]) -> String {
    format!("{}: {what} of {} bytes\n\n", file.display(), bytes.len())
}

fn section(text: &mut String, title: &str) {
    if !text.ends_with("\n\n") {
        text.push('\n');
    }
    text.push_str(title);
    text.push('\n');
}

fn touched(text: &mut String, touched: &[&str]) {
    section(text, "May touch");
    if touched.is_empty() {
        text.push_str("  nothing of this machine\n");
    }
    for what in touched {
        text.push_str("  ");
        text.push_str(what);
        text.push('\n');
    }
}

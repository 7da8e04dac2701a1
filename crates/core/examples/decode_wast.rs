//! Decodes every component of a directory of `.wast` files: valid ones must give a plan, which is the same after it was stored, invalid and malformed ones an error.
//!
//! Run as `cargo run -p tidegate-core --example decode_wast -- DIR [OUT]`. Prints what does not behave so, and fails if there is any. Writes the
//! binaries to the folder `OUT`, for a fuzzer to begin with.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tidegate_core::plan::{Plan, PlanError};
use wast::parser::{self, ParseBuffer};
use wast::{Wast, WastDirective};

/// The folder that binaries are written to, if any.
struct Seeds(Option<PathBuf>);

impl Seeds {
    fn keep(&self, place: &str, binary: &[u8]) -> std::io::Result<()> {
        match &self.0 {
            Some(folder) => std::fs::write(folder.join(place.replace(['/', ':'], "-")), binary),
            None => Ok(()),
        }
    }
}

/// How many components and failures there were.
#[derive(Default)]
struct Count {
    decoded: usize,
    refused: usize,
    failed: usize,
    /// Refused with another message than the file gives.
    reworded: usize,
}

fn main() -> ExitCode {
    let Some(dir) = std::env::args().nth(1) else {
        eprintln!("usage: decode_wast DIR [OUT]");
        return ExitCode::FAILURE;
    };
    let seeds = Seeds(std::env::args_os().nth(2).map(PathBuf::from));
    let mut files = Vec::new();
    collect(Path::new(&dir), &mut files);
    files.sort();
    let mut count = Count::default();
    for file in &files {
        if let Err(error) = check_file(file, &mut count, &seeds) {
            println!("{}: {error}", file.display());
            count.failed += 1;
        }
    }
    let Count {
        decoded,
        refused,
        failed,
        reworded,
    } = count;
    println!(
        "{} files: {decoded} components decoded, {refused} refused, {reworded} of them in other words, {failed} failures",
        files.len()
    );
    if failed == 0 && !files.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "wast")
        {
            files.push(path);
        }
    }
}

fn check_file(
    file: &Path,
    count: &mut Count,
    seeds: &Seeds,
) -> Result<(), Box<dyn std::error::Error>> {
    let source = std::fs::read_to_string(file)?;
    let mut lexer = wast::lexer::Lexer::new(&source);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer)?;
    let wast: Wast<'_> = parser::parse(&buffer)?;
    for directive in wast.directives {
        let (line, _) = directive.span().linecol_in(&source);
        let place = format!("{}:{}", file.display(), line + 1);
        match directive {
            WastDirective::Module(mut module) | WastDirective::ModuleDefinition(mut module) => {
                let bytes = module.encode()?;
                seeds.keep(&place, &bytes)?;
                match Plan::new(&bytes) {
                    Ok(plan) if !is_same_when_stored(&plan, bytes.len()) => {
                        println!("{place}: another plan after it was stored");
                        count.failed += 1;
                    }
                    Ok(_) | Err(PlanError::CoreModule) => count.decoded += 1,
                    Err(error) => {
                        println!("{place}: valid, but: {error}");
                        count.failed += 1;
                    }
                }
            }
            WastDirective::AssertInvalid {
                mut module,
                message,
                ..
            }
            | WastDirective::AssertMalformed {
                mut module,
                message,
                ..
            } => match module.encode().map(|bytes| {
                let kept = seeds.keep(&place, &bytes);
                kept.map(|()| Plan::new(&bytes))
            }) {
                Ok(Err(error)) => return Err(error.into()),
                // Text that is malformed never becomes a binary.
                Err(_) => count.refused += 1,
                Ok(Ok(Err(PlanError::Bug { what, .. }))) => {
                    println!("{place}: validation let it pass, then {what} was missing");
                    count.failed += 1;
                }
                Ok(Ok(Err(error))) => {
                    count.refused += 1;
                    if !error.to_string().contains(message) {
                        println!("{place}: refused, expected: {message}, found: {error}");
                        count.reworded += 1;
                    }
                }
                Ok(Ok(Ok(_))) => {
                    println!("{place}: accepted, but: {message}");
                    count.failed += 1;
                }
            },
            _ => {}
        }
    }
    Ok(())
}

/// Whether a plan can be read from what it is stored as, if it can be stored.
fn is_same_when_stored(plan: &Plan, length: usize) -> bool {
    plan.to_bytes().is_none_or(|bytes| {
        let read = Plan::from_bytes(&bytes, length);
        read.is_ok_and(|read| read.to_bytes().as_ref() == Some(&bytes))
    })
}

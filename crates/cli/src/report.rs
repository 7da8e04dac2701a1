//! What is said to the user on standard error: short, and coloured on a terminal.

use crate::status::Failure;
use anstyle::{AnsiColor, Style};
use std::fmt::Write as _;
use std::io::{self, Write as _};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Prints a failure with its causes and what to do.
pub fn failure(failure: &Failure) {
    let mut text = String::new();
    let mut causes = failure.error.chain().map(|cause| cause.to_string());
    let first = causes.next().unwrap_or_default();
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{ERROR}error:{ERROR:#} {}", indented(&first));
    let mut said = first;
    for cause in causes {
        // Many errors repeat their cause in their own words; each thing is said once.
        if !said.contains(&cause) {
            let _ = writeln!(text, "  {DIM}because:{DIM:#} {}", indented(&cause));
            said = cause;
        }
    }
    if let Some(help) = &failure.help {
        let _ = writeln!(text, "  {NOTE}help:{NOTE:#} {}", indented(help));
    }
    print(&text);
}

/// Prints where a guest was when it stopped, innermost function first.
pub fn backtrace(frames: impl IntoIterator<Item = String>) {
    let mut text = String::new();
    for (position, frame) in frames.into_iter().enumerate() {
        let word = if position == 0 { "in" } else { "by" };
        let _ = writeln!(text, "  {DIM}{word}{DIM:#} {frame}");
    }
    print(&text);
}

/// Whoever reads standard error may have gone; there is nobody left to tell.
fn print(text: &str) {
    let _ = anstream::AutoStream::auto(io::stderr()).write_all(text.as_bytes());
}

/// Continuation lines stand below the first word.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

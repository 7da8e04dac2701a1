//! What is printed of a conformance run, and the counts.

use super::script::{Directive, Verdict};
use anstyle::{AnsiColor, Style};
use std::io::Write as _;
use std::ops::AddAssign;
use std::path::Path;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// How many directives passed and failed, and how many files had a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Directives that did what the script says.
    pub passed: u64,
    /// Directives that did not.
    pub failed: u64,
    /// Files without a failure.
    pub files_passed: u64,
    /// Files with one.
    pub files_failed: u64,
}

impl Tally {
    /// Counts a directive.
    pub fn count(&mut self, directive: &Directive) {
        match directive.verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed(_) => self.failed += 1,
        }
    }
}

/// Adds the counts of one file.
impl AddAssign for Tally {
    fn add_assign(&mut self, file: Self) {
        self.passed += file.passed;
        self.failed += file.failed;
        match file.failed {
            0 => self.files_passed += 1,
            _ => self.files_failed += 1,
        }
    }
}

/// Prints to standard output as the run goes on.
pub struct Report {
    out: anstream::Stdout,
    verbose: bool,
    file: String,
}

impl Report {
    /// `verbose`: a line for every directive, not only for those that fail.
    pub fn new(verbose: bool) -> Self {
        Self {
            out: anstream::stdout(),
            verbose,
            file: String::new(),
        }
    }

    /// A script begins.
    pub fn begin(&mut self, file: &Path, engine: &str) {
        self.file = format!("{} ({engine})", file.display());
    }

    /// A directive is done.
    pub fn directive(&mut self, directive: &Directive) {
        let Directive {
            line,
            name,
            verdict,
        } = directive;
        match verdict {
            Verdict::Passed if self.verbose => {
                self.line(format_args!("  {GOOD}ok{GOOD:#} line {line}: {name}"));
            }
            Verdict::Passed => {}
            Verdict::Failed(error) => {
                let reason = format!("{error:#}").replace('\n', "\n      ");
                let file = self.file.clone();
                self.line(format_args!(
                    "  {BAD}FAILED{BAD:#} {file} line {line}: {name}: {reason}"
                ));
            }
        }
    }

    /// The script could not be run to its end.
    pub fn unreadable(&mut self, error: &anyhow::Error) {
        let file = self.file.clone();
        self.line(format_args!("  {BAD}FAILED{BAD:#} {file}: {error:#}"));
    }

    /// A script is done.
    pub fn end(&mut self, tally: &Tally) {
        let Tally { passed, failed, .. } = *tally;
        let (style, word) = if failed == 0 {
            (GOOD, "ok")
        } else {
            (BAD, "FAILED")
        };
        let file = std::mem::take(&mut self.file);
        self.line(format_args!(
            "test {file} ... {style}{word}{style:#} ({passed} passed, {failed} failed)"
        ));
    }

    /// All scripts are done.
    pub fn total(&mut self, tally: &Tally) {
        let Tally {
            passed,
            failed,
            files_passed,
            files_failed,
        } = *tally;
        self.line(format_args!(
            "\n{passed} passed, {failed} failed; files: {files_passed} passed, {files_failed} failed"
        ));
    }

    /// Whoever reads standard output may have gone; the exit code still tells.
    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.out, "{text}");
    }
}

//! Counts files, lines, words and bytes by kind of file, in whole trees.
//!
//! `tally [PATH...]` walks each path (a file or a folder); without one, or for `-`, it reads standard input. Hidden
//! entries are left out. What cannot be read is named on standard error, and the exit code is then 1.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

#[derive(Default)]
struct Count {
    files: u64,
    lines: u64,
    words: u64,
    bytes: u64,
}

#[derive(Default)]
struct Tally {
    kinds: BTreeMap<String, Count>,
    failures: u64,
}

impl Tally {
    fn walk(&mut self, path: &Path) {
        let result = fs::metadata(path).and_then(|metadata| {
            if metadata.is_dir() {
                self.folder(path)
            } else {
                let kind = path.extension().unwrap_or_default().to_string_lossy();
                self.read(&kind, File::open(path)?)
            }
        });
        if let Err(error) = result {
            eprintln!("tally: {}: {error}", path.display());
            self.failures += 1;
        }
    }

    fn folder(&mut self, path: &Path) -> io::Result<()> {
        let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(|entry| entry.file_name());
        for entry in entries {
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            // Links are not followed, so a cycle of them cannot keep the walk going.
            if !hidden && !entry.file_type()?.is_symlink() {
                self.walk(&entry.path());
            }
        }
        Ok(())
    }

    fn read(&mut self, kind: &str, mut source: impl Read) -> io::Result<()> {
        let count = self.kinds.entry(kind.to_owned()).or_default();
        count.files += 1;
        let mut buffer = vec![0; 64 * 1024];
        let mut in_word = false;
        loop {
            let read = match source.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            count.bytes += read as u64;
            for &byte in &buffer[..read] {
                count.lines += u64::from(byte == b'\n');
                let space = byte.is_ascii_whitespace();
                count.words += u64::from(!in_word && !space);
                in_word = !space;
            }
        }
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{:<12} {:>8} {:>10} {:>10} {:>12}",
            "kind", "files", "lines", "words", "bytes"
        )?;
        let mut total = Count::default();
        for (kind, count) in &self.kinds {
            total.files += count.files;
            total.lines += count.lines;
            total.words += count.words;
            total.bytes += count.bytes;
            row(out, if kind.is_empty() { "(none)" } else { kind }, count)?;
        }
        row(out, "total", &total)?;
        out.flush()
    }
}

fn row(out: &mut impl Write, name: &str, count: &Count) -> io::Result<()> {
    let Count { files, lines, words, bytes } = count;
    writeln!(out, "{name:<12} {files:>8} {lines:>10} {words:>10} {bytes:>12}")
}

fn main() -> ExitCode {
    let mut tally = Tally::default();
    let mut paths: Vec<_> = std::env::args_os().skip(1).collect();
    if paths.is_empty() {
        paths.push("-".into());
    }
    for path in &paths {
        if path == "-" {
            if let Err(error) = tally.read("(stdin)", io::stdin().lock()) {
                eprintln!("tally: standard input: {error}");
                tally.failures += 1;
            }
        } else {
            tally.walk(Path::new(path));
        }
    }
    if let Err(error) = tally.print(&mut io::stdout().lock()) {
        eprintln!("tally: standard output: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::from(u8::from(tally.failures > 0))
}

//! Percentiles, and how often it took how long.

use std::fmt::Write as _;
use std::time::Duration;
use tidegate::EngineKind;

/// Bounds of the columns of the second table, in microseconds.
const BOUNDS: [u128; 9] = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000];
/// What is to hold of each row: 99 of 100, and all.
const BARS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(5));

pub struct Report {
    times: u32,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    /// Whether it is no interrupt at all.
    is_comparison: bool,
    /// In order.
    took: Vec<Duration>,
}

impl Report {
    pub fn new(times: u32) -> Self {
        Self {
            times,
            rows: Vec::new(),
        }
    }

    pub fn row(&mut self, kind: EngineKind, name: &str, took: Vec<Duration>) {
        self.add(format!("{}: {name}", kind.name()), false, took);
    }

    /// A row of what is no interrupt.
    pub fn comparison(&mut self, name: &str, took: Vec<Duration>) {
        self.add(format!("for comparison: {name}"), true, took);
    }

    fn add(&mut self, name: String, is_comparison: bool, mut took: Vec<Duration>) {
        took.sort_unstable();
        eprintln!("{name}");
        self.rows.push(Row {
            name,
            is_comparison,
            took,
        });
    }

    /// The tables.
    pub fn text(&self) -> String {
        let mut text = String::from(
            "| the guest is in | median | p99 | p99.9 | longest |\n| --- | ---: | ---: | ---: | ---: |\n",
        );
        for row in &self.rows {
            let at = |part| row.at(part).as_secs_f64() * 1e6;
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {:.0} | {:.0} | {:.0} | {:.0} |",
                row.name,
                at(0.5),
                at(0.99),
                at(0.999),
                at(1.0)
            );
        }
        text.push_str("\n| how often, up to |");
        for bound in BOUNDS {
            let _ = write!(text, " {bound} µs |");
        }
        text.push_str(" longer |\n| --- |");
        text.push_str(&" ---: |".repeat(BOUNDS.len() + 1));
        text.push('\n');
        for row in &self.rows {
            let _ = write!(text, "| {} |", row.name);
            for count in row.counts() {
                match count {
                    0 => text.push_str(" |"),
                    _ => {
                        let _ = write!(text, " {count} |");
                    }
                }
            }
            text.push('\n');
        }
        let missed: Vec<&str> = self
            .rows
            .iter()
            .filter(|row| !row.is_comparison)
            .filter(|row| row.at(0.99) > BARS.0 || row.at(1.0) > BARS.1)
            .map(|row| &*row.name)
            .collect();
        let _ = match &missed[..] {
            [] => writeln!(
                text,
                "\n99 of 100 come within {:?}, and all within {:?}, in each row.",
                BARS.0, BARS.1
            ),
            _ => writeln!(
                text,
                "\n99 of 100 within {:?}, and all within {:?}, is missed in: {}.",
                BARS.0,
                BARS.1,
                missed.join("; ")
            ),
        };
        text
    }

    /// The tables with what they are.
    pub fn document(&self) -> String {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let system = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        format!(
            "# How long an interrupt takes\n\n\
             From the request, made by another thread at a random moment, until control is back with the embedder: microseconds, {} requests in each row, on {cores} \
             cores of a virtual machine (Linux {}). Written by\n\n\
             ```sh\ncargo run --release -p tidegate-wasi --example interrupt_latency -- {} --write docs/interrupt-latency.md\n```\n\n{}",
            self.times,
            system.trim(),
            self.times,
            self.text()
        )
    }
}

impl Row {
    /// The time within which this part of the requests was met.
    fn at(&self, part: f64) -> Duration {
        let index = (self.took.len() as f64 * part).ceil() as usize;
        let last = self.took.len().saturating_sub(1);
        let found = self.took.get(index.saturating_sub(1).min(last));
        found.copied().unwrap_or_default()
    }

    fn counts(&self) -> [usize; BOUNDS.len() + 1] {
        let mut counts = [0; BOUNDS.len() + 1];
        for time in &self.took {
            let micros = time.as_micros();
            counts[BOUNDS.iter().take_while(|bound| micros > **bound).count()] += 1;
        }
        counts
    }
}

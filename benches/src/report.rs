//! The report: a line a row, and all of them as a table and a plot.

use crate::measure::{Effort, Timing};
use anyhow::Result;
use std::fmt::Write as _;
use std::path::Path;

/// A row with its figures.
pub struct Line {
    /// The heading it stands under.
    pub group: &'static str,
    /// What is done.
    pub name: String,
    /// On Tidegate.
    pub ours: Timing,
    /// On Wasmtime.
    pub peer: Timing,
    /// What no runtime could do better.
    pub limit: Option<Timing>,
    /// The most that it may cost.
    pub budget: Option<Budget>,
}

/// What a row may cost, as set beside what Wasmtime's cost was then. Machines differ, so that one kept in proportion is kept.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Nanoseconds, or bytes.
    most: f64,
    /// What Wasmtime's was.
    peer: f64,
    /// What of both no runtime could do without, if that is most of it.
    copy: Option<f64>,
}

impl Budget {
    /// At most this, where Wasmtime took that.
    pub const fn new(most: f64, peer: f64) -> Self {
        let copy = None;
        Self { most, peer, copy }
    }

    /// Most of it was the copy that is the row's limit, which took so long: what comes on top of that is the runtime's.
    pub const fn with_copy(self, copy: f64) -> Self {
        Self {
            copy: Some(copy),
            ..self
        }
    }

    /// The most in proportion to Wasmtime's.
    fn ratio(self) -> f64 {
        self.most / self.peer
    }

    /// What is left without the copy.
    fn without_copy(self) -> Option<Self> {
        let copy = self.copy?;
        Some(Self::new(self.most - copy, self.peer - copy))
    }
}

/// Whether a budget is met.
enum Verdict {
    Met,
    /// The figure is above it, in proportion to Wasmtime's it is not.
    MetByRatio,
    /// What comes on top of the copy is not, by itself or in proportion.
    MetBesideCopy,
    Missed,
}

impl Verdict {
    fn mark(&self) -> &'static str {
        match self {
            Self::Met => "✓",
            Self::MetByRatio => "✓ by ratio",
            Self::MetBesideCopy => "✓ beside the copy",
            Self::Missed => "✗",
        }
    }
}

impl Line {
    /// Ours over Wasmtime's.
    fn ratio(&self) -> f64 {
        self.ours.median / self.peer.median
    }

    /// What is to be said of its budget, if it has one. A ratio is compared as it is shown, with two decimals.
    fn verdict(&self) -> Option<(Budget, Verdict)> {
        let budget = self.budget?;
        let hundredths = |ratio: f64| (ratio * 100.0).round();
        let verdict = if self.ours.median <= budget.most {
            Verdict::Met
        } else if hundredths(self.ratio()) <= hundredths(budget.ratio()) {
            Verdict::MetByRatio
        } else if self.is_met_beside_copy(budget).unwrap_or(false) {
            Verdict::MetBesideCopy
        } else {
            Verdict::Missed
        };
        Some((budget, verdict))
    }

    /// Whether what comes on top of the copy is within what the budget leaves for it, or as small a part of what Wasmtime adds.
    fn is_met_beside_copy(&self, budget: Budget) -> Option<bool> {
        let (budget, copy) = (budget.without_copy()?, self.limit?.median);
        let (ours, peer) = (self.ours.median - copy, self.peer.median - copy);
        Some(ours <= budget.most || ours <= budget.ratio() * peer)
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let budget = self.verdict().map(|(budget, verdict)| {
            let most = shown(self.group, budget.most);
            format!("  budget {most}, {:.2} {}", budget.ratio(), verdict.mark())
        });
        format!(
            "{:14} {:44} {:>10} {:>10}  {:>5.2}  (min {:>10} {:>10}){}",
            self.group,
            self.name,
            shown(self.group, self.ours.median),
            shown(self.group, self.peer.median),
            self.ratio(),
            shown(self.group, self.ours.min),
            shown(self.group, self.peer.min),
            budget.unwrap_or_default()
        )
    }

    /// For a table.
    fn markdown(&self) -> String {
        let shown = |figure| shown(self.group, figure);
        let limit = self.limit.map(|limit| shown(limit.median));
        let budget = self.verdict().map(|(budget, verdict)| {
            let most = shown(budget.most);
            format!("{most}, {:.2} {}", budget.ratio(), verdict.mark())
        });
        format!(
            "| {} | {} | {} | {:.2} | {} | {} |\n",
            self.name,
            shown(self.ours.median),
            shown(self.peer.median),
            self.ratio(),
            limit.unwrap_or_default(),
            budget.unwrap_or_default()
        )
    }

    /// For the table of budgets.
    fn judged(&self) -> Option<String> {
        let shown = |figure| shown(self.group, figure);
        let (budget, verdict) = self.verdict()?;
        Some(format!(
            "| {}: {} | {} of {} | {:.2} | {} of {} | {:.2} | {} |\n",
            self.group,
            self.name,
            shown(budget.most),
            shown(budget.peer),
            budget.ratio(),
            shown(self.ours.median),
            shown(self.peer.median),
            self.ratio(),
            verdict.mark()
        ))
    }
}

/// Writes the table to `path`, and the plot beside it.
///
/// # Errors
/// The files cannot be written.
pub fn write(path: &Path, lines: &[Line], effort: Effort) -> Result<()> {
    let mut out = String::new();
    writeln!(out, "# Benchmarks\n")?;
    writeln!(
        out,
        "Tidegate beside Wasmtime 48 with its component model; the ratio counts, not the time (smaller is better for Tidegate)."
    )?;
    writeln!(
        out,
        "Generated by `cargo run --release --manifest-path benches/Cargo.toml -- --write docs/benchmarks.md`: medians of {} samples of {} ms, taken in turns in one process; where many guests wait (scale), each runtime has a process of its own.\n",
        effort.samples,
        effort.sample.as_millis()
    )?;
    writeln!(
        out,
        "Machine: {}. Settings of both: pooling allocator, otherwise defaults.\n",
        machine()
    )?;
    writeln!(
        out,
        "WASI: Wasmtime's is `wasmtime-wasi`, told to block where the guest runs (`allow_blocking_current_thread`), as `wasmtime run` does. \
         Standard input and output are in memory, so that what is measured is the way to them. \
         `sock_recv` and `sock_send` of WASI 0.1 have no row: `wasmtime-wasi` offers no sockets there. \
         [Whole commands](commands.md) and [interrupts](interrupt-latency.md) have pages of their own.\n"
    )?;
    writeln!(out, "![Ratios]({})\n", plot_name(path))?;
    for (group, lines) in by_group(lines, |line| line.group) {
        writeln!(
            out,
            "\n## {group}\n\n| work | Tidegate | Wasmtime | ratio | limit | budget |\n| --- | ---: | ---: | ---: | ---: | ---: |"
        )?;
        lines.iter().for_each(|line| out.push_str(&line.markdown()));
    }
    writeln!(
        out,
        "\n## Budgets\n\nEach was set beside Wasmtime's figure on a machine that was faster. It is met if the figure is within it, or the ratio to Wasmtime's figure \
         of this run is (by ratio), or, where most of it is a copy of memory that this machine takes longer for, what comes on top of that (beside the copy). Those that are not met are explained in [decisions/budgets.md](decisions/budgets.md).\n\n\
         | work | budget | ratio | this run | ratio | |\n| --- | ---: | ---: | ---: | ---: | --- |"
    )?;
    lines
        .iter()
        .filter_map(Line::judged)
        .for_each(|row| out.push_str(&row));
    std::fs::write(path, out)?;
    std::fs::write(path.with_file_name(plot_name(path)), plot(lines)?)?;
    Ok(())
}

/// Rows under their headings, in the order of the first row of each: rows are measured in another.
pub fn by_group<T>(rows: &[T], group: impl Fn(&T) -> &'static str) -> Vec<(&'static str, Vec<&T>)> {
    let mut groups: Vec<(&'static str, Vec<&T>)> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|(name, _)| *name == group(row)) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((group(row), vec![row])),
        }
    }
    groups
}

fn plot_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    format!("{stem}.svg")
}

/// Bars of the ratios on a logarithmic scale, with a line at 1.
fn plot(lines: &[Line]) -> Result<String> {
    const ROW: usize = 18;
    const LABELS: f64 = 520.0;
    const DECADE: f64 = 160.0;
    let height = lines.len() * ROW + 40;
    let at = |ratio: f64| LABELS + 2.0 * DECADE + ratio.log10().clamp(-2.0, 1.0) * DECADE;
    let mut out = String::new();
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="1040" height="{height}" font-family="sans-serif" font-size="12">"#
    )?;
    writeln!(
        out,
        r#"<rect width="1040" height="{height}" fill="white"/>"#
    )?;
    for ratio in [0.01, 0.1, 1.0, 10.0] {
        let x = at(ratio);
        let colour = if ratio == 1.0 { "black" } else { "lightgray" };
        writeln!(
            out,
            r#"<line x1="{x}" x2="{x}" y1="24" y2="{}" stroke="{colour}"/><text x="{x}" y="16" text-anchor="middle">{ratio}</text>"#,
            height - 8
        )?;
    }
    for (i, line) in lines.iter().enumerate() {
        let (y, x) = (28 + i * ROW, at(line.ratio()));
        let (left, width) = (x.min(at(1.0)), (x - at(1.0)).abs());
        let colour = if line.ratio() <= 1.0 {
            "steelblue"
        } else {
            "firebrick"
        };
        writeln!(
            out,
            r#"<text x="{}" y="{}" text-anchor="end">{}: {}</text>"#,
            LABELS - 8.0,
            y + 12,
            escape(line.group),
            escape(&line.name)
        )?;
        writeln!(
            out,
            r#"<rect x="{left:.1}" y="{y}" width="{width:.1}" height="14" fill="{colour}"/>"#
        )?;
    }
    out.push_str("</svg>\n");
    Ok(out)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('`', "")
}

pub fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {cores} cores")
}

/// A figure in the unit of its heading.
fn shown(group: &str, figure: f64) -> String {
    match group.ends_with("bytes each") {
        true => format!("{:.1} KiB", figure / 1024.0),
        false => time(figure),
    }
}

fn time(ns: f64) -> String {
    match ns {
        ns if ns < 10.0 => format!("{ns:.1} ns"),
        ns if ns < 10_000.0 => format!("{ns:.0} ns"),
        ns if ns < 10_000_000.0 => format!("{:.1} µs", ns / 1e3),
        ns => format!("{:.1} ms", ns / 1e6),
    }
}

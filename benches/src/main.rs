//! Benchmarks of Tidegate beside Wasmtime: one process, the same component bytes, the same settings, results compared before timing.
#![deny(unsafe_code)]

mod instructions;
mod large;
mod limits;
mod measure;
mod ours;
mod peer;
mod report;
mod rows;
mod wasi;
mod ways;

use anyhow::{Context, Result, ensure};
use measure::{Effort, Timing, measure};
use report::Line;
use std::time::Duration;

fn main() -> Result<()> {
    let options = Options::parse()?;
    if options.counts {
        measure::use_small_pools();
    }
    let mut lines = Vec::new();
    for plan in rows::all(options.guests) {
        let name = format!("{}: {}", plan.group, plan.name);
        if !options.wants(&name) {
            continue;
        }
        if let Some((which, what)) = options.only {
            let mut subject = plan.make_one(which).with_context(|| name.clone())?;
            match what {
                Task::Run(times) => println!("{name}: {}", subject.run(times)?),
                Task::Time => {
                    let checksum = subject.checksum()?;
                    let timing = measure(&mut [&mut subject], options.effort)?[0];
                    println!("{name}: {checksum} {} {}", timing.median, timing.min);
                }
            }
            continue;
        }
        let line = match plan.source() {
            rows::Source::Turns => in_turns(plan, &options),
            source => apart(&plan, source, &name, &options),
        };
        let line = line.with_context(|| name)?;
        println!("{}", line.text());
        lines.push(line);
    }
    if let Some(path) = options.write {
        report::write(&path, &lines, options.effort)?;
    }
    if let Some(path) = options.instructions {
        instructions::write(&path, options.guests)?;
    }
    Ok(())
}

/// Times both runtimes in this process.
fn in_turns(plan: rows::Plan, options: &Options) -> Result<Line> {
    let mut row = plan.make()?;
    let (ours, theirs) = (row.ours.checksum()?, row.peer.checksum()?);
    ensure!(ours == theirs, "Tidegate gave {ours}, Wasmtime {theirs}");
    let mut subjects = vec![&mut row.ours, &mut row.peer];
    subjects.extend(row.limit.as_mut());
    let timings = measure(&mut subjects, options.effort)?;
    Ok(Line {
        group: row.group,
        name: row.name,
        ours: timings[0],
        peer: timings[1],
        limit: timings.get(2).copied(),
        budget: row.budget,
    })
}

/// Has each runtime's figures taken in a process of its own.
fn apart(plan: &rows::Plan, source: rows::Source, name: &str, options: &Options) -> Result<Line> {
    let figures = |which: Which| {
        let guests = options.guests.to_string();
        let mut args = vec!["--guests", &guests];
        if options.short {
            args.push("--short");
        }
        match (source, which) {
            (rows::Source::Figure, Which::Ours) => args.extend(["--ours", "1"]),
            (rows::Source::Figure, Which::Peer) => args.extend(["--peer", "1"]),
            (_, Which::Ours) => args.push("--time-ours"),
            (_, Which::Peer) => args.push("--time-peer"),
        }
        run_self(&args, name)
    };
    let (ours, peer) = (figures(Which::Ours)?, figures(Which::Peer)?);
    let timing = |figures: &[f64]| match *figures {
        [_, median, min] => Ok(Timing { median, min }),
        [figure] => Ok(Timing {
            median: figure,
            min: figure,
        }),
        _ => anyhow::bail!("not as many figures as there should be: {figures:?}"),
    };
    ensure!(
        source == rows::Source::Figure || ours.first() == peer.first(),
        "Tidegate gave {ours:?}, Wasmtime {peer:?}"
    );
    Ok(Line {
        group: plan.group,
        name: plan.name.clone(),
        ours: timing(&ours)?,
        peer: timing(&peer)?,
        limit: None,
        budget: plan.budget,
    })
}

/// What this program prints for a row, run with more arguments.
fn run_self(args: &[&str], name: &str) -> Result<Vec<f64>> {
    let output = std::process::Command::new(std::env::current_exe()?)
        .args(args)
        .arg(format!("={name}"))
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{args:?}: {errors}");
    let text = String::from_utf8_lossy(&output.stdout);
    let figures = text.strip_prefix(&format!("{name}: "));
    let figures = figures.with_context(|| format!("{args:?}: {text}{errors}"))?;
    let figures = figures.split_whitespace().map(str::parse);
    Ok(figures.collect::<Result<_, _>>()?)
}

/// One of two runtimes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Ours,
    Peer,
}

/// What one runtime does alone.
#[derive(Clone, Copy)]
enum Task {
    /// The work so many times, untimed: for a profiler or a counter of instructions.
    Run(u64),
    /// It is timed.
    Time,
}

struct Options {
    effort: Effort,
    short: bool,
    /// One runtime, rather than both.
    only: Option<(Which, Task)>,
    /// The most guests at once.
    guests: usize,
    /// Whether a counter of instructions runs this, which has less address space to give.
    counts: bool,
    filters: Vec<String>,
    write: Option<std::path::PathBuf>,
    /// Where the counts of instructions go.
    instructions: Option<std::path::PathBuf>,
}

impl Options {
    fn parse() -> Result<Self> {
        let mut options = Self {
            effort: Effort {
                sample: Duration::from_millis(15),
                samples: 21,
            },
            short: false,
            only: None,
            guests: 10_000,
            counts: false,
            filters: Vec::new(),
            write: None,
            instructions: None,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--short" => {
                    options.short = true;
                    options.effort = Effort {
                        sample: Duration::from_millis(5),
                        samples: 5,
                    }
                }
                "--ours" | "--peer" => {
                    let which = match arg == "--ours" {
                        true => Which::Ours,
                        false => Which::Peer,
                    };
                    let times = args.next().and_then(|times| times.parse().ok());
                    options.only = Some((which, Task::Run(times.context("how many times?")?)));
                }
                "--time-ours" => options.only = Some((Which::Ours, Task::Time)),
                "--time-peer" => options.only = Some((Which::Peer, Task::Time)),
                "--guests" => {
                    let guests = args.next().and_then(|guests| guests.parse().ok());
                    options.guests = guests.context("how many guests?")?;
                }
                "--counts" => options.counts = true,
                "--instructions" => {
                    let path = args.next().context("--instructions wants a file")?;
                    options.instructions = Some(path.into());
                }
                "--write" => {
                    options.write = Some(args.next().context("--write wants a file")?.into())
                }
                _ => options.filters.push(arg),
            }
        }
        Ok(options)
    }

    fn wants(&self, name: &str) -> bool {
        if self.instructions.is_some() {
            return false;
        }
        self.filters.is_empty()
            || self
                .filters
                .iter()
                .any(|filter| match filter.strip_prefix('=') {
                    Some(exact) => name == exact,
                    None => name.contains(filter.as_str()),
                })
    }
}

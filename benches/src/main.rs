//! Benchmarks of Tidegate beside Wasmtime: one process, the same component bytes, the same settings, results compared before timing.
#![deny(unsafe_code)]

mod limits;
mod measure;
mod ours;
mod peer;
mod report;
mod rows;
mod wasi;

use anyhow::{Context, Result, ensure};
use measure::{Effort, Timing, measure};
use report::Line;
use std::time::Duration;

fn main() -> Result<()> {
    let options = Options::parse()?;
    let mut lines = Vec::new();
    for plan in rows::all() {
        let name = format!("{}: {}", plan.group, plan.name);
        if !options.wants(&name) {
            continue;
        }
        if plan.group == rows::MEMORY && options.only.is_none() {
            let line = Line {
                ours: in_own_process("--ours", &name)?,
                peer: in_own_process("--peer", &name)?,
                limit: None,
                budget: plan.budget,
                group: plan.group,
                name: plan.name,
            };
            println!("{}", line.text());
            lines.push(line);
            continue;
        }
        let mut row = plan.make().with_context(|| name.clone())?;
        if let Some((which, times)) = options.only {
            let subject = match which {
                Which::Ours => &mut row.ours,
                Which::Peer => &mut row.peer,
            };
            println!("{name}: {}", subject.run(times)?);
            continue;
        }
        let (ours, theirs) = (row.ours.checksum()?, row.peer.checksum()?);
        ensure!(
            ours == theirs,
            "{name}: Tidegate gave {ours}, Wasmtime {theirs}"
        );
        let mut subjects = vec![&mut row.ours, &mut row.peer];
        subjects.extend(row.limit.as_mut());
        let timings = measure(&mut subjects, options.effort).with_context(|| name.clone())?;
        let line = Line {
            group: row.group,
            name: row.name,
            ours: timings[0],
            peer: timings[1],
            limit: timings.get(2).copied(),
            budget: row.budget,
        };
        println!("{}", line.text());
        lines.push(line);
    }
    if let Some(path) = options.write {
        report::write(&path, &lines, options.effort)?;
    }
    Ok(())
}

/// A figure that is only right in a process of its own.
fn in_own_process(which: &str, name: &str) -> Result<Timing> {
    let output = std::process::Command::new(std::env::current_exe()?)
        .args([which, "1", &format!("={name}")])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = text
        .rsplit(' ')
        .next()
        .and_then(|last| last.trim().parse().ok());
    let figure: f64 = figure.with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("{name}: {which}: {errors}")
    })?;
    Ok(Timing {
        median: figure,
        min: figure,
    })
}

/// One of two runtimes.
#[derive(Clone, Copy)]
enum Which {
    Ours,
    Peer,
}

struct Options {
    effort: Effort,
    /// Nothing is timed: one runtime does the work so many times, for a profiler or a counter of instructions.
    only: Option<(Which, u64)>,
    filters: Vec<String>,
    write: Option<std::path::PathBuf>,
}

impl Options {
    fn parse() -> Result<Self> {
        let mut options = Self {
            effort: Effort {
                sample: Duration::from_millis(20),
                samples: 21,
            },
            only: None,
            filters: Vec::new(),
            write: None,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--short" => {
                    options.effort = Effort {
                        sample: Duration::from_millis(5),
                        samples: 5,
                    }
                }
                "--ours" | "--peer" => {
                    let which = if arg == "--ours" {
                        Which::Ours
                    } else {
                        Which::Peer
                    };
                    let times = args.next().and_then(|times| times.parse().ok());
                    options.only = Some((which, times.context("how many times?")?));
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

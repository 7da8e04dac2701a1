//! Timing: subjects of one row take turns, so that whatever else the machine does hits all of them alike.

use anyhow::{Result, anyhow};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Something to be timed.
pub struct Subject {
    run: Box<dyn FnMut(u64) -> Result<u64>>,
}

impl Subject {
    /// From a function that does the work so many times, and gives a checksum of what the work gave.
    pub fn new<E: std::fmt::Display>(mut run: impl FnMut(u64) -> Result<u64, E> + 'static) -> Self {
        Self {
            run: Box::new(move |times| run(times).map_err(|error| anyhow!("{error:#}"))),
        }
    }

    /// The checksum of doing it a few times.
    ///
    /// # Errors
    /// What the work gives.
    pub fn checksum(&mut self) -> Result<u64> {
        self.run(3)
    }

    /// Does the work so many times; gives its checksum.
    ///
    /// # Errors
    /// What the work gives.
    pub fn run(&mut self, times: u64) -> Result<u64> {
        (self.run)(times)
    }

    fn time(&mut self, times: u64) -> Result<Duration> {
        let start = Instant::now();
        std::hint::black_box((self.run)(times)?);
        Ok(start.elapsed())
    }

    /// How many times it can be done in about `wanted`.
    fn calibrate(&mut self, wanted: Duration) -> Result<u64> {
        let mut times = 1;
        loop {
            let took = self.time(times)?;
            if took * 2 > wanted || times >= 1 << 30 {
                let scale = wanted.as_secs_f64() / took.as_secs_f64().max(1e-9);
                return Ok(((times as f64 * scale) as u64).max(1));
            }
            times *= if took * 16 < wanted { 8 } else { 2 };
        }
    }
}

/// How long and how often to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The length of a sample.
    pub sample: Duration,
    /// Samples of each subject.
    pub samples: usize,
}

static SMALL_POOLS: AtomicBool = AtomicBool::new(false);

/// Has engines reserve less address space than they do by themselves.
pub fn use_small_pools() {
    SMALL_POOLS.store(true, Ordering::Relaxed);
}

/// For how many instances, tables and stacks an engine should have room, and for an eighth as many memories, unless as many as by itself.
pub fn pool_size() -> Option<u32> {
    SMALL_POOLS.load(Ordering::Relaxed).then_some(64)
}

/// Processor time that this process has taken so far, in nanoseconds.
pub fn processor_time() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let times = tasks.flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    times.sum()
}

/// Bytes of memory that this process has, and that its page tables take.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok())
    };
    (kib("VmRSS:").unwrap_or_default() + kib("VmPTE:").unwrap_or_default()) << 10
}

/// Nanoseconds of doing the work once, or bytes.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The middle sample.
    pub median: f64,
    /// The fastest sample.
    pub min: f64,
}

/// Times the subjects in turns.
///
/// # Errors
/// What the work gives.
pub fn measure(subjects: &mut [&mut Subject], effort: Effort) -> Result<Vec<Timing>> {
    let times = subjects
        .iter_mut()
        .map(|subject| subject.calibrate(effort.sample))
        .collect::<Result<Vec<_>>>()?;
    let mut samples = vec![Vec::with_capacity(effort.samples); subjects.len()];
    for _ in 0..effort.samples {
        for ((subject, times), samples) in subjects.iter_mut().zip(&times).zip(&mut samples) {
            let took = subject.time(*times)?;
            samples.push(took.as_secs_f64() * 1e9 / *times as f64);
        }
    }
    let timing = |mut samples: Vec<f64>| {
        samples.sort_by(f64::total_cmp);
        Timing {
            median: samples[samples.len() / 2],
            min: samples[0],
        }
    };
    Ok(samples.into_iter().map(timing).collect())
}

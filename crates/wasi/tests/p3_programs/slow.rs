//! A reader a thousand times slower than its writer, on every kind of endpoint: the writer is held back, the host keeps nothing, and nothing is lost.
//!
//! The writer is an input that always has bytes, or a thread that always writes. It is first read as fast as it goes, which tells its rate, then at a
//! thousandth of that, and at last to the end. At no time may it be further ahead of the reader than what the endpoint itself (a pipe, the kernel's
//! buffers of a connection), the guest's own buffer and one turn of the host hold together.
//!
//! `TIDEGATE_SLOW_SECONDS=60 cargo test --release -p tidegate-wasi --test p3_programs slow -- --nocapture` does it for a minute, and prints what came of it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use tidegate::EngineKind;
use tidegate_wasi::io::{
    AsyncInput, AsyncOutput, FdOutput, Input, Output, Read, Readiness, pipe, ready_now,
};
use tidegate_wasi::net::Policy;
use tidegate_wasi::{WasiCtx, WasiCtxBuilder};

use crate::echo::address;
use crate::{ENGINES, run};

/// What the pipes in these tests hold.
const PIPE: usize = 64 * 1024;
/// What guests (two of them in the pair) and the host have in hand.
const IN_HAND: u64 = 1 << 20;
/// What the kernel keeps of two connections: its default maxima for both directions.
const CONNECTIONS: u64 = 32 << 20;

/// How many times slower the reader is.
const SLOWER: f64 = 1000.0;

/// A writer: gives bytes without an end until it is told to stop.
#[derive(Clone, Default)]
struct Source {
    given: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

/// Differs from position to position over any distance that could be mixed up.
fn byte(position: u64) -> u8 {
    (position ^ (position >> 8) ^ (position >> 16) ^ (position >> 24)) as u8
}

fn fill(buf: &mut [u8], position: u64) {
    for (byte_of, position) in buf.iter_mut().zip(position..) {
        *byte_of = byte(position);
    }
}

impl Source {
    fn given(&self) -> u64 {
        self.given.load(Ordering::Acquire)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

impl Input for Source {
    fn try_read(&mut self, buf: &mut [u8]) -> Read {
        if self.is_stopped() {
            return Read::Closed;
        }
        fill(buf, self.given());
        self.given.fetch_add(buf.len() as u64, Ordering::AcqRel);
        Read::Bytes(buf.len())
    }

    fn ready(&mut self) -> Readiness {
        ready_now()
    }
}

/// The far end of an endpoint.
enum Reader {
    Input(Box<dyn Input>),
    File(Option<File>),
}

impl Reader {
    /// At least one byte; none at the end.
    async fn read(&mut self, mut buf: Vec<u8>) -> (Vec<u8>, usize) {
        match self {
            Self::Input(input) => loop {
                match input.try_read(&mut buf) {
                    Read::Bytes(count) => return (buf, count),
                    Read::WouldBlock => input.ready().await,
                    Read::Closed => return (buf, 0),
                    Read::Failed(error) => panic!("{error}"),
                }
            },
            Self::File(file) => {
                let mut read = file.take().unwrap();
                let reading = tokio::task::spawn_blocking(move || {
                    // A terminal that nobody holds open any more says so by an error.
                    let count = read.read(&mut buf).unwrap_or(0);
                    (read, buf, count)
                });
                let (read, buf, count) = reading.await.unwrap();
                *file = Some(read);
                (buf, count)
            }
        }
    }
}

/// What came of it, in bytes and seconds.
struct Report {
    rate: f64,
    slow_rate: f64,
    ahead: u64,
    total: u64,
}

/// Reads what `source` gives: fast, slowly, and to the end.
async fn read_slowly(mut reader: Reader, source: Source, slow: Duration, bound: u64) -> Report {
    let (mut taken, mut ahead) = (0, 0);
    let mut buf = vec![0; 4096];
    let mut step = async |reader: &mut Reader| {
        let (read, count) = reader.read(std::mem::take(&mut buf)).await;
        let intact = read[..count]
            .iter()
            .zip(taken..)
            .all(|(&read, position)| read == byte(position));
        assert!(intact, "a byte near {taken} is lost or doubled");
        buf = read;
        taken += count as u64;
        ahead = source.given().saturating_sub(taken).max(ahead);
        (count, taken, ahead)
    };

    let began = Instant::now();
    let fast = loop {
        let (count, taken, _) = step(&mut reader).await;
        assert!(count > 0, "ended after {taken} bytes");
        if began.elapsed() >= slow / 10 && taken >= 4 * PIPE as u64 {
            break taken;
        }
    };
    let rate = fast as f64 / began.elapsed().as_secs_f64();

    let began = Instant::now();
    let slowly = loop {
        let (count, taken, _) = step(&mut reader).await;
        assert!(count > 0, "ended after {taken} bytes");
        if began.elapsed() >= slow {
            break taken;
        }
        let due = (taken - fast) as f64 * SLOWER / rate;
        let early = due - began.elapsed().as_secs_f64();
        tokio::time::sleep(Duration::from_secs_f64(
            early.clamp(0.0, slow.as_secs_f64()),
        ))
        .await;
    };
    let slow_rate = (slowly - fast) as f64 / began.elapsed().as_secs_f64();

    source.stop();
    let (total, ahead) = loop {
        let (count, taken, ahead) = step(&mut reader).await;
        if count == 0 {
            break (taken, ahead);
        }
    };
    assert_eq!(total, source.given(), "all that was written came");
    assert!(ahead <= bound, "the writer was {ahead} bytes ahead");
    Report {
        rate,
        slow_rate,
        ahead,
        total,
    }
}

/// A kind of endpoint, and what it holds.
struct Case {
    what: &'static str,
    bound: u64,
    report: BoxFuture<'static, Report>,
}

/// A guest whose standard input is the source and whose standard output is read slowly.
fn stdio(
    kind: EngineKind,
    what: &'static str,
    guest: &'static str,
    mode: &[&str],
    (reader, output): (Reader, impl Output),
    slow: Duration,
) -> Case {
    let bound = PIPE as u64 + IN_HAND;
    let source = Source::default();
    let builder = WasiCtx::builder()
        .arg(guest)
        .args(mode.iter().copied())
        .stdin(source.clone())
        .stdout(output);
    Case {
        what,
        bound,
        report: Box::pin(async move {
            let ran = run(kind, guest, builder);
            let (ran, report) = tokio::join!(ran, read_slowly(reader, source, slow, bound));
            assert_eq!(ran.unwrap(), Ok(()), "{what}");
            report
        }),
    }
}

fn memory_pipe() -> (Reader, impl Output) {
    let (input, output) = pipe(PIPE);
    (Reader::Input(Box::new(input)), output)
}

fn os_pipe() -> (Reader, impl Output) {
    let (reading, writing) = rustix::pipe::pipe().unwrap();
    let output = FdOutput::new(writing).unwrap();
    (Reader::File(Some(reading.into())), output)
}

fn async_write() -> (Reader, impl Output) {
    let (near, far) = tokio::io::duplex(PIPE);
    (
        Reader::Input(Box::new(AsyncInput::new(far))),
        AsyncOutput::new(near),
    )
}

fn terminal() -> (Reader, impl Output) {
    let controller = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&controller).unwrap();
    rustix::pty::unlockpt(&controller).unwrap();
    let name = rustix::pty::ptsname(&controller, Vec::new()).unwrap();
    let terminal = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut settings = rustix::termios::tcgetattr(&terminal).unwrap();
    settings.make_raw();
    rustix::termios::tcsetattr(&terminal, rustix::termios::OptionalActions::Now, &settings)
        .unwrap();
    let output = FdOutput::new(terminal).unwrap();
    (Reader::File(Some(controller.into())), output)
}

/// The echo server between a thread that writes and a reader that is slow.
fn connection(kind: EngineKind, what: &'static str, mode: &'static str, slow: Duration) -> Case {
    let bound = CONNECTIONS + IN_HAND;
    let source = Source::default();
    Case {
        what,
        bound,
        report: Box::pin(async move {
            let (mut told, stdout) = pipe(1000);
            let builder: WasiCtxBuilder = WasiCtx::builder()
                .args(["server", "127.0.0.1:0", "1", mode])
                .network(Policy::everything())
                .stdout(stdout);
            let served = run(kind, "echo-server-p3.wasm", builder);
            let talking = async {
                let mut out = TcpStream::connect(address(&mut told).await).unwrap();
                let back: std::os::fd::OwnedFd = out.try_clone().unwrap().into();
                let given = source.clone();
                let writing = std::thread::spawn(move || {
                    let mut buf = vec![0; PIPE];
                    while !given.is_stopped() {
                        fill(&mut buf, given.given());
                        out.write_all(&buf).unwrap();
                        given.given.fetch_add(buf.len() as u64, Ordering::AcqRel);
                    }
                    out.shutdown(std::net::Shutdown::Write).unwrap();
                });
                let reader = Reader::File(Some(back.into()));
                let report = read_slowly(reader, source, slow, bound).await;
                writing.join().unwrap();
                report
            };
            let (served, report) = tokio::join!(served, talking);
            assert_eq!(served.unwrap(), Ok(()), "{what}");
            report
        }),
    }
}

fn cases(kind: EngineKind, slow: Duration) -> Vec<Case> {
    let cat = "cat-p3.wasm";
    vec![
        stdio(
            kind,
            "pipe in memory, copied",
            cat,
            &["copy"],
            memory_pipe(),
            slow,
        ),
        stdio(
            kind,
            "pipe in memory, handed on",
            cat,
            &["forward"],
            memory_pipe(),
            slow,
        ),
        stdio(
            kind,
            "pipe of the system, copied",
            cat,
            &["copy"],
            os_pipe(),
            slow,
        ),
        stdio(
            kind,
            "pipe of the system, handed on",
            cat,
            &["forward"],
            os_pipe(),
            slow,
        ),
        stdio(kind, "terminal, copied", cat, &["copy"], terminal(), slow),
        stdio(
            kind,
            "terminal, handed on",
            cat,
            &["forward"],
            terminal(),
            slow,
        ),
        stdio(
            kind,
            "AsyncWrite, copied",
            cat,
            &["copy"],
            async_write(),
            slow,
        ),
        stdio(
            kind,
            "AsyncWrite, handed on",
            cat,
            &["forward"],
            async_write(),
            slow,
        ),
        connection(kind, "connection, copied", "copy", slow),
        connection(kind, "connection, handed on", "forward", slow),
    ]
}

/// What this process has in memory, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

/// Runs a case on a thread of its own, so that no other's work shows in its rate.
fn on_a_thread(case: Case) -> JoinHandle<Report> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(case.report)
    })
}

#[test]
fn slow_readers_hold_their_writers_back_and_lose_nothing() {
    let seconds = std::env::var("TIDEGATE_SLOW_SECONDS").ok();
    let seconds: Option<f64> = seconds.map(|text| text.parse().expect("a number of seconds"));
    let slow = Duration::from_secs_f64(seconds.unwrap_or(0.5));
    for kind in ENGINES {
        let running: Vec<_> = cases(kind, slow)
            .into_iter()
            .map(|case| (case.what, case.bound, on_a_thread(case)))
            .collect();
        // After the beginning, which is fast, and before the end, which is fast again.
        let samples: Vec<u64> = (0..8)
            .map(|_| {
                std::thread::sleep(slow / 8);
                resident()
            })
            .collect();
        let reports: Vec<_> = running
            .into_iter()
            .map(|(what, bound, thread)| (what, bound, thread.join().unwrap()))
            .collect();
        if seconds.is_none() {
            continue;
        }
        println!("{kind:?}: resident KiB while it went on: {samples:?}");
        for (what, bound, report) in reports {
            println!(
                "  {what:30} {:8.1} MB/s, then {:8.1} kB/s; at most {:6} KiB ahead (allowed: {:6}); {} bytes",
                report.rate / 1e6,
                report.slow_rate / 1e3,
                report.ahead / 1024,
                bound / 1024,
                report.total,
            );
        }
    }
}

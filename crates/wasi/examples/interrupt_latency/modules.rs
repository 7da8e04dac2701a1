//! Core modules that compute, or wait in functions of WASI 0.1 and of the embedder's own.

use crate::measure::pauses;
use rustix::fs::OFlags;
use rustix::pty::OpenptFlags;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tidegate::module::{FuncType, Module, ModuleLinker, Outcome};
use tidegate::{Engine, Result, Store, timer};
use tidegate_wasi::WasiCtx;
use tidegate_wasi::io::FdInput;
use tidegate_wasi::p1::{self, Preview1};

/// What a guest is busy with.
pub struct Work {
    pub name: &'static str,
    stdin: Stdin,
    /// How many pages the memory grows by beforehand.
    pages: u32,
    body: &'static str,
}

#[derive(Clone, Copy)]
enum Stdin {
    Nothing,
    /// A mebibyte in a file.
    File,
    /// Nobody ever writes to the other end of these.
    Pipe,
    Socket,
    Terminal,
}

const READ: &str = "(drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))";

pub const ALL: [Work; 12] = [
    Work {
        name: "a loop",
        stdin: Stdin::Nothing,
        pages: 0,
        body: "(loop $l (br $l))",
    },
    Work {
        name: "calls of functions",
        stdin: Stdin::Nothing,
        pages: 0,
        body: "(loop $l (drop (call $fib (i32.const 25))) (br $l))",
    },
    Work {
        name: "`memory.fill` of 1 MiB",
        stdin: Stdin::Nothing,
        pages: 0,
        body: "(loop $l (memory.fill (i32.const 65536) (i32.const 1) (i32.const 1048576)) (br $l))",
    },
    Work {
        name: "`memory.fill` of 1 GiB",
        stdin: Stdin::Nothing,
        pages: 16384,
        body: "(loop $l
                (memory.fill (i32.const 0x140000) (i32.const 1) (i32.const 0x40000000))
                (br $l))",
    },
    Work {
        name: "`memory.copy` of 1 GiB",
        stdin: Stdin::Nothing,
        pages: 32768,
        body: "(loop $l
                (memory.copy (i32.const 0x140000) (i32.const 0x40140000) (i32.const 0x40000000))
                (memory.copy (i32.const 0x20140000) (i32.const 0x140000) (i32.const 0x40000000))
                (br $l))",
    },
    Work {
        name: "reads of a file, 1 MiB each",
        stdin: Stdin::File,
        pages: 0,
        body: "(loop $l
            (drop (call $pread (i32.const 0) (i32.const 16) (i32.const 1) (i64.const 0) (i32.const 8)))
            (br $l))",
    },
    Work {
        name: "read of a pipe",
        stdin: Stdin::Pipe,
        pages: 0,
        body: READ,
    },
    Work {
        name: "read of a socket",
        stdin: Stdin::Socket,
        pages: 0,
        body: READ,
    },
    Work {
        name: "read of a terminal",
        stdin: Stdin::Terminal,
        pages: 0,
        body: READ,
    },
    Work {
        name: "poll of a pipe and a clock",
        stdin: Stdin::Pipe,
        pages: 0,
        body: "(drop (call $poll (i32.const 256) (i32.const 1024) (i32.const 2) (i32.const 8)))",
    },
    Work {
        name: "sleep",
        stdin: Stdin::Nothing,
        pages: 0,
        body: "(drop (call $poll (i32.const 256) (i32.const 1024) (i32.const 1) (i32.const 8)))",
    },
    Work {
        name: "async host function",
        stdin: Stdin::Nothing,
        pages: 0,
        body: "(call $sleep)",
    },
];

/// What every guest has: `$begun` says that it has begun.
const COMMON: &str = r#"
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pread" (func $pread (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "host" "begun" (func $begun))
    (import "host" "sleep" (func $sleep))
    (memory (export "memory") 20)
    ;; Where to read to: 16 bytes at 64, and a mebibyte at 65536.
    (data (i32.const 0) "\40\00\00\00\10\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\10\00")
    ;; Subscriptions: the monotonic clock in an hour, descriptor 0 to read.
    (data (i32.const 264) "\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\a0\b8\30\46\03\00\00")
    (data (i32.const 312) "\01\00\00\00\00\00\00\00\00\00\00\00")
    (func $fib (param i32) (result i32)
        (if (i32.lt_u (local.get 0) (i32.const 2)) (then (return (local.get 0))))
        (i32.add
            (call $fib (i32.sub (local.get 0) (i32.const 1)))
            (call $fib (i32.sub (local.get 0) (i32.const 2)))))
"#;

struct Data {
    wasi: Preview1,
    begun: Arc<AtomicBool>,
}

/// Pauses a guest many times, each time at another moment.
pub fn pause(engine: &Engine, work: &Work, times: u32) -> Result<Vec<Duration>> {
    let Work { pages, body, .. } = work;
    let text = format!(
        r#"(module {COMMON} (func (export "run")
            (drop (memory.grow (i32.const {pages}))) (call $begun) {body}))"#
    );
    let module = Module::new(engine, text)?;
    let mut linker = ModuleLinker::<Data>::new(engine);
    p1::add_to_linker(&mut linker, |data| &mut data.wasi)?;
    linker.func("host", "begun", FuncType::default(), |caller, _| {
        caller.data_mut().begun.store(true, Ordering::Release);
        Ok(Outcome::Done)
    })?;
    linker.func_waiting("host", "sleep", FuncType::default(), |_, _| {
        Ok(Outcome::Wait(timer::sleep(Duration::from_secs(3600))))
    })?;
    let mut wasi = WasiCtx::builder();
    let mut _other_end = None;
    if let Some((stdin, other)) = open(work.stdin)? {
        wasi = wasi.stdin(FdInput::new(stdin)?);
        _other_end = other;
    }
    let begun = Arc::<AtomicBool>::default();
    let data = Data {
        wasi: Preview1::new(wasi.build()),
        begun: begun.clone(),
    };
    let mut store = Store::new(engine, data);
    let instance = linker.instantiate(&mut store, &module)?;
    let run = instance
        .get_func(&mut store, "run")
        .ok_or_else(|| tidegate::Error::msg("no `run`"))?;
    let handle = store.interrupt_handle();
    let mut slots = [];
    let call = run.call_async(&mut store, &mut slots);
    Ok(pauses(&handle, begun, times, call))
}

/// What standard input is, and its other end.
fn open(stdin: Stdin) -> Result<Option<(OwnedFd, Option<OwnedFd>)>> {
    Ok(match stdin {
        Stdin::Nothing => None,
        Stdin::File => {
            let mut file = tempfile::tempfile()?;
            std::io::Write::write_all(&mut file, &vec![1; 1 << 20])?;
            Some((file.into(), None))
        }
        Stdin::Pipe => {
            let (reader, writer) = std::io::pipe()?;
            Some((reader.into(), Some(writer.into())))
        }
        Stdin::Socket => {
            let (near, far) = UnixStream::pair()?;
            Some((near.into(), Some(far.into())))
        }
        Stdin::Terminal => {
            let controller = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
            rustix::pty::grantpt(&controller)?;
            rustix::pty::unlockpt(&controller)?;
            let name = rustix::pty::ptsname(&controller, Vec::new())?;
            let flags = OFlags::RDWR | OFlags::NOCTTY;
            let terminal = rustix::fs::open(name, flags, rustix::fs::Mode::empty())?;
            Some((terminal, Some(controller)))
        }
    })
}

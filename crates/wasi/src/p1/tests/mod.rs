//! A guest written in Rust: it has a memory and calls the functions by name.

mod descriptors;
mod files;
mod hostile;
mod memory_arguments;
mod poll;
mod sockets;

use std::fs;
use std::path::PathBuf;

use super::types::{filetype, rights};
use super::{Errno, FUNCTIONS, Outcome, Preview1, Trap};
use crate::fs::{Access, Preopen};
use crate::{WasiCtx, WasiCtxBuilder};

/// Where results are stored.
const OUT: u32 = 0x100;
/// Where lists of buffers, subscriptions and the like are put.
const LIST: u32 = 0x200;
/// Where paths are put.
const PATH: u32 = 0x2000;
/// Where second paths are put.
const PATH2: u32 = 0x4000;
/// Where data is put.
const DATA: u32 = 0x8000;
/// All rights there are.
const ALL: u64 = (1 << 30) - 1;
/// The first preopen.
const ROOT: u32 = 3;

struct Guest {
    host: Preview1,
    memory: Vec<u8>,
    root: tempfile::TempDir,
    /// What `root` lies in, and nothing else: a guest that gets out leaves traces here.
    _outside: tempfile::TempDir,
}

/// Calls a function: `call!(guest, fd_close(3))`.
macro_rules! call {
    ($guest:expr, $name:ident($($arg:expr),* $(,)?)) => {
        $guest.call(stringify!($name), &[$($arg as u64),*])
    };
}
pub(super) use call;

impl Guest {
    /// A guest with a writable directory as `/`, and the same one read-only as `/ro`.
    fn new() -> Self {
        Self::with(|ctx| ctx)
    }

    fn with(grant: impl FnOnce(WasiCtxBuilder) -> WasiCtxBuilder) -> Self {
        let outside = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir_in(outside.path()).unwrap();
        let writable = Preopen::open(root.path(), "/", Access::ReadWrite).unwrap();
        let readable = Preopen::open(root.path(), "/ro", Access::ReadOnly).unwrap();
        let ctx = WasiCtx::builder().preopen(writable).preopen(readable);
        Self {
            host: Preview1::new(grant(ctx).build()),
            memory: vec![0; 0x20000],
            root,
            _outside: outside,
        }
    }

    fn host_path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// One call, which may answer that it has to wait.
    fn try_call(&mut self, name: &str, arguments: &[u64]) -> Result<Outcome, Trap> {
        let function = FUNCTIONS.iter().find(|function| function.name() == name);
        let function = function.unwrap_or_else(|| panic!("there is no function {name}"));
        assert_eq!(function.params().len(), arguments.len(), "{name}");
        let outcome = function.call(&mut self.host, (&mut *self.memory).into(), arguments);
        if matches!(outcome, Ok(Outcome::Wait(_))) {
            assert!(function.may_wait(), "{name} says that it never waits");
        }
        outcome
    }

    /// One call, waited for.
    fn call(&mut self, name: &str, arguments: &[u64]) -> Result<(), Errno> {
        loop {
            match self.try_call(name, arguments).unwrap() {
                Outcome::Done(0) => return Ok(()),
                Outcome::Done(number) => return Err(errno(number)),
                Outcome::Wait(readiness) => tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap()
                    .block_on(readiness),
                Outcome::Exit(status) => panic!("{name} ended the guest with {status}"),
            }
        }
    }

    fn put(&mut self, at: u32, bytes: &[u8]) {
        self.memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    fn get(&self, at: u32, len: usize) -> &[u8] {
        &self.memory[at as usize..][..len]
    }

    fn get_u16(&self, at: u32) -> u16 {
        u16::from_le_bytes(self.get(at, 2).try_into().unwrap())
    }

    fn get_u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.get(at, 4).try_into().unwrap())
    }

    fn get_u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.get(at, 8).try_into().unwrap())
    }

    /// Puts a list of buffers at `LIST` and says how many there are.
    fn iovecs(&mut self, list: &[(u32, u32)]) -> u32 {
        for (index, (at, len)) in list.iter().enumerate() {
            let slot = LIST + index as u32 * 8;
            self.put(slot, &at.to_le_bytes());
            self.put(slot + 4, &len.to_le_bytes());
        }
        list.len() as u32
    }

    fn open(&mut self, dir: u32, path: &str, oflags: u32, base: u64) -> Result<u32, Errno> {
        self.open_with(dir, 1, path, oflags, base, 0)
    }

    fn open_with(
        &mut self,
        dir: u32,
        dirflags: u32,
        path: &str,
        oflags: u32,
        base: u64,
        fdflags: u16,
    ) -> Result<u32, Errno> {
        self.put(PATH, path.as_bytes());
        let len = path.len();
        call!(
            self,
            path_open(dir, dirflags, PATH, len, oflags, base, ALL, fdflags, OUT)
        )?;
        Ok(self.get_u32(OUT))
    }

    fn write(&mut self, fd: u32, bytes: &[u8]) -> Result<u32, Errno> {
        self.put(DATA, bytes);
        let count = self.iovecs(&[(DATA, bytes.len() as u32)]);
        call!(self, fd_write(fd, LIST, count, OUT))?;
        Ok(self.get_u32(OUT))
    }

    fn read(&mut self, fd: u32, len: u32) -> Result<Vec<u8>, Errno> {
        let count = self.iovecs(&[(DATA, len)]);
        call!(self, fd_read(fd, LIST, count, OUT))?;
        let len = self.get_u32(OUT);
        Ok(self.get(DATA, len as usize).to_vec())
    }

    /// An operation on one path: `guest.path("path_unlink_file", ROOT, "file")`.
    fn path(&mut self, name: &str, dir: u32, path: &str) -> Result<(), Errno> {
        self.put(PATH, path.as_bytes());
        self.call(name, &[dir.into(), PATH.into(), path.len() as u64])
    }

    fn rename(&mut self, dir: u32, from: &str, to_dir: u32, to: &str) -> Result<(), Errno> {
        self.put(PATH, from.as_bytes());
        self.put(PATH2, to.as_bytes());
        let (from, to) = (from.len(), to.len());
        call!(self, path_rename(dir, PATH, from, to_dir, PATH2, to))
    }

    fn link(&mut self, dir: u32, from: &str, to_dir: u32, to: &str) -> Result<(), Errno> {
        self.put(PATH, from.as_bytes());
        self.put(PATH2, to.as_bytes());
        let (from, to) = (from.len(), to.len());
        call!(self, path_link(dir, 0, PATH, from, to_dir, PATH2, to))
    }

    fn symlink(&mut self, contents: &str, dir: u32, path: &str) -> Result<(), Errno> {
        self.put(PATH2, contents.as_bytes());
        self.put(PATH, path.as_bytes());
        let (contents, path) = (contents.len(), path.len());
        call!(self, path_symlink(PATH2, contents, dir, PATH, path))
    }

    /// Type, flags and rights of a descriptor.
    fn fdstat(&mut self, fd: u32) -> Result<(u8, u16, u64, u64), Errno> {
        call!(self, fd_fdstat_get(fd, OUT))?;
        Ok((
            self.get(OUT, 1)[0],
            self.get_u16(OUT + 2),
            self.get_u64(OUT + 8),
            self.get_u64(OUT + 16),
        ))
    }
}

fn errno(number: u32) -> Errno {
    // `Errno` names every number that can be returned.
    (1..=76)
        .filter_map(|candidate| ERRNOS.get(candidate).copied().flatten())
        .find(|errno| *errno as u32 == number)
        .unwrap_or_else(|| panic!("{number} is no errno of this host"))
}

/// The numbers that tests see, by number.
static ERRNOS: [Option<Errno>; 77] = {
    let all = [
        Errno::Acces,
        Errno::Again,
        Errno::Badf,
        Errno::Exist,
        Errno::Ilseq,
        Errno::Inval,
        Errno::Io,
        Errno::Isdir,
        Errno::Loop,
        Errno::Mfile,
        Errno::NameTooLong,
        Errno::Noent,
        Errno::NotConn,
        Errno::NotDir,
        Errno::NotEmpty,
        Errno::NotSock,
        Errno::NotSup,
        Errno::NotCapable,
        Errno::Perm,
        Errno::Pipe,
        Errno::Rofs,
        Errno::Spipe,
    ];
    let mut table = [None; 77];
    let mut index = 0;
    while index < all.len() {
        table[all[index] as usize] = Some(all[index]);
        index += 1;
    }
    table
};

#[test]
fn list_has_every_function_once() {
    assert_eq!(FUNCTIONS.len(), 46);
    let mut names: Vec<_> = FUNCTIONS.iter().map(|function| function.name()).collect();
    names.dedup();
    assert_eq!(names.len(), 46);
    assert!(names.is_sorted());
    let never = FUNCTIONS
        .iter()
        .filter(|function| function.results().is_empty());
    assert_eq!(
        never.map(|function| function.name()).collect::<Vec<_>>(),
        ["proc_exit"]
    );
}

#[test]
fn process_ends_as_asked() {
    let mut guest = Guest::new();
    let mut outcome = |name: &str, argument: u64| guest.try_call(name, &[argument]).unwrap();
    assert!(matches!(outcome("proc_exit", 33), Outcome::Exit(33)));
    assert!(matches!(
        outcome("proc_exit", u32::MAX.into()),
        Outcome::Exit(u32::MAX)
    ));
    assert!(
        matches!(outcome("proc_raise", 6), Outcome::Exit(134)),
        "abort"
    );
    assert!(matches!(outcome("proc_raise", 0), Outcome::Done(0)));
    assert!(
        matches!(outcome("proc_raise", 16), Outcome::Done(0)),
        "a child changed"
    );
    assert!(
        matches!(outcome("proc_raise", 18), Outcome::Done(58)),
        "stop: notsup"
    );
    assert!(
        matches!(outcome("proc_raise", 31), Outcome::Done(28)),
        "inval"
    );
}

#[test]
fn yielding_lets_others_run_and_then_returns() {
    let mut guest = Guest::new();
    assert!(matches!(
        guest.try_call("sched_yield", &[]),
        Ok(Outcome::Wait(_))
    ));
    // That one was given up: the next starts anew instead of taking over its end.
    assert!(matches!(
        guest.try_call("sched_yield", &[]),
        Ok(Outcome::Wait(_))
    ));
    assert_eq!(call!(guest, sched_yield()), Ok(()));
}

#[test]
fn random_bytes_fill_exactly_the_buffer_however_large() {
    let mut guest = Guest::new();
    guest.memory = vec![0; 0x100000];
    let (at, len) = (1001, 200_003);
    assert_eq!(call!(guest, random_get(at, len)), Ok(()));
    for part in guest.get(at, len as usize).chunks(1000) {
        assert!(part.iter().any(|byte| *byte != 0));
    }
    assert!(guest.get(0, at as usize).iter().all(|byte| *byte == 0));
    let end = at + len;
    assert!(guest.memory[end as usize..].iter().all(|byte| *byte == 0));
    assert_eq!(call!(guest, random_get(0x100000, 0)), Ok(()));
}

#[test]
fn clocks_that_count_processor_time_are_refused() {
    let mut guest = Guest::new();
    for id in [0, 1] {
        assert_eq!(call!(guest, clock_res_get(id, OUT)), Ok(()));
        assert!(guest.get_u64(OUT) > 0);
        assert_eq!(call!(guest, clock_time_get(id, 1, OUT)), Ok(()));
    }
    call!(guest, clock_time_get(0, 0, OUT)).unwrap();
    assert!(
        guest.get_u64(OUT) > 1_500_000_000_000_000_000,
        "nanoseconds since 1970"
    );
    for id in [2, 3, 4, u32::MAX] {
        assert_eq!(call!(guest, clock_time_get(id, 0, OUT)), Err(Errno::Inval));
        assert_eq!(call!(guest, clock_res_get(id, OUT)), Err(Errno::Inval));
    }
}

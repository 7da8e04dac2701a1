//! The list of functions, for whoever binds them to guests.

use super::{Memory, Outcome, Preview1, Stop, Trap};
use tidegate::module::GuestMemory;

/// The type of a parameter in core WebAssembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoreType {
    /// `i32`
    I32,
    /// `i64`
    I64,
}

/// One function of `wasi_snapshot_preview1`.
pub struct Function {
    name: &'static str,
    params: &'static [CoreType],
    returns_errno: bool,
    may_wait: bool,
    implementation: fn(&mut Preview1, &mut Memory<'_>, &[u64]) -> Result<(), Stop>,
}

impl Function {
    /// The name it is imported by.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The types of its parameters.
    pub fn params(&self) -> &'static [CoreType] {
        self.params
    }

    /// The types of its results: one `i32`, the `errno`, or none for `proc_exit`.
    pub fn results(&self) -> &'static [CoreType] {
        if self.returns_errno {
            &[CoreType::I32]
        } else {
            &[]
        }
    }

    /// Whether it may answer [`Outcome::Wait`].
    pub fn may_wait(&self) -> bool {
        self.may_wait
    }

    /// Calls the function for a guest with this memory. Of an `i32` argument the low half of its
    /// word counts; missing arguments are 0.
    ///
    /// # Errors
    /// The guest is to trap with this.
    pub fn call(
        &self,
        host: &mut Preview1,
        memory: GuestMemory<'_>,
        arguments: &[u64],
    ) -> Result<Outcome, Trap> {
        let mut memory = Memory::new(memory);
        match (self.implementation)(host, &mut memory, arguments) {
            Ok(()) => Ok(Outcome::Done(0)),
            Err(Stop::Errno(errno)) => Ok(Outcome::Done(errno as u32)),
            Err(Stop::Exit(status)) => Ok(Outcome::Exit(status)),
            Err(Stop::Wait(readiness)) => Ok(Outcome::Wait(readiness)),
            Err(Stop::Random(error)) => Err(Trap::Random(error)),
            Err(Stop::Fault { pointer, len }) => Err(Trap::OutOfBounds {
                function: self.name,
                pointer,
                len,
                size: memory.size(),
            }),
        }
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .field("params", &self.params)
            .field("results", &self.results())
            .finish()
    }
}

macro_rules! core_type {
    (u32) => {
        CoreType::I32
    };
    (u64) => {
        CoreType::I64
    };
    (i64) => {
        CoreType::I64
    };
}

macro_rules! returns {
    (errno) => {
        true
    };
    (never) => {
        false
    };
}

macro_rules! waits {
    () => {
        false
    };
    (waits) => {
        true
    };
}

macro_rules! functions {
    ($($name:ident($($arg:ident: $ty:ident),*) -> $result:ident $($waits:ident)?;)*) => {
        /// Every function of `wasi_snapshot_preview1`, by name.
        pub static FUNCTIONS: &[Function] = &[$(Function {
            name: stringify!($name),
            params: &[$(core_type!($ty)),*],
            returns_errno: returns!($result),
            may_wait: waits!($($waits)?),
            #[allow(unused_mut, unused_variables, reason = "some take no arguments, or no memory")]
            implementation: |host, memory, arguments| {
                let mut arguments = arguments.iter().copied();
                $(let $arg = arguments.next().unwrap_or(0) as $ty;)*
                host.$name(memory, $($arg),*)
            },
        },)*];
    };
}

functions! {
    args_get(argv: u32, argv_buf: u32) -> errno;
    args_sizes_get(argc: u32, argv_buf_size: u32) -> errno;
    clock_res_get(id: u32, resolution: u32) -> errno;
    clock_time_get(id: u32, precision: u64, time: u32) -> errno;
    environ_get(environ: u32, environ_buf: u32) -> errno;
    environ_sizes_get(environc: u32, environ_buf_size: u32) -> errno;
    fd_advise(fd: u32, offset: u64, len: u64, advice: u32) -> errno;
    fd_allocate(fd: u32, offset: u64, len: u64) -> errno;
    fd_close(fd: u32) -> errno;
    fd_datasync(fd: u32) -> errno waits;
    fd_fdstat_get(fd: u32, stat: u32) -> errno;
    fd_fdstat_set_flags(fd: u32, flags: u32) -> errno;
    fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64) -> errno;
    fd_filestat_get(fd: u32, stat: u32) -> errno;
    fd_filestat_set_size(fd: u32, size: u64) -> errno;
    fd_filestat_set_times(fd: u32, atim: u64, mtim: u64, flags: u32) -> errno;
    fd_pread(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nread: u32) -> errno waits;
    fd_prestat_dir_name(fd: u32, path: u32, path_len: u32) -> errno;
    fd_prestat_get(fd: u32, prestat: u32) -> errno;
    fd_pwrite(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nwritten: u32) -> errno;
    fd_read(fd: u32, iovs: u32, iovs_len: u32, nread: u32) -> errno waits;
    fd_readdir(fd: u32, buf: u32, buf_len: u32, cookie: u64, bufused: u32) -> errno;
    fd_renumber(fd: u32, to: u32) -> errno;
    fd_seek(fd: u32, offset: i64, whence: u32, newoffset: u32) -> errno;
    fd_sync(fd: u32) -> errno waits;
    fd_tell(fd: u32, offset: u32) -> errno;
    fd_write(fd: u32, iovs: u32, iovs_len: u32, nwritten: u32) -> errno waits;
    path_create_directory(fd: u32, path: u32, path_len: u32) -> errno;
    path_filestat_get(fd: u32, flags: u32, path: u32, path_len: u32, stat: u32) -> errno;
    path_filestat_set_times(
        fd: u32, flags: u32, path: u32, path_len: u32, atim: u64, mtim: u64, fst_flags: u32
    ) -> errno;
    path_link(
        old_fd: u32, old_flags: u32, old_path: u32, old_path_len: u32,
        new_fd: u32, new_path: u32, new_path_len: u32
    ) -> errno;
    path_open(
        fd: u32, dirflags: u32, path: u32, path_len: u32, oflags: u32,
        base: u64, inheriting: u64, fdflags: u32, opened: u32
    ) -> errno;
    path_readlink(
        fd: u32, path: u32, path_len: u32, buf: u32, buf_len: u32, bufused: u32
    ) -> errno;
    path_remove_directory(fd: u32, path: u32, path_len: u32) -> errno;
    path_rename(
        fd: u32, old_path: u32, old_path_len: u32, new_fd: u32, new_path: u32, new_path_len: u32
    ) -> errno;
    path_symlink(
        old_path: u32, old_path_len: u32, fd: u32, new_path: u32, new_path_len: u32
    ) -> errno;
    path_unlink_file(fd: u32, path: u32, path_len: u32) -> errno;
    poll_oneoff(subscriptions: u32, events: u32, nsubscriptions: u32, nevents: u32) -> errno waits;
    proc_exit(status: u32) -> never;
    proc_raise(signal: u32) -> errno;
    random_get(buf: u32, buf_len: u32) -> errno waits;
    sched_yield() -> errno waits;
    sock_accept(fd: u32, flags: u32, accepted: u32) -> errno waits;
    sock_recv(
        fd: u32, ri_data: u32, ri_data_len: u32, ri_flags: u32, ro_datalen: u32, ro_flags: u32
    ) -> errno waits;
    sock_send(
        fd: u32, si_data: u32, si_data_len: u32, si_flags: u32, so_datalen: u32
    ) -> errno waits;
    sock_shutdown(fd: u32, how: u32) -> errno;
}

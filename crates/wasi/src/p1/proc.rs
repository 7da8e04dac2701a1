//! The guest as a process.

use super::outcome::let_others_run;
use super::types::Errno;
use super::{Memory, Preview1, Progress, Stop};

impl Preview1 {
    /// `proc_exit`: ends the guest with `status`. Does not return.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#proc_exit)
    pub(super) fn proc_exit(&mut self, _memory: &mut Memory<'_>, status: u32) -> Result<(), Stop> {
        Err(Stop::Exit(status))
    }

    /// `proc_raise`: does what a signal that nobody catches does, as WASI cannot catch any.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#proc_raise)
    ///
    /// `none` and those that are ignored (`chld`, `cont`, `urg`, `winch`) do nothing. Those that
    /// stop a process (`stop`, `tstp`, `ttin`, `ttou`) fail with `notsup`: nobody could continue it.
    /// All others end the guest with status 128 + their number in WASI. Fails with `inval` for
    /// anything else.
    pub(super) fn proc_raise(&mut self, _memory: &mut Memory<'_>, signal: u32) -> Result<(), Stop> {
        match signal {
            0 | 16 | 17 | 22 | 27 => Ok(()),
            18..=21 => Err(Errno::NotSup.into()),
            1..=30 => Err(Stop::Exit(128 + signal)),
            _ => Err(Errno::Inval.into()),
        }
    }

    /// `sched_yield`: lets others run before it returns.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#sched_yield)
    pub(super) fn sched_yield(&mut self, _memory: &mut Memory<'_>) -> Result<(), Stop> {
        match self.resume.take() {
            Some(Progress::Yielded) => Ok(()),
            _ => Err(self.resume.wait(Progress::Yielded, let_others_run())),
        }
    }
}

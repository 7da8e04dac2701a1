//! Arguments and environment.

use super::types::Errno;
use super::{Memory, Preview1, Stop};

impl Preview1 {
    /// `args_get`: stores the arguments, each ended by a NUL, one after the other at `argv_buf`, and
    /// the address of each at `argv`. How much room that takes is what `args_sizes_get` says.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#args_get)
    ///
    /// Fails with `overflow` where an address has more than 32 bits.
    pub(super) fn args_get(
        &mut self,
        memory: &mut Memory<'_>,
        argv: u32,
        argv_buf: u32,
    ) -> Result<(), Stop> {
        let args = self.ctx.args().iter().map(|arg| [arg.as_str(), "", ""]);
        store(memory, args, argv, argv_buf)
    }

    /// `args_sizes_get`: stores the number of arguments at `argc`, and how many bytes they take with
    /// their NULs at `argv_buf_size`.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#args_sizes_get)
    ///
    /// Fails with `overflow` where they take 4 GiB or more.
    pub(super) fn args_sizes_get(
        &mut self,
        memory: &mut Memory<'_>,
        argc: u32,
        argv_buf_size: u32,
    ) -> Result<(), Stop> {
        let args = self.ctx.args().iter().map(|arg| [arg.as_str(), "", ""]);
        store_sizes(memory, args, argc, argv_buf_size)
    }

    /// `environ_get`: stores the environment, each variable as `name=value` ended by a NUL, one
    /// after the other at `environ_buf`, and the address of each at `environ`.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#environ_get)
    ///
    /// Fails with `overflow` where an address has more than 32 bits.
    pub(super) fn environ_get(
        &mut self,
        memory: &mut Memory<'_>,
        environ: u32,
        environ_buf: u32,
    ) -> Result<(), Stop> {
        let env = self.ctx.env().iter();
        let env = env.map(|(name, value)| [name.as_str(), "=", value]);
        store(memory, env, environ, environ_buf)
    }

    /// `environ_sizes_get`: stores the number of variables at `environc`, and how many bytes they
    /// take with their NULs at `environ_buf_size`.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#environ_sizes_get)
    ///
    /// Fails with `overflow` where they take 4 GiB or more.
    pub(super) fn environ_sizes_get(
        &mut self,
        memory: &mut Memory<'_>,
        environc: u32,
        environ_buf_size: u32,
    ) -> Result<(), Stop> {
        let env = self.ctx.env().iter();
        let env = env.map(|(name, value)| [name.as_str(), "=", value]);
        store_sizes(memory, env, environc, environ_buf_size)
    }
}

/// A string in parts, so that none has to be put together in host memory.
type Parts<'a> = [&'a str; 3];

fn len(parts: &Parts<'_>) -> u64 {
    parts.iter().map(|part| part.len() as u64).sum::<u64>() + 1
}

fn store<'a>(
    memory: &mut Memory<'_>,
    strings: impl ExactSizeIterator<Item = Parts<'a>> + Clone,
    pointers: u32,
    buffer: u32,
) -> Result<(), Stop> {
    let mut table = memory.range(pointers, strings.len() as u64 * 4)?;
    let size = strings.clone().map(|parts| len(&parts)).sum();
    let mut buffer = memory.range(buffer, size)?;
    for parts in strings {
        let address = u32::try_from(buffer.start).map_err(|_| Errno::Overflow)?;
        let next = table.start + 4;
        memory
            .bytes_mut(table.start..next)
            .copy_from_slice(&address.to_le_bytes());
        table.start = next;
        for part in parts.into_iter().chain(["\0"]) {
            let next = buffer.start + part.len();
            memory
                .bytes_mut(buffer.start..next)
                .copy_from_slice(part.as_bytes());
            buffer.start = next;
        }
    }
    Ok(())
}

fn store_sizes<'a>(
    memory: &mut Memory<'_>,
    strings: impl ExactSizeIterator<Item = Parts<'a>>,
    count: u32,
    size: u32,
) -> Result<(), Stop> {
    let count_slot = memory.slot::<4>(count)?;
    let size_slot = memory.slot::<4>(size)?;
    let count = u32::try_from(strings.len()).map_err(|_| Errno::Overflow)?;
    let size: u64 = strings.map(|parts| len(&parts)).sum();
    let size = u32::try_from(size).map_err(|_| Errno::Overflow)?;
    memory.put(count_slot, count.to_le_bytes());
    memory.put(size_slot, size.to_le_bytes());
    Ok(())
}

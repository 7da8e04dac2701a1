//! Sockets: those that listen are granted at the start, those they accept are connected.
//!
//! All of these fail with `badf` for a descriptor that is not open, `notsock` for anything but a
//! socket, and `notcapable` without their right.

use std::sync::Arc;

use rustix::net::{RecvFlags, Shutdown, SocketFlags};

use super::fd_io::{put_count, read_ready, would_block};
use super::table::{Entry, Resource};
use super::types::{Errno, fdflags, rights};
use super::{Memory, Preview1, Progress, Stop};
use crate::io::Descriptor;

/// `riflags`: leave what is received to be received again.
const RECV_PEEK: u32 = 1;
/// `riflags`: wait until the buffers are full.
const RECV_WAITALL: u32 = 2;

impl Preview1 {
    /// `sock_accept`: waits for a connection to a listening socket, and stores its descriptor. Of
    /// `flags` only `nonblock` makes sense.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#sock_accept)
    ///
    /// Fails with `inval` for other flags or a socket that does not listen, `mfile` when the table is
    /// full (the connection stays), `again` instead of waiting for a `nonblock` descriptor.
    pub(super) fn sock_accept(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        flags: u32,
        accepted: u32,
    ) -> Result<(), Stop> {
        let entry = self.table.get(fd)?;
        let accepted = memory.slot::<4>(accepted)?;
        let listener = match &entry.resource {
            Resource::Listener(listener) => listener,
            Resource::Socket(_) => return Err(Errno::Inval.into()),
            _ => return Err(Errno::NotSock.into()),
        };
        entry.demand(rights::SOCK_ACCEPT)?;
        if flags & !u32::from(fdflags::NONBLOCK) != 0 {
            return Err(Errno::Inval.into());
        }
        self.table.demand_room()?;
        let socket_flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = loop {
            match rustix::net::accept_with(&**listener, socket_flags) {
                Ok(fd) => break fd,
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::AGAIN) => {
                    return Err(would_block(entry.is_nonblocking(), || read_ready(listener)));
                }
                Err(errno) => return Err(Errno::from(errno).into()),
            }
        };
        let mut entry = Entry::socket(Arc::new(Descriptor::socket(Arc::new(fd))));
        // Only `nonblock` is left.
        entry.flags = flags as u16;
        let fd = self.table.insert(entry)?;
        memory.put(accepted, fd.to_le_bytes());
        Ok(())
    }

    /// `sock_recv`: receives into a list of buffers, and stores how many bytes came at `ro_datalen`,
    /// 0 at the end, and 0 at `ro_flags`: of a byte stream nothing is ever cut off.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#sock_recv)
    ///
    /// `ri_flags`: 1 leaves the bytes to be received again (into the first buffer only), 2 waits
    /// until the buffers are full or the end has come.
    ///
    /// Fails with `inval` for other flags or a listening socket, `again` instead of waiting for a
    /// `nonblock` descriptor, `connreset`.
    #[allow(clippy::too_many_arguments, reason = "as many as WASI gives it")]
    pub(super) fn sock_recv(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        ri_data: u32,
        ri_data_len: u32,
        ri_flags: u32,
        ro_datalen: u32,
        ro_flags: u32,
    ) -> Result<(), Stop> {
        let entry = self.table.get(fd)?;
        let iovecs = memory.iovecs(ri_data, ri_data_len)?;
        let ro_datalen = memory.slot::<4>(ro_datalen)?;
        let ro_flags = memory.slot::<2>(ro_flags)?;
        let socket = connected(entry)?;
        entry.demand(rights::FD_READ)?;
        if ri_flags & !(RECV_PEEK | RECV_WAITALL) != 0 {
            return Err(Errno::Inval.into());
        }
        let peek = ri_flags & RECV_PEEK != 0;
        let wait_all = ri_flags & RECV_WAITALL != 0 && !peek;
        let mut flags = RecvFlags::DONTWAIT;
        if peek {
            flags |= RecvFlags::PEEK;
        }
        let mut received = match self.resume.take() {
            Some(Progress::Filled { bytes }) if wait_all => bytes,
            _ => 0,
        };
        let rest = iovecs.skip(received);
        for range in rest.ranges() {
            let buffer = memory.bytes_mut(range.clone());
            let len = buffer.len();
            let result = loop {
                match rustix::net::recv(&**socket, &mut *buffer, flags) {
                    Err(rustix::io::Errno::INTR) => continue,
                    result => break result.map(|(_, count)| count),
                }
            };
            match result {
                Ok(count) => {
                    received += count;
                    if count == 0 || peek || (count < len && !wait_all) {
                        break;
                    }
                    if count < len {
                        let progress = Progress::Filled { bytes: received };
                        return Err(self.resume.wait(progress, read_ready(socket)));
                    }
                }
                Err(rustix::io::Errno::AGAIN) if wait_all && !entry.is_nonblocking() => {
                    let progress = Progress::Filled { bytes: received };
                    return Err(self.resume.wait(progress, read_ready(socket)));
                }
                Err(_) if received > 0 => break,
                Err(rustix::io::Errno::AGAIN) => {
                    return Err(would_block(entry.is_nonblocking(), || read_ready(socket)));
                }
                Err(errno) => return Err(Errno::from(errno).into()),
            }
        }
        memory.put(ro_flags, [0; 2]);
        put_count(memory, ro_datalen, received)
    }

    /// `sock_send`: sends a list of buffers, as `fd_write` writes it.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#sock_send)
    ///
    /// Fails with `inval` for any flags or a listening socket, `again` instead of waiting for a
    /// `nonblock` descriptor, `pipe` when the other side does not receive any more.
    pub(super) fn sock_send(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        si_data: u32,
        si_data_len: u32,
        si_flags: u32,
        so_datalen: u32,
    ) -> Result<(), Stop> {
        connected(self.table.get(fd)?)?;
        if si_flags != 0 {
            return Err(Errno::Inval.into());
        }
        self.fd_write(memory, fd, si_data, si_data_len, so_datalen)
    }

    /// `sock_shutdown`: ends receiving (`how` 1), sending (2) or both (3). The other side sees the
    /// end of what was sent.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#sock_shutdown)
    ///
    /// Fails with `inval` for anything else, `notconn` when the connection is gone.
    pub(super) fn sock_shutdown(
        &mut self,
        _memory: &mut Memory<'_>,
        fd: u32,
        how: u32,
    ) -> Result<(), Stop> {
        let entry = self.table.get(fd)?;
        let socket = match &entry.resource {
            Resource::Socket(socket) => socket,
            Resource::Listener(_) => return Err(Errno::NotConn.into()),
            _ => return Err(Errno::NotSock.into()),
        };
        entry.demand(rights::SOCK_SHUTDOWN)?;
        let how = match how {
            1 => Shutdown::Read,
            2 => Shutdown::Write,
            3 => Shutdown::Both,
            _ => return Err(Errno::Inval.into()),
        };
        Ok(rustix::net::shutdown(&**socket, how).map_err(Errno::from)?)
    }
}

/// Fails with `notsock` for what is no socket, `inval` for one that listens.
fn connected(entry: &Entry) -> Result<&Arc<Descriptor>, Errno> {
    match &entry.resource {
        Resource::Socket(socket) => Ok(socket),
        Resource::Listener(_) => Err(Errno::Inval),
        _ => Err(Errno::NotSock),
    }
}

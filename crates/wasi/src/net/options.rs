//! The options that sockets of all kinds have.

use std::os::fd::BorrowedFd;

use rustix::net::sockopt;

use super::{ErrorCode, Family};

/// Which of a socket's kernel buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The buffer for what arrives.
    Receive,
    /// The buffer for what is sent.
    Send,
}

/// A view of a socket's options.
#[derive(Debug, Clone, Copy)]
pub struct SocketOptions<'a> {
    pub(super) fd: BorrowedFd<'a>,
    pub(super) family: Family,
}

impl SocketOptions<'_> {
    /// How many hops a packet may take.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn hop_limit(self) -> Result<u8, ErrorCode> {
        match self.family {
            Family::Ipv4 => Ok(u8::try_from(sockopt::ip_ttl(self.fd)?).unwrap_or(u8::MAX)),
            Family::Ipv6 => Ok(sockopt::ipv6_unicast_hops(self.fd)?),
        }
    }

    /// Sets how many hops a packet may take.
    ///
    /// # Errors
    /// `InvalidArgument` for 0.
    pub fn set_hop_limit(self, hops: u8) -> Result<(), ErrorCode> {
        if hops == 0 {
            return Err(ErrorCode::InvalidArgument);
        }
        match self.family {
            Family::Ipv4 => sockopt::set_ip_ttl(self.fd, u32::from(hops))?,
            Family::Ipv6 => sockopt::set_ipv6_unicast_hops(self.fd, Some(hops))?,
        }
        Ok(())
    }

    /// The size of a kernel buffer, in bytes.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn buffer_size(self, direction: Direction) -> Result<u64, ErrorCode> {
        let size = match direction {
            Direction::Receive => sockopt::socket_recv_buffer_size(self.fd)?,
            Direction::Send => sockopt::socket_send_buffer_size(self.fd)?,
        };
        Ok((size / BOOKKEEPING) as u64)
    }

    /// Sets the size of a kernel buffer, in bytes. The host may round and limit it.
    ///
    /// # Errors
    /// `InvalidArgument` for 0.
    pub fn set_buffer_size(self, direction: Direction, size: u64) -> Result<(), ErrorCode> {
        if size == 0 {
            return Err(ErrorCode::InvalidArgument);
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(MAX_BUFFER);
        match direction {
            Direction::Receive => sockopt::set_socket_recv_buffer_size(self.fd, size)?,
            Direction::Send => sockopt::set_socket_send_buffer_size(self.fd, size)?,
        }
        Ok(())
    }
}

/// Linux reserves, and reports, twice what was asked for.
const BOOKKEEPING: usize = if cfg!(target_os = "linux") { 2 } else { 1 };
/// The most that can be asked for: the kernel's number is a signed 32-bit one, which it doubles.
const MAX_BUFFER: usize = (i32::MAX / 2) as usize;

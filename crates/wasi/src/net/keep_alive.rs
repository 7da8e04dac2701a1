//! Probes of idle TCP connections.

use std::time::Duration;

use rustix::net::sockopt;

use super::{ErrorCode, TcpSocket};

/// Limits of Linux; others have higher ones.
const MAX_KEEP_ALIVE_SECONDS: u64 = 32767;
const MAX_KEEP_ALIVE_COUNT: u32 = 127;

impl TcpSocket {
    /// Whether idle connections are probed.
    ///
    /// # Errors
    /// Whatever the host reports; so for all options here.
    pub fn keep_alive_enabled(&self) -> Result<bool, ErrorCode> {
        Ok(sockopt::socket_keepalive(&self.fd)?)
    }

    /// Has idle connections probed, or not.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn set_keep_alive_enabled(&self, enabled: bool) -> Result<(), ErrorCode> {
        Ok(sockopt::set_socket_keepalive(&self.fd, enabled)?)
    }

    /// How long a connection is idle before it is probed, in nanoseconds.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn keep_alive_idle_time(&self) -> Result<u64, ErrorCode> {
        Ok(nanoseconds(sockopt::tcp_keepidle(&self.fd)?))
    }

    /// Sets how long a connection is idle before it is probed, in nanoseconds, rounded up to
    /// seconds.
    ///
    /// # Errors
    /// `InvalidArgument` for 0.
    pub fn set_keep_alive_idle_time(&self, nanoseconds: u64) -> Result<(), ErrorCode> {
        Ok(sockopt::set_tcp_keepidle(
            &self.fd,
            keep_alive_duration(nanoseconds)?,
        )?)
    }

    /// The time between probes, in nanoseconds.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn keep_alive_interval(&self) -> Result<u64, ErrorCode> {
        Ok(nanoseconds(sockopt::tcp_keepintvl(&self.fd)?))
    }

    /// Sets the time between probes, in nanoseconds, rounded up to seconds.
    ///
    /// # Errors
    /// `InvalidArgument` for 0.
    pub fn set_keep_alive_interval(&self, nanoseconds: u64) -> Result<(), ErrorCode> {
        Ok(sockopt::set_tcp_keepintvl(
            &self.fd,
            keep_alive_duration(nanoseconds)?,
        )?)
    }

    /// How many probes go unanswered before the connection is given up.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn keep_alive_count(&self) -> Result<u32, ErrorCode> {
        Ok(sockopt::tcp_keepcnt(&self.fd)?)
    }

    /// Sets how many probes go unanswered before the connection is given up.
    ///
    /// # Errors
    /// `InvalidArgument` for 0.
    pub fn set_keep_alive_count(&self, count: u32) -> Result<(), ErrorCode> {
        if count == 0 {
            return Err(ErrorCode::InvalidArgument);
        }
        Ok(sockopt::set_tcp_keepcnt(
            &self.fd,
            count.min(MAX_KEEP_ALIVE_COUNT),
        )?)
    }
}

fn keep_alive_duration(nanoseconds: u64) -> Result<Duration, ErrorCode> {
    if nanoseconds == 0 {
        return Err(ErrorCode::InvalidArgument);
    }
    let seconds = nanoseconds
        .div_ceil(1_000_000_000)
        .min(MAX_KEEP_ALIVE_SECONDS);
    Ok(Duration::from_secs(seconds))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

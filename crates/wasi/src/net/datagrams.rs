//! The datagram streams of WASI 0.2: a pair of them for a socket, for one peer or for all.

use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error;

use super::ErrorCode;
use super::udp::Shared;
use crate::io::{Direction, Readiness, ready_now};

/// The most datagrams moved by one call.
const BATCH: usize = 16;

/// A datagram that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Its bytes.
    pub data: Vec<u8>,
    /// Where it came from.
    pub remote: SocketAddr,
}

/// A datagram to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingDatagram {
    /// Its bytes.
    pub data: Vec<u8>,
    /// Where it goes; may be left out where the stream has a remote address.
    pub remote: Option<SocketAddr>,
}

/// Why datagrams were not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// The network's reason.
    #[error(transparent)]
    Code(#[from] ErrorCode),
    /// The guest broke a rule of the interface, which is a trap.
    #[error("{count} datagrams to send where `check-send` permitted {permit}")]
    BeyondPermit {
        /// The datagrams that were to be sent.
        count: u64,
        /// The datagrams that were permitted.
        permit: u64,
    },
}

/// What the two streams of a pair have in common.
#[derive(Clone)]
struct Half {
    shared: Arc<Shared>,
    remote: Option<SocketAddr>,
    generation: u64,
}

/// A new pair of streams over `shared`, for one peer or for all. The previous pair works no more.
pub(super) fn pair(
    shared: &Arc<Shared>,
    remote: Option<SocketAddr>,
) -> (IncomingDatagrams, OutgoingDatagrams) {
    let half = Half {
        shared: Arc::clone(shared),
        remote,
        generation: shared.next_generation(),
    };
    let incoming = IncomingDatagrams {
        half: half.clone(),
        pending: None,
    };
    (incoming, OutgoingDatagrams { half, permit: 0 })
}

impl Half {
    fn check_current(&self) -> Result<(), ErrorCode> {
        if self.shared.generation() == self.generation {
            Ok(())
        } else {
            Err(ErrorCode::InvalidState)
        }
    }

    fn ready(&self, direction: Direction) -> Readiness {
        if self.check_current().is_err() {
            return ready_now();
        }
        self.shared.ready(direction)
    }
}

/// The datagrams that arrive.
pub struct IncomingDatagrams {
    half: Half,
    /// An error that came after datagrams, which were returned first.
    pending: Option<ErrorCode>,
}

impl IncomingDatagrams {
    /// Receives what is there, at most `max` datagrams.
    ///
    /// # Errors
    /// `InvalidState` when there is a newer pair of streams; `ConnectionRefused` and
    /// `RemoteUnreachable` when the network reports so about something that was sent.
    pub fn receive(&mut self, max: u64) -> Result<Vec<Datagram>, ErrorCode> {
        self.half.check_current()?;
        let max = usize::try_from(max).unwrap_or(usize::MAX).min(BATCH);
        let mut received = Vec::new();
        if max == 0 {
            return Ok(received);
        }
        if let Some(code) = self.pending.take() {
            return Err(code);
        }
        let mut buf = Vec::new();
        // Unwanted datagrams count too, so that a flood of them cannot hold the thread.
        for _ in 0..max {
            match self.half.shared.receive(self.half.remote, &mut buf) {
                Ok(Some(datagram)) => received.push(datagram),
                Ok(None) => {}
                Err(ErrorCode::WouldBlock) => break,
                Err(code) if received.is_empty() => return Err(code),
                Err(code) => {
                    self.pending = Some(code);
                    break;
                }
            }
        }
        Ok(received)
    }

    /// Done once there is something to receive.
    pub fn ready(&self) -> Readiness {
        if self.pending.is_some() {
            return ready_now();
        }
        self.half.ready(Direction::Read)
    }
}

/// Where datagrams are sent.
pub struct OutgoingDatagrams {
    half: Half,
    permit: u64,
}

impl OutgoingDatagrams {
    /// How many datagrams the next [`send`](Self::send) may hold; 0 for none now.
    ///
    /// # Errors
    /// `InvalidState` when there is a newer pair of streams.
    pub fn check_send(&mut self) -> Result<u64, ErrorCode> {
        self.half.check_current()?;
        self.permit = if self.half.shared.is_ready_to_send() {
            BATCH as u64
        } else {
            0
        };
        Ok(self.permit)
    }

    /// Sends datagrams in order, and says how many were sent.
    ///
    /// # Errors
    /// [`SendError::BeyondPermit`]; otherwise the reason why the first one was not sent, such as
    /// `InvalidArgument` for an address that does not fit, `AccessDenied`, `DatagramTooLarge`.
    pub fn send(&mut self, datagrams: &[OutgoingDatagram]) -> Result<u64, SendError> {
        let count = datagrams.len() as u64;
        if count == 0 {
            return Ok(0);
        }
        if count > self.permit {
            return Err(SendError::BeyondPermit {
                count,
                permit: self.permit,
            });
        }
        self.permit -= count;
        self.half.check_current()?;
        let mut sent = 0;
        for datagram in datagrams {
            let Half { shared, remote, .. } = &self.half;
            match shared.send(*remote, &datagram.data, datagram.remote) {
                Ok(()) => sent += 1,
                Err(ErrorCode::WouldBlock) => break,
                Err(code) if sent == 0 => return Err(code.into()),
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// Done once [`check_send`](Self::check_send) would answer anything but 0.
    pub fn ready(&self) -> Readiness {
        self.half.ready(Direction::Write)
    }
}

//! UDP sockets and their datagram streams.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketType};
use thiserror::Error;

use super::tcp::{bind_error, local_address, open};
use super::{ErrorCode, Family, Policy, SocketOptions};
use crate::io::{Descriptor, Direction, Readiness, ready_now};

/// The most datagrams moved by one call.
const BATCH: usize = 16;
/// No datagram is longer, in bytes.
const LONGEST: usize = 65_535;

/// A UDP socket.
pub struct UdpSocket {
    shared: Arc<Shared>,
    state: State,
}

enum State {
    Unbound,
    BindInProgress,
    Bound { remote: Option<SocketAddr> },
}

struct Shared {
    fd: Arc<OwnedFd>,
    descriptor: Arc<Descriptor>,
    family: Family,
    policy: Policy,
    /// Which pair of streams is the newest; older ones work no more.
    generation: AtomicU64,
}

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

impl UdpSocket {
    /// A new socket, unbound, whose datagrams are subject to `policy`.
    ///
    /// # Errors
    /// `NotSupported` when the host lacks the family, `NewSocketLimit`.
    pub fn new(family: Family, policy: Policy) -> Result<Self, ErrorCode> {
        let fd = Arc::new(open(family, SocketType::DGRAM)?);
        Ok(Self {
            shared: Arc::new(Shared {
                descriptor: Arc::new(Descriptor::socket(Arc::clone(&fd))),
                fd,
                family,
                policy,
                generation: AtomicU64::new(0),
            }),
            state: State::Unbound,
        })
    }

    /// Binds to `local`.
    ///
    /// # Errors
    /// `InvalidArgument` for an address of the wrong family; `InvalidState` when bound already;
    /// `AccessDenied`; `AddressInUse`; `AddressNotBindable`.
    pub fn start_bind(&mut self, local: SocketAddr) -> Result<(), ErrorCode> {
        match self.state {
            State::Unbound => {}
            State::BindInProgress => return Err(ErrorCode::ConcurrencyConflict),
            State::Bound { .. } => return Err(ErrorCode::InvalidState),
        }
        self.shared.family.check_local(&local)?;
        self.shared.policy.check_bind_udp(&local)?;
        rustix::net::bind(&self.shared.fd, &local).map_err(bind_error)?;
        self.state = State::BindInProgress;
        Ok(())
    }

    /// Finishes binding.
    ///
    /// # Errors
    /// `NotInProgress`.
    pub fn finish_bind(&mut self) -> Result<(), ErrorCode> {
        match self.state {
            State::BindInProgress => {
                self.state = State::Bound { remote: None };
                Ok(())
            }
            _ => Err(ErrorCode::NotInProgress),
        }
    }

    /// A new pair of streams, for one peer or for all; the previous pair works no more.
    ///
    /// # Errors
    /// `InvalidState` unless bound; `InvalidArgument` for an address of the wrong family, mapped,
    /// unspecified or with port 0; `AccessDenied`; `RemoteUnreachable`.
    pub fn stream(
        &mut self,
        remote: Option<SocketAddr>,
    ) -> Result<(IncomingDatagrams, OutgoingDatagrams), ErrorCode> {
        let State::Bound { remote: previous } = &mut self.state else {
            return Err(ErrorCode::InvalidState);
        };
        if let Some(remote) = &remote {
            self.shared.family.check_remote(remote)?;
            self.shared.policy.check_connect(remote)?;
        }
        if previous.take().is_some() {
            rustix::net::connect_unspec(&self.shared.fd)?;
        }
        if let Some(remote) = &remote {
            rustix::net::connect(&self.shared.fd, remote)?;
        }
        *previous = remote;
        let generation = self.shared.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let half = Half {
            shared: Arc::clone(&self.shared),
            remote,
            generation,
        };
        Ok((
            IncomingDatagrams {
                half: half.clone(),
                pending: None,
            },
            OutgoingDatagrams { half, permit: 0 },
        ))
    }

    /// The address this socket is bound to.
    ///
    /// # Errors
    /// `InvalidState` unless bound.
    pub fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        match self.state {
            State::Bound { .. } => local_address(&self.shared.fd),
            _ => Err(ErrorCode::InvalidState),
        }
    }

    /// The one peer of the current streams.
    ///
    /// # Errors
    /// `InvalidState` without one.
    pub fn remote_address(&self) -> Result<SocketAddr, ErrorCode> {
        match self.state {
            State::Bound {
                remote: Some(remote),
            } => Ok(remote),
            _ => Err(ErrorCode::InvalidState),
        }
    }

    /// The kind of its addresses.
    pub fn family(&self) -> Family {
        self.shared.family
    }

    /// Hop limit and buffer sizes.
    pub fn options(&self) -> SocketOptions<'_> {
        SocketOptions {
            fd: self.shared.fd.as_fd(),
            family: self.shared.family,
        }
    }

    /// Done at once: nothing a socket does by itself takes time here.
    pub fn ready(&self) -> Readiness {
        ready_now()
    }
}

/// What the two streams of a pair have in common.
#[derive(Clone)]
struct Half {
    shared: Arc<Shared>,
    remote: Option<SocketAddr>,
    generation: u64,
}

impl Half {
    fn check_current(&self) -> Result<(), ErrorCode> {
        if self.shared.generation.load(Ordering::Acquire) == self.generation {
            Ok(())
        } else {
            Err(ErrorCode::InvalidState)
        }
    }

    fn ready(&self, direction: Direction) -> Readiness {
        if self.check_current().is_err() {
            return ready_now();
        }
        self.shared.descriptor.ready(direction)
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
        let local = local_address(&self.half.shared.fd)?;
        let mut buf = vec![0; LONGEST];
        // Unwanted datagrams count too, so that a flood of them cannot hold the thread.
        for _ in 0..max {
            match rustix::net::recvfrom(&self.half.shared.fd, &mut buf[..], RecvFlags::DONTWAIT) {
                Ok((_, len, from)) => {
                    let from = from.and_then(|address| SocketAddr::try_from(address).ok());
                    let Some(remote) = from.filter(|from| self.wants(&local, from)) else {
                        continue;
                    };
                    received.push(Datagram {
                        data: buf[..len].to_vec(),
                        remote,
                    });
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) if received.is_empty() => return Err(errno.into()),
                Err(errno) => {
                    self.pending = Some(errno.into());
                    break;
                }
            }
        }
        Ok(received)
    }

    /// Datagrams that arrived before the socket got its one peer may be from others.
    fn wants(&self, local: &SocketAddr, from: &SocketAddr) -> bool {
        match &self.half.remote {
            Some(remote) => remote.ip() == from.ip() && remote.port() == from.port(),
            None => self.half.shared.policy.may_receive(local, from),
        }
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
        self.permit = if self.half.shared.descriptor.is_ready(Direction::Write) {
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
            match self.send_one(datagram) {
                Ok(()) => sent += 1,
                Err(ErrorCode::WouldBlock) => break,
                Err(code) if sent == 0 => return Err(code.into()),
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    fn send_one(&self, datagram: &OutgoingDatagram) -> Result<(), ErrorCode> {
        let Half { shared, remote, .. } = &self.half;
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let data = &datagram.data[..];
        let to = match (remote, &datagram.remote) {
            (Some(_), None) => None,
            (Some(peer), Some(to)) if peer == to => None,
            (Some(_), Some(_)) | (None, None) => return Err(ErrorCode::InvalidArgument),
            (None, Some(to)) => {
                shared.family.check_remote(to)?;
                shared.policy.check_connect(to)?;
                Some(to)
            }
        };
        loop {
            let answer = match to {
                Some(to) => rustix::net::sendto(&shared.fd, data, flags, to),
                None => rustix::net::send(&shared.fd, data, flags),
            };
            match answer {
                Err(Errno::INTR) => {}
                answer => return answer.map(drop).map_err(ErrorCode::from),
            }
        }
    }

    /// Done once [`check_send`](Self::check_send) would answer anything but 0.
    pub fn ready(&self) -> Readiness {
        self.half.ready(Direction::Write)
    }
}

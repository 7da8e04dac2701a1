//! UDP sockets.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketType};

use super::datagrams::{self, Datagram, IncomingDatagrams, OutgoingDatagrams};
use super::tcp::{bind_error, local_address, open};
use super::{ErrorCode, Family, Policy, SocketOptions};
use crate::io::{Descriptor, Direction, Readiness, ready_now};

/// No datagram is longer, in bytes.
const LONGEST: usize = 65_535;
/// How many datagrams that nobody wants are passed over at once.
const UNWANTED: usize = 16;

/// A UDP socket.
pub struct UdpSocket {
    shared: Arc<Shared>,
    state: State,
}

enum State {
    Unbound,
    BindInProgress,
    Bound {
        /// What it was bound to, with the port the host chose.
        local: SocketAddr,
        remote: Option<SocketAddr>,
    },
}

/// A socket of the operating system, as whoever sends and receives needs it.
pub(super) struct Shared {
    fd: Arc<OwnedFd>,
    descriptor: Arc<Descriptor>,
    family: Family,
    policy: Policy,
    /// Which pair of streams is the newest; older ones work no more.
    generation: AtomicU64,
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
                self.state = State::Bound {
                    local: local_address(&self.shared.fd)?,
                    remote: None,
                };
                Ok(())
            }
            _ => Err(ErrorCode::NotInProgress),
        }
    }

    /// Binds to `local` and finishes that, as WASI 0.3 has it.
    ///
    /// # Errors
    /// As [`start_bind`](Self::start_bind).
    pub fn bind(&mut self, local: SocketAddr) -> Result<(), ErrorCode> {
        self.start_bind(local)?;
        self.finish_bind()
    }

    /// Binds to a port of the host's choice, unless it is bound.
    fn bind_implicitly(&mut self) -> Result<(), ErrorCode> {
        match self.state {
            State::Unbound => self.bind(self.shared.family.any_address()),
            _ => Ok(()),
        }
    }

    /// Makes `remote` the one peer, instead of the one before; binds the socket unless it is bound.
    ///
    /// # Errors
    /// `InvalidArgument` for an address of the wrong family, mapped, unspecified or with port 0;
    /// `AccessDenied`; `AddressInUse`; `RemoteUnreachable`.
    pub fn connect(&mut self, remote: SocketAddr) -> Result<(), ErrorCode> {
        self.shared.family.check_remote(&remote)?;
        self.shared.policy.check_connect(&remote)?;
        self.bind_implicitly()?;
        self.set_remote(Some(remote))
    }

    /// Leaves the peer: from now on the socket hears from all, and sends to all, that it may.
    ///
    /// # Errors
    /// `InvalidState` without one.
    pub fn disconnect(&mut self) -> Result<(), ErrorCode> {
        self.remote_address()?;
        self.set_remote(None)
    }

    fn set_remote(&mut self, remote: Option<SocketAddr>) -> Result<(), ErrorCode> {
        let State::Bound {
            local,
            remote: current,
        } = &mut self.state
        else {
            return Err(ErrorCode::InvalidState);
        };
        let fd = &self.shared.fd;
        if current.take().is_some() {
            rustix::net::connect_unspec(fd)?;
            // The kernel takes a port back that it chose itself.
            if local_address(fd)?.port() != local.port() {
                rustix::net::bind(fd, local).map_err(bind_error)?;
            }
        }
        if let Some(remote) = &remote {
            rustix::net::connect(fd, remote)?;
        }
        *current = remote;
        Ok(())
    }

    /// Sends one datagram without waiting, to the one peer or to `remote`; binds the socket unless
    /// it is bound.
    ///
    /// # Errors
    /// `WouldBlock`, and [`ready_to_send`](Self::ready_to_send) tells when to try again;
    /// `InvalidArgument` for an address that does not fit, or none where one is needed;
    /// `AccessDenied`; `DatagramTooLarge`; `ConnectionRefused`; `RemoteUnreachable`.
    pub fn try_send(&mut self, data: &[u8], remote: Option<SocketAddr>) -> Result<(), ErrorCode> {
        // What makes no sense, or is not allowed, leaves the socket as it was.
        if let Some(remote) = &remote {
            self.shared.family.check_remote(remote)?;
            self.shared.policy.check_connect(remote)?;
        } else if self.remote_address().is_err() {
            return Err(ErrorCode::InvalidArgument);
        }
        self.bind_implicitly()?;
        self.shared.send(self.remote_address().ok(), data, remote)
    }

    /// Receives one datagram without waiting.
    ///
    /// # Errors
    /// `InvalidState` unless bound; `WouldBlock`, and
    /// [`ready_to_receive`](Self::ready_to_receive) tells when to try again; `ConnectionRefused`
    /// and `RemoteUnreachable` when the network reports so about something that was sent.
    pub fn try_receive(&self) -> Result<Datagram, ErrorCode> {
        let State::Bound { remote, .. } = self.state else {
            return Err(ErrorCode::InvalidState);
        };
        // A flood of unwanted datagrams must not hold the thread: there are more after the next wait.
        let mut buf = Vec::new();
        for _ in 0..UNWANTED {
            if let Some(datagram) = self.shared.receive(remote, &mut buf)? {
                return Ok(datagram);
            }
        }
        Err(ErrorCode::WouldBlock)
    }

    /// Done once [`try_send`](Self::try_send) would not answer `WouldBlock`.
    pub fn ready_to_send(&self) -> Readiness {
        self.shared.ready(Direction::Write)
    }

    /// Done once there is something to receive.
    pub fn ready_to_receive(&self) -> Readiness {
        self.shared.ready(Direction::Read)
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
        if !matches!(self.state, State::Bound { .. }) {
            return Err(ErrorCode::InvalidState);
        }
        if let Some(remote) = &remote {
            self.shared.family.check_remote(remote)?;
            self.shared.policy.check_connect(remote)?;
        }
        self.set_remote(remote)?;
        Ok(datagrams::pair(&self.shared, remote))
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
                ..
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

impl Shared {
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn next_generation(&self) -> u64 {
        self.generation.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(super) fn is_ready_to_send(&self) -> bool {
        self.descriptor.is_ready(Direction::Write)
    }

    pub(super) fn ready(&self, direction: Direction) -> Readiness {
        self.descriptor.ready(direction)
    }

    /// Receives a datagram by way of `buf`; `None` for one that is not wanted.
    pub(super) fn receive(
        &self,
        peer: Option<SocketAddr>,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Datagram>, ErrorCode> {
        buf.resize(LONGEST, 0);
        let (len, from) = loop {
            match rustix::net::recvfrom(&self.fd, &mut buf[..], RecvFlags::DONTWAIT) {
                Ok((_, len, from)) => break (len, from),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        };
        let Some(remote) = from.and_then(|from| SocketAddr::try_from(from).ok()) else {
            return Ok(None);
        };
        if !self.wants(peer, &remote)? {
            return Ok(None);
        }
        Ok(Some(Datagram {
            data: buf[..len].to_vec(),
            remote,
        }))
    }

    /// Datagrams that arrived before the socket got its one peer may be from others.
    fn wants(&self, peer: Option<SocketAddr>, from: &SocketAddr) -> Result<bool, ErrorCode> {
        match peer {
            Some(peer) => Ok(peer.ip() == from.ip() && peer.port() == from.port()),
            None => Ok(self.policy.may_receive(&local_address(&self.fd)?, from)),
        }
    }

    /// Sends a datagram, to the one peer or to `to`.
    pub(super) fn send(
        &self,
        peer: Option<SocketAddr>,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Result<(), ErrorCode> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let to = match (peer, to) {
            (Some(_), None) => None,
            (Some(peer), Some(to)) if peer == to => None,
            (Some(_), Some(_)) | (None, None) => return Err(ErrorCode::InvalidArgument),
            (None, Some(to)) => {
                self.family.check_remote(&to)?;
                self.policy.check_connect(&to)?;
                Some(to)
            }
        };
        loop {
            let answer = match &to {
                Some(to) => rustix::net::sendto(&self.fd, data, flags, to),
                None => rustix::net::send(&self.fd, data, flags),
            };
            match answer {
                Err(Errno::INTR) => {}
                answer => return answer.map(drop).map_err(ErrorCode::from),
            }
        }
    }
}

//! Reading and writing a descriptor of the operating system without ever waiting in it, whatever it
//! is and whoever shares it.
//!
//! `O_NONBLOCK` belongs to the open file description, which for descriptors 0 to 2 is shared with
//! other processes: setting it would break them, so it is never set. Each kind of descriptor has a
//! way of its own instead, see [`Manner`].

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, OnceLock};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::endpoint::{Kind, Read, Write};
use super::reactor;
use super::readiness::Readiness;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// How one call is kept from waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It never waits for an event: a regular file, `/dev/null` and the like.
    Plain,
    /// `MSG_DONTWAIT`.
    Socket,
    /// `RWF_NOWAIT`, for pipes. Kernels before 6.4 refuse it.
    #[cfg(target_os = "linux")]
    NoWait,
    /// `O_NONBLOCK` on a description of our own: a terminal opened once more, a file of the guest's.
    NonBlocking,
    /// `poll` says that a call will not wait, then the call is made. When another process takes the
    /// last byte in between, the call waits for the next one.
    PollFirst,
}

/// When a pipe polls as writable it has room for at least this much (`PIPE_BUF`).
const PIPE_ROOM: usize = 4096;
/// For fewer bytes a copy takes no longer than asking how many there are.
const ASKED_FROM: u64 = 4096;
/// When a terminal polls as writable it has room for at least this much.
const TERMINAL_ROOM: usize = 256;

/// An open descriptor, shared by the endpoints that read and write it.
pub(crate) struct Descriptor {
    fd: Arc<OwnedFd>,
    kind: Kind,
    manner: Manner,
    /// The registration for waiting, made by the first wait. `None`: it cannot be watched.
    watch: OnceLock<Option<AsyncFd<Watched>>>,
}

/// What the event queue holds of a descriptor.
struct Watched(Arc<OwnedFd>);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Descriptor {
    /// Takes over `fd` for transfers in one direction.
    ///
    /// # Errors
    /// When `fd` cannot be examined.
    pub(crate) fn new(fd: OwnedFd, direction: Direction) -> io::Result<Self> {
        let stat = rustix::fs::fstat(&fd)?;
        let (fd, kind, manner) = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => (fd, Kind::File, Manner::Plain),
            FileType::Socket => (fd, Kind::Socket, Manner::Socket),
            #[cfg(target_os = "linux")]
            FileType::Fifo => (fd, Kind::Pipe, Manner::NoWait),
            #[cfg(not(target_os = "linux"))]
            FileType::Fifo => (fd, Kind::Pipe, Manner::PollFirst),
            FileType::CharacterDevice if rustix::termios::isatty(&fd) => {
                match reopen(fd.as_fd(), direction) {
                    Ok(own) => (own, Kind::Terminal, Manner::NonBlocking),
                    Err(_) => (fd, Kind::Terminal, Manner::PollFirst),
                }
            }
            // The memory devices: null, zero, full, random, urandom.
            #[cfg(target_os = "linux")]
            FileType::CharacterDevice if rustix::fs::major(stat.st_rdev) == 1 => {
                (fd, Kind::CharacterDevice, Manner::Plain)
            }
            FileType::CharacterDevice => (fd, Kind::CharacterDevice, Manner::PollFirst),
            _ => (fd, Kind::Other, Manner::PollFirst),
        };
        Ok(Self {
            fd: Arc::new(fd),
            kind,
            manner,
            watch: OnceLock::new(),
        })
    }

    /// Takes over a socket, for both directions.
    pub(crate) fn socket(fd: Arc<OwnedFd>) -> Self {
        Self {
            fd,
            kind: Kind::Socket,
            manner: Manner::Socket,
            watch: OnceLock::new(),
        }
    }

    /// Takes over a descriptor that is non-blocking already and shared with nobody who minds.
    pub(crate) fn nonblocking(fd: Arc<OwnedFd>, kind: Kind) -> Self {
        Self {
            fd,
            kind,
            manner: Manner::NonBlocking,
            watch: OnceLock::new(),
        }
    }

    /// What it is connected to.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Reads what is there into `buf`.
    pub(crate) fn try_read(&self, buf: &mut [u8]) -> Read {
        if buf.is_empty() {
            return Read::Bytes(0);
        }
        read_answer(self.read_once(buf))
    }

    /// Reads what is there into fresh memory, at most `max` bytes.
    pub(crate) fn try_read_vec(&self, max: usize) -> (Vec<u8>, Read) {
        let mut bytes = Vec::with_capacity(max);
        // Whoever fills spare capacity fills all of it, and the allocator may have given more.
        let plain = matches!(self.manner, Manner::Plain | Manner::NonBlocking);
        if max == 0 || !plain || bytes.capacity() != max {
            bytes.resize(max, 0);
            let answer = self.try_read(&mut bytes);
            bytes.truncate(match answer {
                Read::Bytes(count) => count,
                _ => 0,
            });
            return (bytes, answer);
        }
        let answer = retry_interrupted(|| {
            rustix::io::read(&self.fd, rustix::buffer::spare_capacity(&mut bytes))
        });
        (bytes, read_answer(answer))
    }

    /// How many bytes are there to be read, if the system tells: at least one. Of more than the system can count it tells any part.
    /// It is not asked when only a few are wanted, which are copied sooner.
    pub(crate) fn available(&self, len: u64) -> Option<u64> {
        if len < ASKED_FROM {
            return None;
        }
        rustix::io::ioctl_fionread(&self.fd)
            .ok()
            .filter(|&count| count > 0)
    }

    /// Writes as much of `bytes` as is taken now.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> Write {
        if bytes.is_empty() {
            return Write::Bytes(0);
        }
        match self.write_once(bytes) {
            Ok(0) | Err(Errno::AGAIN) => Write::WouldBlock,
            Ok(count) => Write::Bytes(count),
            Err(errno) => Write::Failed(errno.into()),
        }
    }

    fn read_once(&self, buf: &mut [u8]) -> rustix::io::Result<usize> {
        retry_interrupted(|| match self.manner {
            Manner::Plain | Manner::NonBlocking => rustix::io::read(&self.fd, &mut *buf),
            Manner::Socket => {
                rustix::net::recv(&self.fd, &mut *buf, RecvFlags::DONTWAIT).map(|(_, count)| count)
            }
            #[cfg(target_os = "linux")]
            Manner::NoWait => {
                let mut slices = [io::IoSliceMut::new(buf)];
                let flags = rustix::io::ReadWriteFlags::NOWAIT;
                match rustix::io::preadv2(&self.fd, &mut slices, u64::MAX, flags) {
                    Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                        self.read_after_poll(buf)
                    }
                    answer => answer,
                }
            }
            Manner::PollFirst => self.read_after_poll(buf),
        })
    }

    fn read_after_poll(&self, buf: &mut [u8]) -> rustix::io::Result<usize> {
        if self.is_ready(Direction::Read) {
            rustix::io::read(&self.fd, buf)
        } else {
            Err(Errno::AGAIN)
        }
    }

    fn write_once(&self, bytes: &[u8]) -> rustix::io::Result<usize> {
        retry_interrupted(|| match self.manner {
            Manner::Plain | Manner::NonBlocking => rustix::io::write(&self.fd, bytes),
            Manner::Socket => {
                rustix::net::send(&self.fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
            }
            #[cfg(target_os = "linux")]
            Manner::NoWait => {
                let slices = [io::IoSlice::new(bytes)];
                let flags = rustix::io::ReadWriteFlags::NOWAIT;
                match rustix::io::pwritev2(&self.fd, &slices, u64::MAX, flags) {
                    Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                        self.write_after_poll(bytes)
                    }
                    answer => answer,
                }
            }
            Manner::PollFirst => self.write_after_poll(bytes),
        })
    }

    fn write_after_poll(&self, bytes: &[u8]) -> rustix::io::Result<usize> {
        if !self.is_ready(Direction::Write) {
            return Err(Errno::AGAIN);
        }
        let room = match self.kind {
            Kind::Pipe => PIPE_ROOM,
            _ => TERMINAL_ROOM,
        };
        rustix::io::write(&self.fd, &bytes[..bytes.len().min(room)])
    }

    /// Whether a transfer would be answered at once, be it with an error.
    pub(crate) fn is_ready(&self, direction: Direction) -> bool {
        if self.manner == Manner::Plain {
            return true;
        }
        let events = match direction {
            Direction::Read => PollFlags::IN,
            Direction::Write => PollFlags::OUT,
        };
        let mut fds = [PollFd::new(&*self.fd, events)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // A failing `poll` counts as ready: the transfer then reports what is wrong.
        retry_interrupted(|| rustix::event::poll(&mut fds, Some(&at_once))).is_ok_and(|n| n > 0)
    }

    /// Done once [`is_ready`](Self::is_ready).
    pub(crate) fn ready(self: &Arc<Self>, direction: Direction) -> Readiness {
        let descriptor = Arc::clone(self);
        Box::pin(async move {
            if descriptor.is_ready(direction) {
                return;
            }
            let Some(watch) = descriptor.watch() else {
                return;
            };
            loop {
                let guard = match direction {
                    Direction::Read => watch.readable().await,
                    Direction::Write => watch.writable().await,
                };
                let Ok(mut guard) = guard else { return };
                // The registration remembers old events. Only one that came after the guard was
                // made survives `clear_ready`, so none is lost between the two lines.
                if descriptor.is_ready(direction) {
                    return;
                }
                guard.clear_ready();
            }
        })
    }

    /// The registration with the event queue, `None` for what the queue refuses: such descriptors
    /// are always ready.
    #[expect(
        deprecated,
        reason = "its replacement is `unsafe` since `AsRawFd` promises nothing; `Watched` owns its descriptor"
    )]
    fn watch(&self) -> Option<&AsyncFd<Watched>> {
        self.watch
            .get_or_init(|| {
                let _entered = reactor::handle().ok()?.enter();
                let watch = |fd| {
                    AsyncFd::with_interest(Watched(fd), Interest::READABLE | Interest::WRITABLE)
                };
                watch(Arc::clone(&self.fd))
                    // The queue knows a descriptor by its number, and only once: another endpoint
                    // may watch this one already.
                    .or_else(|_| watch(Arc::new(self.fd.try_clone()?)))
                    .ok()
            })
            .as_ref()
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens what `fd` is open on once more, so that the new description can be non-blocking without
/// anybody else noticing.
fn reopen(fd: BorrowedFd<'_>, direction: Direction) -> rustix::io::Result<OwnedFd> {
    let access = match direction {
        Direction::Read => OFlags::RDONLY,
        Direction::Write => OFlags::WRONLY,
    };
    let path = format!("/dev/fd/{}", fd.as_raw_fd());
    let own = rustix::fs::open(
        path,
        access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    // Where opening such a path merely duplicates, the flag was not set, and must not be.
    if !rustix::fs::fcntl_getfl(&own)?.contains(OFlags::NONBLOCK) {
        return Err(Errno::NOTSUP);
    }
    Ok(own)
}

/// What the answer to reading into some room means.
fn read_answer(answer: rustix::io::Result<usize>) -> Read {
    match answer {
        Ok(0) => Read::Closed,
        Ok(count) => Read::Bytes(count),
        Err(Errno::AGAIN) => Read::WouldBlock,
        Err(errno) => Read::Failed(errno.into()),
    }
}

fn retry_interrupted<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}

//! Endpoints on descriptors of the operating system, above all on the standard streams of the
//! process.
//!
//! Nothing is buffered: a write goes to the descriptor before it is acknowledged, and a read takes
//! no byte that was not asked for, so that other processes on the same terminal or pipe see what
//! they would see of a native program.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::descriptor::{Descriptor, Direction};
use super::endpoint::{Input, Kind, Output, Read, Write};
use super::null::{DiscardOutput, EmptyInput};
use super::readiness::Readiness;

/// An input on a descriptor: a file, pipe, terminal, socket or device.
#[derive(Clone)]
pub struct FdInput(Arc<Descriptor>);

impl FdInput {
    /// Takes over `fd`.
    ///
    /// # Errors
    /// When `fd` cannot be examined.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        Descriptor::new(fd, Direction::Read).map(|descriptor| Self(Arc::new(descriptor)))
    }
}

impl Input for FdInput {
    fn try_read(&mut self, buf: &mut [u8]) -> Read {
        self.0.try_read(buf)
    }

    fn try_read_vec(&mut self, max: usize) -> (Vec<u8>, Read) {
        self.0.try_read_vec(max)
    }

    fn available(&mut self, len: u64) -> Option<u64> {
        self.0.available(len)
    }

    fn ready(&mut self) -> Readiness {
        self.0.ready(Direction::Read)
    }

    fn kind(&self) -> Kind {
        self.0.kind()
    }
}

/// An output on a descriptor: a file, pipe, terminal, socket or device.
///
/// Writing to a pipe nobody reads is the error `EPIPE`. A Rust program is not killed by the signal
/// that comes with it, since the standard library ignores `SIGPIPE` at start; any other embedder
/// must do the same.
#[derive(Clone)]
pub struct FdOutput(Arc<Descriptor>);

impl FdOutput {
    /// Takes over `fd`.
    ///
    /// # Errors
    /// When `fd` cannot be examined.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        Descriptor::new(fd, Direction::Write).map(|descriptor| Self(Arc::new(descriptor)))
    }

    pub(crate) fn from_descriptor(descriptor: Arc<Descriptor>) -> Self {
        Self(descriptor)
    }
}

impl Output for FdOutput {
    fn try_write(&mut self, bytes: &[u8]) -> Write {
        self.0.try_write(bytes)
    }

    fn ready(&mut self) -> Readiness {
        self.0.ready(Direction::Write)
    }

    fn kind(&self) -> Kind {
        self.0.kind()
    }
}

impl AsFd for FdOutput {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The standard input of this process; at its end when descriptor 0 is closed.
pub fn stdin() -> Box<dyn Input> {
    match duplicate(rustix::stdio::stdin()).and_then(FdInput::new) {
        Ok(input) => Box::new(input),
        Err(_) => Box::new(EmptyInput),
    }
}

/// The standard output of this process; what is written to it is discarded when descriptor 1 is
/// closed.
pub fn stdout() -> Box<dyn Output> {
    output(rustix::stdio::stdout())
}

/// The standard error output of this process; what is written to it is discarded when descriptor 2
/// is closed.
pub fn stderr() -> Box<dyn Output> {
    output(rustix::stdio::stderr())
}

fn output(fd: impl AsFd) -> Box<dyn Output> {
    match duplicate(fd).and_then(FdOutput::new) {
        Ok(output) => Box::new(output),
        Err(_) => Box::new(DiscardOutput),
    }
}

/// A descriptor of our own, so that whatever happens to the guest's handle, descriptors 0 to 2 stay
/// open for the embedder.
fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use rustix::fs::OFlags;

    use super::*;

    fn pipe() -> (FdInput, OwnedFd, FdOutput) {
        let (read_end, write_end) = rustix::pipe::pipe().unwrap();
        let kept = read_end.try_clone().unwrap();
        (
            FdInput::new(read_end).unwrap(),
            kept,
            FdOutput::new(write_end).unwrap(),
        )
    }

    async fn soon(readiness: Readiness) {
        tokio::time::timeout(Duration::from_secs(10), readiness)
            .await
            .expect("becomes ready");
    }

    #[test]
    fn empty_pipe_would_block_although_its_description_is_blocking() {
        let (mut input, kept, _output) = pipe();
        assert!(matches!(input.try_read(&mut [0; 8]), Read::WouldBlock));
        assert!(
            !rustix::fs::fcntl_getfl(&kept)
                .unwrap()
                .contains(OFlags::NONBLOCK)
        );
    }

    #[test]
    fn full_pipe_takes_a_part_and_then_would_block() {
        let (mut input, _kept, mut output) = pipe();
        let megabyte = vec![7; 1 << 20];
        let mut taken = 0;
        while let Write::Bytes(count) = output.try_write(&megabyte) {
            taken += count;
        }
        assert!(taken > 0 && taken < megabyte.len());
        assert!(matches!(output.try_write(b"x"), Write::WouldBlock));
        let mut back = vec![0; taken];
        assert!(matches!(input.try_read(&mut back), Read::Bytes(n) if n > 0));
    }

    #[tokio::test]
    async fn reader_wakes_when_bytes_arrive_and_again_at_the_end() {
        let (mut input, _kept, mut output) = pipe();
        let ready = input.ready();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            assert!(matches!(output.try_write(b"tide"), Write::Bytes(4)));
            std::thread::sleep(Duration::from_millis(20));
        });
        soon(ready).await;
        let mut buf = [0; 8];
        assert!(matches!(input.try_read(&mut buf), Read::Bytes(4)));
        assert!(matches!(input.try_read(&mut buf), Read::WouldBlock));
        soon(input.ready()).await;
        assert!(matches!(input.try_read(&mut buf), Read::Closed));
        writer.join().unwrap();
    }

    #[tokio::test]
    async fn writer_wakes_when_room_appears() {
        let (mut input, _kept, mut output) = pipe();
        while let Write::Bytes(_) = output.try_write(&[0; 4096]) {}
        let ready = output.ready();
        let reader = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            let mut buf = vec![0; 1 << 20];
            while let Read::Bytes(_) = input.try_read(&mut buf) {}
            input
        });
        soon(ready).await;
        assert!(matches!(output.try_write(b"more"), Write::Bytes(4)));
        reader.join().unwrap();
    }

    #[test]
    fn pipe_without_a_reader_is_a_broken_pipe() {
        let (input, kept, mut output) = pipe();
        drop((input, kept));
        match output.try_write(b"lost") {
            Write::Failed(error) => assert_eq!(error.kind(), io::ErrorKind::BrokenPipe),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn regular_file_is_always_ready_and_ends() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"page").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let mut input = FdInput::new(file.into()).unwrap();
        assert_eq!(input.kind(), Kind::File);
        soon(input.ready()).await;
        let mut buf = [0; 8];
        assert!(matches!(input.try_read(&mut buf), Read::Bytes(4)));
        assert!(matches!(input.try_read(&mut buf), Read::Closed));
    }

    #[tokio::test]
    async fn socket_would_block_and_then_ends() {
        let (left, right) = UnixStream::pair().unwrap();
        let mut input = FdInput::new(left.into()).unwrap();
        assert_eq!(input.kind(), Kind::Socket);
        assert!(matches!(input.try_read(&mut [0; 1]), Read::WouldBlock));
        drop(right);
        soon(input.ready()).await;
        assert!(matches!(input.try_read(&mut [0; 1]), Read::Closed));
    }

    #[tokio::test]
    async fn terminal_does_not_block_and_its_description_stays_blocking() {
        let controller =
            rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY)
                .unwrap();
        rustix::pty::grantpt(&controller).unwrap();
        rustix::pty::unlockpt(&controller).unwrap();
        let name = rustix::pty::ptsname(&controller, Vec::new()).unwrap();
        let terminal = rustix::fs::open(
            name,
            OFlags::RDWR | OFlags::NOCTTY,
            rustix::fs::Mode::empty(),
        )
        .unwrap();
        let kept = terminal.try_clone().unwrap();
        let mut input = FdInput::new(terminal).unwrap();
        assert_eq!(input.kind(), Kind::Terminal);
        assert!(matches!(input.try_read(&mut [0; 8]), Read::WouldBlock));
        assert!(
            !rustix::fs::fcntl_getfl(&kept)
                .unwrap()
                .contains(OFlags::NONBLOCK)
        );
        rustix::io::write(&controller, b"hi\n").unwrap();
        soon(input.ready()).await;
        assert!(matches!(input.try_read(&mut [0; 8]), Read::Bytes(3)));
    }

    #[test]
    fn null_device_takes_everything() {
        let null = std::fs::File::options()
            .write(true)
            .open("/dev/null")
            .unwrap();
        let mut output = FdOutput::new(null.into()).unwrap();
        assert!(matches!(output.try_write(&[0; 1 << 20]), Write::Bytes(n) if n == 1 << 20));
    }
}

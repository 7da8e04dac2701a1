//! Every way a filesystem operation can fail.

use std::io;

use rustix::io::Errno;

/// A closed set of failures, named as in `wasi:filesystem/types`. The WASI generations translate it
/// without loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The host's own permissions forbid it (`EACCES`).
    #[error("permission denied")]
    Access,
    /// The operation would have to wait (`EAGAIN`).
    #[error("operation would block")]
    WouldBlock,
    /// It is under way already (`EALREADY`).
    #[error("already in progress")]
    Already,
    /// Not open, or not open for this (`EBADF`).
    #[error("bad descriptor")]
    BadDescriptor,
    /// In use (`EBUSY`).
    #[error("device or resource busy")]
    Busy,
    /// Waiting would never end (`EDEADLK`).
    #[error("deadlock would occur")]
    Deadlock,
    /// The disk quota is used up (`EDQUOT`).
    #[error("disk quota exceeded")]
    Quota,
    /// There is such a name already (`EEXIST`).
    #[error("file exists")]
    Exist,
    /// Larger than a file may be (`EFBIG`).
    #[error("file too large")]
    FileTooLarge,
    /// Not valid UTF-8, or a character the filesystem cannot hold (`EILSEQ`).
    #[error("illegal byte sequence")]
    IllegalByteSequence,
    /// Begun (`EINPROGRESS`).
    #[error("operation in progress")]
    InProgress,
    /// Cut short by a signal (`EINTR`).
    #[error("interrupted")]
    Interrupted,
    /// An argument makes no sense (`EINVAL`).
    #[error("invalid argument")]
    Invalid,
    /// The device failed (`EIO`).
    #[error("input/output error")]
    Io,
    /// A directory, where none can be used (`EISDIR`).
    #[error("is a directory")]
    IsDirectory,
    /// Too many symbolic links on the way, or one where none may be followed (`ELOOP`).
    #[error("too many levels of symbolic links")]
    Loop,
    /// Too many hard links (`EMLINK`).
    #[error("too many links")]
    TooManyLinks,
    /// The message is too long (`EMSGSIZE`).
    #[error("message too long")]
    MessageSize,
    /// A name or path is too long (`ENAMETOOLONG`).
    #[error("file name too long")]
    NameTooLong,
    /// The device cannot do this (`ENODEV`).
    #[error("no such device")]
    NoDevice,
    /// There is nothing of that name (`ENOENT`).
    #[error("no such file or directory")]
    NoEntry,
    /// No lock is left (`ENOLCK`).
    #[error("no locks available")]
    NoLock,
    /// The host is out of memory, or of open files (`ENOMEM`, `EMFILE`, `ENFILE`).
    #[error("not enough memory")]
    InsufficientMemory,
    /// The device is full (`ENOSPC`).
    #[error("no space left on device")]
    InsufficientSpace,
    /// Not a directory, where only one can be used (`ENOTDIR`).
    #[error("not a directory")]
    NotDirectory,
    /// The directory is not empty (`ENOTEMPTY`).
    #[error("directory not empty")]
    NotEmpty,
    /// The state cannot be recovered (`ENOTRECOVERABLE`).
    #[error("state not recoverable")]
    NotRecoverable,
    /// The host or its filesystem cannot do this (`ENOTSUP`, `ENOSYS`).
    #[error("not supported")]
    Unsupported,
    /// Not a terminal, where only one can be used (`ENOTTY`).
    #[error("inappropriate I/O control operation")]
    NoTty,
    /// No device behind the name, or nobody at its other end (`ENXIO`).
    #[error("no such device or address")]
    NoSuchDevice,
    /// A value does not fit (`EOVERFLOW`).
    #[error("value too large")]
    Overflow,
    /// Nobody may do this; also any path that leads out of the granted directory (`EPERM`).
    #[error("operation not permitted")]
    NotPermitted,
    /// Nobody reads the other end any more (`EPIPE`).
    #[error("broken pipe")]
    Pipe,
    /// Granted for reading only, or a filesystem that is (`EROFS`).
    #[error("read-only file system")]
    ReadOnly,
    /// Has no position (`ESPIPE`).
    #[error("invalid seek")]
    InvalidSeek,
    /// A program that is running (`ETXTBSY`).
    #[error("text file busy")]
    TextFileBusy,
    /// The two paths are on different devices (`EXDEV`).
    #[error("cross-device link")]
    CrossDevice,
}

impl From<Errno> for ErrorCode {
    fn from(errno: Errno) -> Self {
        // `EOPNOTSUPP` and `ENOTSUP`, `EWOULDBLOCK` and `EAGAIN` are one number each on Linux.
        match errno {
            Errno::ACCESS => Self::Access,
            Errno::AGAIN => Self::WouldBlock,
            Errno::ALREADY => Self::Already,
            Errno::BADF => Self::BadDescriptor,
            Errno::BUSY => Self::Busy,
            Errno::DEADLK => Self::Deadlock,
            Errno::DQUOT => Self::Quota,
            Errno::EXIST => Self::Exist,
            Errno::FBIG => Self::FileTooLarge,
            Errno::ILSEQ => Self::IllegalByteSequence,
            Errno::INPROGRESS => Self::InProgress,
            Errno::INTR => Self::Interrupted,
            Errno::INVAL => Self::Invalid,
            Errno::ISDIR => Self::IsDirectory,
            Errno::LOOP => Self::Loop,
            Errno::MLINK => Self::TooManyLinks,
            Errno::MSGSIZE => Self::MessageSize,
            Errno::NAMETOOLONG => Self::NameTooLong,
            Errno::NODEV => Self::NoDevice,
            Errno::NOENT => Self::NoEntry,
            Errno::NOLCK => Self::NoLock,
            Errno::NOMEM | Errno::MFILE | Errno::NFILE => Self::InsufficientMemory,
            Errno::NOSPC => Self::InsufficientSpace,
            Errno::NOTDIR => Self::NotDirectory,
            Errno::NOTEMPTY => Self::NotEmpty,
            Errno::NOTRECOVERABLE => Self::NotRecoverable,
            Errno::NOTSUP | Errno::NOSYS => Self::Unsupported,
            Errno::NOTTY => Self::NoTty,
            Errno::NXIO => Self::NoSuchDevice,
            Errno::OVERFLOW => Self::Overflow,
            Errno::PERM => Self::NotPermitted,
            Errno::PIPE => Self::Pipe,
            Errno::ROFS => Self::ReadOnly,
            Errno::SPIPE => Self::InvalidSeek,
            Errno::TXTBSY => Self::TextFileBusy,
            Errno::XDEV => Self::CrossDevice,
            _ => Self::Io,
        }
    }
}

impl From<io::Error> for ErrorCode {
    fn from(error: io::Error) -> Self {
        let code = error.get_ref().and_then(|inner| inner.downcast_ref());
        if let Some(code) = code {
            return *code;
        }
        match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None => match error.kind() {
                io::ErrorKind::WouldBlock => Self::WouldBlock,
                io::ErrorKind::BrokenPipe => Self::Pipe,
                io::ErrorKind::InvalidInput => Self::Invalid,
                io::ErrorKind::NotFound => Self::NoEntry,
                io::ErrorKind::PermissionDenied => Self::Access,
                io::ErrorKind::Unsupported => Self::Unsupported,
                io::ErrorKind::OutOfMemory => Self::InsufficientMemory,
                _ => Self::Io,
            },
        }
    }
}

/// For endpoints, whose errors are those of the standard library: `downcast` gives the code back.
impl From<ErrorCode> for io::Error {
    fn from(code: ErrorCode) -> Self {
        Self::other(code)
    }
}

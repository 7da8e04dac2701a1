//! What is known about a file.

use std::hash::{DefaultHasher, Hash, Hasher};

use rustix::fs::Timestamps;
use rustix::time::Timespec;

use super::ErrorCode;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileType {
    /// A block device.
    BlockDevice,
    /// A character device, such as a terminal.
    CharacterDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A symbolic link.
    SymbolicLink,
    /// Bytes with a size.
    RegularFile,
    /// A socket.
    Socket,
    /// None of these, or not known.
    Unknown,
}

impl From<rustix::fs::FileType> for FileType {
    fn from(kind: rustix::fs::FileType) -> Self {
        use rustix::fs::FileType as Host;
        match kind {
            Host::BlockDevice => Self::BlockDevice,
            Host::CharacterDevice => Self::CharacterDevice,
            Host::Directory => Self::Directory,
            Host::Fifo => Self::Fifo,
            Host::Symlink => Self::SymbolicLink,
            Host::RegularFile => Self::RegularFile,
            Host::Socket => Self::Socket,
            Host::Unknown => Self::Unknown,
        }
    }
}

/// A moment, counted from 1970-01-01T00:00:00Z; earlier ones have negative seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// Nanoseconds since then, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// The moment `nanoseconds` after the epoch.
    pub fn from_nanoseconds(nanoseconds: u64) -> Self {
        let seconds = nanoseconds / 1_000_000_000;
        Self {
            // At most 2^64 / 10^9, far below 2^63.
            seconds: seconds as i64,
            nanoseconds: (nanoseconds % 1_000_000_000) as u32,
        }
    }

    /// Nanoseconds since the epoch: 0 for moments before it, the greatest value for moments after
    /// the year 2554.
    pub fn as_nanoseconds(self) -> u64 {
        match u64::try_from(self.seconds) {
            Ok(seconds) => seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(u64::from(self.nanoseconds)),
            Err(_) => 0,
        }
    }
}

/// What an operation does to one timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    /// Leaves it.
    Keep,
    /// Sets it to the host's present time.
    Now,
    /// Sets it to this moment.
    At(Timestamp),
}

impl SetTime {
    fn timespec(self) -> Result<Timespec, ErrorCode> {
        Ok(match self {
            Self::Keep => Timespec {
                tv_sec: 0,
                tv_nsec: rustix::fs::UTIME_OMIT,
            },
            Self::Now => Timespec {
                tv_sec: 0,
                tv_nsec: rustix::fs::UTIME_NOW,
            },
            Self::At(moment) if moment.nanoseconds < 1_000_000_000 => Timespec {
                tv_sec: moment.seconds,
                tv_nsec: moment.nanoseconds.into(),
            },
            Self::At(_) => return Err(ErrorCode::Invalid),
        })
    }
}

pub(super) fn timestamps(access: SetTime, modification: SetTime) -> Result<Timestamps, ErrorCode> {
    Ok(Timestamps {
        last_access: access.timespec()?,
        last_modification: modification.timespec()?,
    })
}

/// What is known about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The device the file is on.
    pub device: u64,
    /// Its number there. Device and number together identify the file while it exists.
    pub inode: u64,
    /// What it is.
    pub file_type: FileType,
    /// How many names it has.
    pub links: u64,
    /// Its size in bytes; for a symbolic link the length of its contents.
    pub size: u64,
    /// When it was last read, as far as the host keeps track of it.
    pub accessed: Timestamp,
    /// When its contents last changed.
    pub modified: Timestamp,
    /// When its contents or attributes last changed.
    pub changed: Timestamp,
}

impl From<rustix::fs::Stat> for Stat {
    fn from(stat: rustix::fs::Stat) -> Self {
        let moment = |seconds: i64, nanoseconds: u64| Timestamp {
            seconds,
            nanoseconds: u32::try_from(nanoseconds).unwrap_or(0),
        };
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            file_type: rustix::fs::FileType::from_raw_mode(stat.st_mode).into(),
            #[allow(clippy::useless_conversion, reason = "narrower on other targets")]
            links: u64::from(stat.st_nlink),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            accessed: moment(stat.st_atime, stat.st_atime_nsec),
            modified: moment(stat.st_mtime, stat.st_mtime_nsec),
            changed: moment(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

/// 128 bits that differ, but for accidents, between two files and between two versions of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MetadataHash {
    /// The low half.
    pub lower: u64,
    /// The high half.
    pub upper: u64,
}

impl Stat {
    /// A hash of the file's identity, size and times of modification and change. It is the same for
    /// every guest of one build of Tidegate, and shows neither of the numbers it is made from.
    pub fn metadata_hash(&self) -> MetadataHash {
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            (salt, self.device, self.inode, self.size).hash(&mut hasher);
            (self.modified, self.changed).hash(&mut hasher);
            hasher.finish()
        };
        MetadataHash {
            lower: half(0),
            upper: half(1),
        }
    }
}

//! Between the types of `wasi:filesystem` and those of the filesystem layer.

use std::io;

use super::super::bindings::wasi::clocks::system_clock::Instant;
use super::super::bindings::wasi::filesystem::types;
use crate::fs::{Advice, ErrorCode, FileType, MetadataHash, SetTime, Stat, Timestamp};

impl From<ErrorCode> for types::ErrorCode {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Access => Self::Access,
            // WASI 0.3 waits instead.
            ErrorCode::WouldBlock => Self::Other(Some("operation would block".to_owned())),
            ErrorCode::Already => Self::Already,
            ErrorCode::BadDescriptor => Self::BadDescriptor,
            ErrorCode::Busy => Self::Busy,
            ErrorCode::Deadlock => Self::Deadlock,
            ErrorCode::Quota => Self::Quota,
            ErrorCode::Exist => Self::Exist,
            ErrorCode::FileTooLarge => Self::FileTooLarge,
            ErrorCode::IllegalByteSequence => Self::IllegalByteSequence,
            ErrorCode::InProgress => Self::InProgress,
            ErrorCode::Interrupted => Self::Interrupted,
            ErrorCode::Invalid => Self::Invalid,
            ErrorCode::Io => Self::Io,
            ErrorCode::IsDirectory => Self::IsDirectory,
            ErrorCode::Loop => Self::Loop,
            ErrorCode::TooManyLinks => Self::TooManyLinks,
            ErrorCode::MessageSize => Self::MessageSize,
            ErrorCode::NameTooLong => Self::NameTooLong,
            ErrorCode::NoDevice => Self::NoDevice,
            ErrorCode::NoEntry => Self::NoEntry,
            ErrorCode::NoLock => Self::NoLock,
            ErrorCode::InsufficientMemory => Self::InsufficientMemory,
            ErrorCode::InsufficientSpace => Self::InsufficientSpace,
            ErrorCode::NotDirectory => Self::NotDirectory,
            ErrorCode::NotEmpty => Self::NotEmpty,
            ErrorCode::NotRecoverable => Self::NotRecoverable,
            ErrorCode::Unsupported => Self::Unsupported,
            ErrorCode::NoTty => Self::NoTty,
            ErrorCode::NoSuchDevice => Self::NoSuchDevice,
            ErrorCode::Overflow => Self::Overflow,
            ErrorCode::NotPermitted => Self::NotPermitted,
            ErrorCode::Pipe => Self::Pipe,
            ErrorCode::ReadOnly => Self::ReadOnly,
            ErrorCode::InvalidSeek => Self::InvalidSeek,
            ErrorCode::TextFileBusy => Self::TextFileBusy,
            ErrorCode::CrossDevice => Self::CrossDevice,
        }
    }
}

impl From<io::Error> for types::ErrorCode {
    fn from(error: io::Error) -> Self {
        ErrorCode::from(error).into()
    }
}

impl From<FileType> for types::DescriptorType {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::BlockDevice => Self::BlockDevice,
            FileType::CharacterDevice => Self::CharacterDevice,
            FileType::Directory => Self::Directory,
            FileType::Fifo => Self::Fifo,
            FileType::SymbolicLink => Self::SymbolicLink,
            FileType::RegularFile => Self::RegularFile,
            FileType::Socket => Self::Socket,
            FileType::Unknown => Self::Other(None),
        }
    }
}

impl From<Stat> for types::DescriptorStat {
    fn from(stat: Stat) -> Self {
        Self {
            type_: stat.file_type.into(),
            link_count: stat.links,
            size: stat.size,
            data_access_timestamp: Some(stat.accessed.into()),
            data_modification_timestamp: Some(stat.modified.into()),
            status_change_timestamp: Some(stat.changed.into()),
        }
    }
}

impl From<Timestamp> for Instant {
    fn from(moment: Timestamp) -> Self {
        Self {
            seconds: moment.seconds,
            nanoseconds: moment.nanoseconds,
        }
    }
}

impl From<types::NewTimestamp> for SetTime {
    fn from(new: types::NewTimestamp) -> Self {
        match new {
            types::NewTimestamp::NoChange => Self::Keep,
            types::NewTimestamp::Now => Self::Now,
            types::NewTimestamp::Timestamp(moment) => Self::At(Timestamp {
                seconds: moment.seconds,
                nanoseconds: moment.nanoseconds,
            }),
        }
    }
}

impl From<types::Advice> for Advice {
    fn from(advice: types::Advice) -> Self {
        match advice {
            types::Advice::Normal => Self::Normal,
            types::Advice::Sequential => Self::Sequential,
            types::Advice::Random => Self::Random,
            types::Advice::WillNeed => Self::WillNeed,
            types::Advice::DontNeed => Self::DontNeed,
            types::Advice::NoReuse => Self::NoReuse,
        }
    }
}

impl From<MetadataHash> for types::MetadataHashValue {
    fn from(hash: MetadataHash) -> Self {
        Self {
            lower: hash.lower,
            upper: hash.upper,
        }
    }
}

//! What was granted: how much may be done below a directory, and under which name a guest has it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Dir, ErrorCode};

/// What may be done with a directory and everything that is opened through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Look, list and read.
    ReadOnly,
    /// Also create, write, truncate, rename, link, remove and set times.
    ReadWrite,
}

impl Access {
    /// Whether anything may be changed.
    pub fn may_write(self) -> bool {
        self == Self::ReadWrite
    }

    /// # Errors
    /// [`ErrorCode::ReadOnly`] where nothing may be changed.
    pub(super) fn demand_write(self) -> Result<(), ErrorCode> {
        match self {
            Self::ReadOnly => Err(ErrorCode::ReadOnly),
            Self::ReadWrite => Ok(()),
        }
    }
}

/// A directory that a guest has from its start.
#[derive(Debug, Clone)]
pub struct Preopen {
    name: String,
    dir: Arc<Dir>,
}

impl Preopen {
    /// Grants the host's directory `path` under the name by which the guest's paths begin, such as
    /// `/` or `data`.
    ///
    /// # Errors
    /// When `path` cannot be opened, or is no directory.
    pub fn open(
        path: impl AsRef<Path>,
        name: impl Into<String>,
        access: Access,
    ) -> io::Result<Self> {
        let dir = Dir::open_ambient(path.as_ref(), access)?;
        Ok(Self::new(Arc::new(dir), name))
    }

    /// Grants a directory that is open already.
    pub fn new(dir: Arc<Dir>, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            dir,
        }
    }

    /// The guest's name for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory.
    pub fn dir(&self) -> &Arc<Dir> {
        &self.dir
    }
}

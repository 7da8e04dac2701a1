//! The cache of compiled code: files in the user's cache folder, named by what they were compiled from.
//!
//! An entry is an artifact of Tidegate's, which has a checksum of its own. It is written under another name and then renamed, so that a
//! reader sees all of it or nothing, however many processes write at once. Nothing here ever fails a run: without a cache
//! there is only more to compile.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Above this many bytes the oldest half of the entries goes.
const CAPACITY: u64 = 2 << 30;

/// The cache of one user.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
}

/// The name of an entry.
#[derive(Debug)]
pub struct Key(String);

impl Cache {
    /// The user's cache: `$TIDEGATE_CACHE_DIR`, or `tidegate` where this system keeps caches; `None` if it has no such place.
    pub fn of_user() -> Option<Self> {
        let variable = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let folder = variable("TIDEGATE_CACHE_DIR").or_else(|| {
            let caches = if cfg!(windows) {
                variable("LOCALAPPDATA")
            } else if cfg!(target_os = "macos") {
                variable("HOME").map(|home| home.join("Library/Caches"))
            } else {
                variable("XDG_CACHE_HOME")
                    .or_else(|| variable("HOME").map(|home| home.join(".cache")))
            };
            caches.map(|caches| caches.join("tidegate"))
        })?;
        Some(Self { folder })
    }

    /// The key of what `compiler` (a hash of its version and settings) makes of `source`.
    pub fn key(compiler: &[u8; 8], source: &[u8]) -> Key {
        let mut hasher = blake3::Hasher::new();
        hasher.update(compiler);
        hasher.update(source);
        Key(hasher.finalize().to_hex().to_string())
    }

    /// Where an entry is, if it is there.
    pub fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(&key.0)
    }

    /// Adds or replaces an entry.
    ///
    /// # Errors
    /// What the file system says; the cache is then as it was.
    pub fn put(&self, key: &Key, artifact: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        write_atomically(&self.path(key), artifact)?;
        self.shrink(CAPACITY)
    }

    /// Removes the oldest entries until half of `capacity` is free, if there is more than that.
    fn shrink(&self, capacity: u64) -> io::Result<()> {
        let mut entries: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(&self.folder)?
            .flatten()
            .filter_map(|entry| {
                let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        let mut total: u64 = entries.iter().map(|(_, size, _)| size).sum();
        if total <= capacity {
            return Ok(());
        }
        entries.sort();
        for (_, size, path) in entries {
            if total <= capacity / 2 {
                break;
            }
            // Another process may have been faster.
            remove_if_there(&path)?;
            total = total.saturating_sub(size);
        }
        Ok(())
    }
}

/// Writes a file under another name and then renames it. Only this user may write to it, or it would not be trusted.
///
/// # Errors
/// What the file system says; a file that was there before is unchanged.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    let mut options = fs::File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    let written = options
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // It may not have been made at all.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache {
            folder: folder.path().join("made/when/needed"),
        };
        (folder, cache)
    }

    #[test]
    fn gives_back_what_was_put() {
        let (_folder, cache) = cache();
        let key = Cache::key(b"compiler", b"source");
        cache.put(&key, b"artifact").unwrap();
        cache.put(&key, b"artifact again").unwrap();
        assert_eq!(fs::read(cache.path(&key)).unwrap(), b"artifact again");
        assert_eq!(
            fs::read_dir(&cache.folder).unwrap().count(),
            1,
            "nothing else is left behind"
        );
        assert_ne!(
            cache.path(&Cache::key(b"Compiler", b"source")),
            cache.path(&key)
        );
        assert_ne!(
            cache.path(&Cache::key(b"compiler", b"Source")),
            cache.path(&key)
        );
    }

    #[test]
    fn the_oldest_entries_go_when_there_are_too_many() {
        let (_folder, cache) = cache();
        let keys: Vec<Key> = (0..4u8).map(|n| Cache::key(b"compiler", &[n])).collect();
        for (age, key) in keys.iter().enumerate() {
            cache.put(key, &[0; 100]).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age as u64);
            fs::File::options()
                .write(true)
                .open(cache.path(key))
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
        cache.shrink(400).unwrap();
        assert!(
            keys.iter().all(|key| cache.path(key).exists()),
            "they just fit"
        );
        cache.shrink(399).unwrap();
        let left: Vec<bool> = keys.iter().map(|key| cache.path(key).exists()).collect();
        assert_eq!(left, [false, false, false, true]);
    }
}

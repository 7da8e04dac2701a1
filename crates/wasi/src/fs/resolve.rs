//! From a guest's path to a directory entry, without ever leaving the directory it starts from.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::ErrorCode;

/// The longest path the kernel takes, its terminating NUL not counted. Longer ones are refused
/// before anything is copied.
const PATH_MAX: usize = 4095;

/// How many symbolic links a path may lead through when it is walked here; the kernel's own limit.
const LINKS_MAX: usize = 40;

/// How often `openat2` is tried again when something was renamed on the way, before the path is
/// walked instead, which no rename disturbs.
const TRIES: usize = 16;

/// Refuses paths that no directory entry can have, or that are not below anything.
///
/// # Errors
/// `NoEntry` for the empty path, `Invalid` for an embedded NUL, `NameTooLong` beyond the kernel's
/// limit, `NotPermitted` for an absolute path.
pub(super) fn check(path: &str) -> Result<(), ErrorCode> {
    if path.is_empty() {
        return Err(ErrorCode::NoEntry);
    }
    if path.len() > PATH_MAX {
        return Err(ErrorCode::NameTooLong);
    }
    if path.bytes().any(|byte| byte == 0) {
        return Err(ErrorCode::Invalid);
    }
    if path.starts_with('/') {
        return Err(ErrorCode::NotPermitted);
    }
    Ok(())
}

/// Opens what `path` leads to. A symbolic link at its end is followed unless `flags` has
/// `NOFOLLOW`; a trailing slash always follows it, and demands a directory.
pub(super) fn open_beneath(
    start: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, ErrorCode> {
    check(path)?;
    static UNAVAILABLE: AtomicBool = AtomicBool::new(false);
    let flags = flags | OFlags::CLOEXEC;
    if !UNAVAILABLE.load(Ordering::Relaxed) {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..TRIES {
            match rustix::fs::openat2(start, path, flags, mode, resolve) {
                Ok(fd) => return Ok(fd),
                Err(Errno::XDEV) => return Err(ErrorCode::NotPermitted),
                Err(Errno::AGAIN | Errno::INTR) => continue,
                Err(Errno::NOSYS) => {
                    UNAVAILABLE.store(true, Ordering::Relaxed);
                    break;
                }
                // Some seccomp profiles answer so for calls they do not know.
                Err(Errno::PERM) => break,
                Err(errno) => return Err(errno.into()),
            }
        }
    }
    walk(start, path, flags, mode)
}

/// Where the last component of a path is to be found.
pub(super) struct Parent<'a> {
    dir: Option<OwnedFd>,
    start: BorrowedFd<'a>,
    /// The last component, with its trailing slashes. Its name may be `.` or `..`.
    pub(super) last: &'a str,
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_ref().map_or(self.start, AsFd::as_fd)
    }
}

impl Parent<'_> {
    /// Whether only a directory can be meant.
    pub(super) fn trailing_slash(&self) -> bool {
        self.last.ends_with('/')
    }

    /// Whether the last component is a name of its own, neither `.` nor `..`, so that an operation
    /// that follows no link stays at that entry of this directory.
    pub(super) fn is_plain_name(&self) -> bool {
        !self.trailing_slash() && self.last != "." && self.last != ".."
    }
}

/// Resolves all of `path` but its last component.
///
/// For operations on the entry itself (create, remove, rename, link). The kernel refuses `.` and
/// `..` for all of them; a `..` that leads out of `start` is refused here, to say so.
pub(super) fn parent<'a>(start: BorrowedFd<'a>, path: &'a str) -> Result<Parent<'a>, ErrorCode> {
    check(path)?;
    let name_end = path.trim_end_matches('/').len();
    let split = path[..name_end].rfind('/').map_or(0, |slash| slash + 1);
    let (before, last) = path.split_at(split);
    if last.trim_end_matches('/') == ".." {
        open_beneath(start, path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
    }
    let dir = if before.is_empty() {
        None
    } else {
        Some(open_beneath(
            start,
            before,
            OFlags::PATH | OFlags::DIRECTORY,
            Mode::empty(),
        )?)
    };
    Ok(Parent { dir, start, last })
}

/// [`open_beneath`] for kernels without `openat2`: one component at a time. `..` returns to the
/// directory that was come from, which is held open, so renames on the way change nothing.
fn walk(
    start: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, ErrorCode> {
    let mut above: Vec<OwnedFd> = Vec::new();
    // What is still to be walked, last component first.
    let mut rest: Vec<Vec<u8>> = Vec::new();
    let mut links = 0;
    let mut wants_directory = push_components(&mut rest, path.as_bytes());
    while let Some(component) = rest.pop() {
        let here = above.last().map_or(start, AsFd::as_fd);
        let is_last = rest.is_empty();
        match component.as_slice() {
            b"." => {}
            b".." => {
                above.pop().ok_or(ErrorCode::NotPermitted)?;
            }
            name => {
                let stat = rustix::fs::statat(here, name, AtFlags::SYMLINK_NOFOLLOW);
                let kind = stat.map(|stat| FileType::from_raw_mode(stat.st_mode));
                let follow = !is_last || wants_directory || !flags.contains(OFlags::NOFOLLOW);
                if kind == Ok(FileType::Symlink) && follow && !flags.contains(OFlags::EXCL) {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(ErrorCode::Loop);
                    }
                    let target = rustix::fs::readlinkat(here, name, Vec::new())?;
                    if target.as_bytes().starts_with(b"/") {
                        return Err(ErrorCode::NotPermitted);
                    }
                    wants_directory |= push_components(&mut rest, target.as_bytes()) && is_last;
                    continue;
                }
                if is_last {
                    let mut flags = flags | OFlags::NOFOLLOW;
                    if wants_directory {
                        if flags.contains(OFlags::CREATE) {
                            return Err(ErrorCode::IsDirectory);
                        }
                        flags |= OFlags::DIRECTORY;
                    }
                    return Ok(rustix::fs::openat(here, name, flags, mode)?);
                }
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                above.push(rustix::fs::openat(here, name, flags, Mode::empty())?);
            }
        }
    }
    // The path ended in `.` or `..`, so it is a directory that is at hand.
    let here = above.last().map_or(start, AsFd::as_fd);
    Ok(rustix::fs::openat(here, ".", flags, mode)?)
}

/// Puts the components of `path` on the stack and says whether it ended in a slash.
fn push_components(rest: &mut Vec<Vec<u8>>, path: &[u8]) -> bool {
    let parts = path.split(|byte| *byte == b'/');
    rest.extend(
        parts
            .rev()
            .filter(|part| !part.is_empty())
            .map(<[u8]>::to_vec),
    );
    path.ends_with(b"/")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Both ways of resolving must agree, so every case is put to both.
    fn both(root: &std::path::Path, path: &str, flags: OFlags) -> Result<u64, ErrorCode> {
        let start =
            rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let inode = |fd: OwnedFd| rustix::fs::fstat(fd).unwrap().st_ino;
        let kernel = open_beneath(start.as_fd(), path, flags, Mode::empty()).map(inode);
        let walked = check(path)
            .and_then(|()| walk(start.as_fd(), path, flags, Mode::empty()))
            .map(inode);
        assert_eq!(kernel, walked, "resolving {path:?}");
        kernel
    }

    #[test]
    fn kernel_and_walk_agree_on_what_is_beneath() {
        let tmp = tempfile::tempdir().unwrap();
        let root = tmp.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/file"), "inside").unwrap();
        std::fs::write(tmp.path().join("outside"), "outside").unwrap();
        for (target, name) in [
            ("a/b/file", "to-file"),
            ("to-file", "to-link"),
            ("../a/b", "a/to-sibling"),
            ("../../outside", "a/escapes"),
            ("/", "absolute"),
            ("/etc/passwd", "absolute-file"),
            ("loop", "loop"),
            ("nothing", "dangling"),
            ("a/b/", "slashed"),
            ("..", "up"),
        ] {
            symlink(target, root.join(name)).unwrap();
        }
        let file = |path: &str| both(&root, path, OFlags::PATH);
        let inside = file("a/b/file").unwrap();
        for path in [
            "./a//b/./file",
            "a/../a/b/../b/file",
            "to-file",
            "to-link",
            "a/to-sibling/file",
            "slashed/file",
        ] {
            assert_eq!(file(path), Ok(inside), "{path}");
        }
        for path in [
            "..",
            "../",
            "a/../..",
            "../root/a",
            "a/escapes",
            "absolute",
            "absolute/etc",
            "absolute-file",
            "up",
            "up/outside",
            "/etc",
            "/",
        ] {
            assert_eq!(file(path), Err(ErrorCode::NotPermitted), "{path}");
        }
        for path in ["loop", "loop/", "a/../loop"] {
            assert_eq!(file(path), Err(ErrorCode::Loop), "{path}");
        }
        for path in ["dangling", "dangling/", "missing/file", ""] {
            assert_eq!(file(path), Err(ErrorCode::NoEntry), "{path}");
        }
        for path in ["a/b/file/", "a/b/file/.", "to-file/", "a/b/file/.."] {
            assert_eq!(file(path), Err(ErrorCode::NotDirectory), "{path}");
        }
        assert_eq!(file("a\0b"), Err(ErrorCode::Invalid));
        assert_eq!(file(&"x/".repeat(4096)), Err(ErrorCode::NameTooLong));
        assert_eq!(file(&"x".repeat(300)), Err(ErrorCode::NameTooLong));
        // Not followed, the link itself is opened; a trailing slash follows it all the same.
        let link = both(&root, "absolute", OFlags::PATH | OFlags::NOFOLLOW);
        assert!(link.is_ok());
        let slash = both(&root, "absolute/", OFlags::PATH | OFlags::NOFOLLOW);
        assert_eq!(slash, Err(ErrorCode::NotPermitted));
    }
}

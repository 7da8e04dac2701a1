//! The sandbox, tried from the inside.

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const READ: OpenOptions = OpenOptions {
    read: true,
    write: false,
    append: false,
    create: false,
    exclusive: false,
    truncate: false,
    directory: false,
    follow: true,
    dsync: false,
    sync: false,
    rsync: false,
};
const WRITE: OpenOptions = OpenOptions {
    write: true,
    ..READ
};
const CREATE: OpenOptions = OpenOptions {
    create: true,
    ..WRITE
};

fn dir(path: &Path, access: Access) -> Dir {
    Dir::open_ambient(path, access).unwrap()
}

fn open_file(dir: &Dir, path: &str, options: &OpenOptions) -> Arc<File> {
    match dir.open(path, options) {
        Ok(Opened::File(file)) => file,
        other => panic!("opening {path:?}: {other:?}"),
    }
}

fn open_error(dir: &Dir, path: &str, options: &OpenOptions) -> ErrorCode {
    match dir.open(path, options) {
        Err(error) => error,
        Ok(_) => panic!("{path:?} should not open"),
    }
}

/// A sandbox `root` beside a `secret` file and an `outer` directory.
fn scene() -> (tempfile::TempDir, Dir) {
    let tmp = tempfile::tempdir().unwrap();
    let root = tmp.path().join("root");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::create_dir(tmp.path().join("outer")).unwrap();
    fs::write(tmp.path().join("secret"), "secret").unwrap();
    fs::write(root.join("file"), "0123456789").unwrap();
    let root = dir(&root, Access::ReadWrite);
    (tmp, root)
}

#[test]
fn no_operation_leaves_through_links_dots_or_absolute_paths() {
    let (tmp, root) = scene();
    let at = |name: &str| tmp.path().join("root").join(name);
    symlink("../secret", at("up")).unwrap();
    symlink(tmp.path().join("secret"), at("abs")).unwrap();
    symlink("../outer", at("outer")).unwrap();
    symlink("up", at("chain")).unwrap();
    symlink("../new", at("dangling")).unwrap();
    let secret = tmp.path().join("secret");
    let absolute = secret.to_str().unwrap();
    for path in [
        "up",
        "abs",
        "chain",
        "../secret",
        "sub/../../secret",
        absolute,
    ] {
        assert_eq!(
            open_error(&root, path, &READ),
            ErrorCode::NotPermitted,
            "{path}"
        );
        assert_eq!(
            open_error(&root, path, &CREATE),
            ErrorCode::NotPermitted,
            "{path}"
        );
        assert_eq!(
            root.stat_at(path, true),
            Err(ErrorCode::NotPermitted),
            "{path}"
        );
        let times = root.set_times_at(path, true, SetTime::Now, SetTime::Now);
        assert_eq!(times, Err(ErrorCode::NotPermitted), "{path}");
    }
    assert_eq!(
        open_error(&root, "dangling", &CREATE),
        ErrorCode::NotPermitted
    );
    for path in ["outer/x", "../x", "outer/../../x"] {
        for result in [
            root.create_dir(path),
            root.remove_dir(path),
            root.unlink(path),
            root.symlink("x", path),
            root.link("file", &root, path),
            root.rename("file", &root, path),
            root.rename(path, &root, "x"),
            root.link(path, &root, "x"),
            root.read_link(path).map(drop),
        ] {
            assert_eq!(result, Err(ErrorCode::NotPermitted), "{path}");
        }
    }
    // A trailing slash makes the kernel follow a link: not even whether it leads to something may
    // be learnt.
    for path in ["outer/", "up/", "outer/."] {
        assert_eq!(
            root.stat_at(path, false),
            Err(ErrorCode::NotPermitted),
            "{path}"
        );
        assert_eq!(root.read_link(path), Err(ErrorCode::NotPermitted), "{path}");
        assert_eq!(
            root.link(path, &root, "x"),
            Err(ErrorCode::NotPermitted),
            "{path}"
        );
        let times = root.set_times_at(path, false, SetTime::Now, SetTime::Now);
        assert_eq!(times, Err(ErrorCode::NotPermitted), "{path}");
    }
    for path in ["..", "../", "sub/../.."] {
        assert_eq!(
            root.remove_dir(path),
            Err(ErrorCode::NotPermitted),
            "{path}"
        );
        assert_eq!(
            root.rename("sub", &root, path),
            Err(ErrorCode::NotPermitted),
            "{path}"
        );
        assert_eq!(
            root.stat_at(path, false),
            Err(ErrorCode::NotPermitted),
            "{path}"
        );
    }
    assert_eq!(root.symlink("/etc", "x"), Err(ErrorCode::NotPermitted));
    assert_eq!(root.read_link("abs"), Err(ErrorCode::NotPermitted));
    assert_eq!(root.read_link("up").unwrap(), "../secret");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    assert!(!tmp.path().join("new").exists());
    assert_eq!(fs::read_dir(tmp.path().join("outer")).unwrap().count(), 0);
}

#[test]
fn nothing_changes_below_a_read_only_directory() {
    let (tmp, writable) = scene();
    let root = dir(&tmp.path().join("root"), Access::ReadOnly);
    let before = root.stat_at("file", true).unwrap();
    for options in [
        WRITE,
        CREATE,
        OpenOptions {
            create: true,
            ..READ
        },
        OpenOptions {
            truncate: true,
            ..READ
        },
    ] {
        assert_eq!(open_error(&root, "file", &options), ErrorCode::ReadOnly);
        assert_eq!(open_error(&root, "new", &options), ErrorCode::ReadOnly);
    }
    let Opened::Dir(sub) = root.open("sub", &READ).unwrap() else {
        panic!("sub is a directory");
    };
    for result in [
        root.create_dir("new"),
        sub.create_dir("new"),
        root.remove_dir("sub"),
        root.unlink("file"),
        root.symlink("x", "new"),
        root.rename("file", &root, "new"),
        root.rename("file", &writable, "new"),
        writable.rename("file", &root, "new"),
        writable.rename("file", &sub, "new"),
        root.link("file", &root, "new"),
        // With a name in a writable directory the file itself would become writable.
        root.link("file", &writable, "new"),
        writable.link("file", &root, "new"),
        root.set_times(SetTime::Now, SetTime::Now),
        sub.set_times(SetTime::Now, SetTime::Now),
        root.set_times_at("file", true, SetTime::Now, SetTime::Now),
        root.set_times_at("file", false, SetTime::Now, SetTime::Now),
    ] {
        assert_eq!(result, Err(ErrorCode::ReadOnly));
    }
    let file = open_file(&root, "file", &READ);
    for result in [
        file.set_size(0),
        file.allocate(0, 100),
        file.set_times(SetTime::Now, SetTime::Now),
    ] {
        assert_eq!(result, Err(ErrorCode::ReadOnly));
    }
    assert_eq!(
        file.write(&[IoSlice::new(b"x")]),
        Err(ErrorCode::BadDescriptor)
    );
    assert_eq!(
        file.append(&[IoSlice::new(b"x")]),
        Err(ErrorCode::BadDescriptor)
    );
    assert_eq!(
        file.write_at(&[IoSlice::new(b"x")], 0),
        Err(ErrorCode::BadDescriptor)
    );
    assert_eq!(
        root.stat_at("file", true).unwrap().modified,
        before.modified
    );
    assert_eq!(
        fs::read_to_string(tmp.path().join("root/file")).unwrap(),
        "0123456789"
    );
}

#[test]
fn entry_swapped_for_a_link_never_leads_out() {
    let (tmp, root) = scene();
    let at = |name: &str| tmp.path().join("root").join(name);
    fs::create_dir(at("dir")).unwrap();
    fs::write(at("dir/secret"), "inside").unwrap();
    symlink("..", at("link")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let (stop, dir, link, spare) = (stop.clone(), at("dir"), at("link"), at("spare"));
        move || {
            while !stop.load(Ordering::Relaxed) {
                for (from, to) in [(&dir, &spare), (&link, &dir), (&dir, &link), (&spare, &dir)] {
                    fs::rename(from, to).unwrap();
                }
            }
        }
    });
    for _ in 0..3000 {
        if let Ok(Opened::File(file)) = root.open("dir/secret", &READ) {
            let mut bytes = [0; 6];
            file.read(&mut [IoSliceMut::new(&mut bytes)]).unwrap();
            assert_eq!(&bytes, b"inside");
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
}

#[test]
fn trailing_slashes_mean_what_posix_says() {
    let (_tmp, root) = scene();
    root.create_dir("made/").unwrap();
    root.rename("made/", &root, "moved/").unwrap();
    root.remove_dir("moved/").unwrap();
    assert_eq!(open_error(&root, "file/", &READ), ErrorCode::NotDirectory);
    assert_eq!(open_error(&root, "new/", &CREATE), ErrorCode::IsDirectory);
    assert_eq!(root.unlink("file/"), Err(ErrorCode::NotDirectory));
    assert_eq!(root.unlink("sub/"), Err(ErrorCode::IsDirectory));
    assert_eq!(root.remove_dir("file/"), Err(ErrorCode::NotDirectory));
    assert_eq!(root.remove_dir("sub/."), Err(ErrorCode::Invalid));
    assert_eq!(root.remove_dir("sub/.."), Err(ErrorCode::NotEmpty));
    assert_eq!(
        root.rename("file", &root, "new/"),
        Err(ErrorCode::NotDirectory)
    );
    assert_eq!(
        root.rename("file/", &root, "new"),
        Err(ErrorCode::NotDirectory)
    );
    assert_eq!(root.link("file", &root, "new/"), Err(ErrorCode::NoEntry));
    assert_eq!(
        root.link("file/", &root, "new"),
        Err(ErrorCode::NotDirectory)
    );
    assert_eq!(
        root.link("sub/", &root, "new"),
        Err(ErrorCode::NotPermitted)
    );
    assert_eq!(root.symlink("x", "new/"), Err(ErrorCode::NoEntry));
    assert_eq!(root.symlink("x", "sub/"), Err(ErrorCode::Exist));
    assert!(root.stat_at("sub///", false).is_ok());
}

#[test]
fn link_at_the_end_is_followed_only_where_asked() {
    let (_tmp, root) = scene();
    root.symlink("file", "link").unwrap();
    assert_eq!(root.read_link("link").unwrap(), "file");
    assert_eq!(root.read_link("file"), Err(ErrorCode::Invalid));
    assert_eq!(
        root.stat_at("link", false).unwrap().file_type,
        FileType::SymbolicLink
    );
    assert_eq!(
        root.stat_at("link", true).unwrap().file_type,
        FileType::RegularFile
    );
    let nofollow = OpenOptions {
        follow: false,
        ..READ
    };
    assert_eq!(open_error(&root, "link", &nofollow), ErrorCode::Loop);
    let target = root.stat_at("file", false).unwrap();
    let moment = SetTime::At(Timestamp::from_nanoseconds(5_000_000_007));
    root.set_times_at("link", false, SetTime::Keep, moment)
        .unwrap();
    assert_eq!(
        root.stat_at("file", false).unwrap().modified,
        target.modified
    );
    root.set_times_at("link", true, SetTime::Keep, moment)
        .unwrap();
    let stat = root.stat_at("file", false).unwrap();
    assert_eq!(stat.modified.as_nanoseconds(), 5_000_000_007);
    root.link("link", &root, "second").unwrap();
    assert_eq!(
        root.stat_at("second", false).unwrap().file_type,
        FileType::SymbolicLink
    );
}

#[test]
fn appending_moves_the_position_to_the_end() {
    let (_tmp, root) = scene();
    let file = open_file(&root, "file", &WRITE);
    assert_eq!(file.seek(std::io::SeekFrom::Start(2)), Ok(2));
    assert_eq!(
        file.append(&[IoSlice::new(b"ab"), IoSlice::new(b"c")]),
        Ok(3)
    );
    assert_eq!(file.seek(std::io::SeekFrom::Current(0)), Ok(13));
    assert_eq!(file.write_at(&[IoSlice::new(b"Z")], 0), Ok(1));
    assert_eq!(file.seek(std::io::SeekFrom::Current(0)), Ok(13));
    let mut bytes = [0; 13];
    assert_eq!(file.read_at(&mut [IoSliceMut::new(&mut bytes)], 0), Ok(13));
    assert_eq!(&bytes, b"Z123456789abc");
}

#[test]
fn offsets_the_kernel_cannot_hold_are_refused() {
    let (_tmp, root) = scene();
    let file = open_file(&root, "file", &WRITE);
    // In the kernel's eyes the last of these is "the present position".
    for offset in [1 << 63, u64::MAX - 1, u64::MAX] {
        let mut bytes = [0; 4];
        let read = file.read_at(&mut [IoSliceMut::new(&mut bytes)], offset);
        assert_eq!(read, Err(ErrorCode::Invalid));
        assert_eq!(
            file.write_at(&[IoSlice::new(b"x")], offset),
            Err(ErrorCode::Invalid)
        );
        assert_eq!(file.set_size(offset), Err(ErrorCode::Invalid));
        assert_eq!(file.allocate(offset, 1), Err(ErrorCode::Invalid));
        assert_eq!(
            file.advise(offset, 1, Advice::Normal),
            Err(ErrorCode::Invalid)
        );
        assert_eq!(
            file.seek(std::io::SeekFrom::Start(offset)),
            Err(ErrorCode::Invalid)
        );
    }
    assert_eq!(file.advise(0, u64::MAX, Advice::WillNeed), Ok(()));
    assert_eq!(file.stat().unwrap().size, 10);
}

#[test]
fn listing_gives_each_entry_once_while_others_come_and_go() {
    let (tmp, root) = scene();
    for n in 0..500 {
        fs::write(tmp.path().join(format!("root/sub/stays-{n}")), "").unwrap();
    }
    let Opened::Dir(sub) = root.open("sub", &READ).unwrap() else {
        panic!("sub is a directory");
    };
    let mut listing = sub.list().unwrap();
    let (mut names, mut position, mut step) = (Vec::new(), 0, 0);
    loop {
        let mut taken = 0;
        listing
            .read(position, |entry| {
                names.push(String::from_utf8(entry.name.to_vec()).unwrap());
                position = entry.next;
                taken += 1;
                taken < 7
            })
            .unwrap();
        if taken == 0 {
            break;
        }
        sub.create_dir(&format!("comes-{step}")).unwrap();
        if step > 3 {
            sub.remove_dir(&format!("comes-{}", step - 3)).unwrap();
        }
        step += 1;
    }
    names.retain(|name| !name.starts_with("comes-"));
    names.sort();
    let mut expected: Vec<_> = (0..500).map(|n| format!("stays-{n}")).collect();
    expected.extend([".".to_owned(), "..".to_owned()]);
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn listing_hides_the_number_of_the_parent_and_bears_any_position() {
    let (_tmp, root) = scene();
    let own = root.stat().unwrap().inode;
    let mut listing = root.list().unwrap();
    let mut seen = 0;
    listing
        .read(0, |entry| {
            if entry.name == b".." || entry.name == b"." {
                assert_eq!(entry.inode, own);
                seen += 1;
            }
            true
        })
        .unwrap();
    assert_eq!(seen, 2);
    for position in [1, 3, 0x7fff_ffff, i64::MAX as u64, 1 << 63, u64::MAX] {
        // Some entries of this directory, none, or an error: nothing else can be promised.
        let _ = listing.read(position, |entry| {
            assert!([&b"."[..], b"..", b"file", b"sub"].contains(&entry.name));
            true
        });
    }
}

#[test]
fn named_pipe_never_makes_the_host_wait() {
    let (tmp, root) = scene();
    let path = tmp.path().join("root/pipe");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        &path,
        rustix::fs::Mode::from_raw_mode(0o600),
    )
    .unwrap();
    let only_write = OpenOptions {
        read: false,
        ..WRITE
    };
    assert_eq!(
        open_error(&root, "pipe", &only_write),
        ErrorCode::NoSuchDevice
    );
    let reader = open_file(&root, "pipe", &READ);
    let mut bytes = [0; 8];
    let mut read = || reader.read(&mut [IoSliceMut::new(&mut bytes)]);
    assert_eq!(
        read(),
        Err(ErrorCode::WouldBlock),
        "nobody has come to write yet"
    );
    let writer = open_file(&root, "pipe", &only_write);
    assert_eq!(
        read(),
        Err(ErrorCode::WouldBlock),
        "nothing was written yet"
    );
    assert_eq!(writer.write(&[IoSlice::new(b"abc")]), Ok(3));
    assert!(reader.is_readable());
    assert_eq!(read(), Ok(3));
    drop(writer);
    assert_eq!(read(), Ok(0), "every writer has gone");
    assert_eq!(
        reader.seek(std::io::SeekFrom::Start(0)),
        Err(ErrorCode::InvalidSeek)
    );
}

#[test]
fn metadata_hash_tells_files_and_versions_apart() {
    let (_tmp, root) = scene();
    let hash = |path| root.stat_at(path, true).unwrap().metadata_hash();
    let first = hash("file");
    assert_eq!(first, hash("./file"));
    assert_ne!(first, hash("sub"));
    open_file(&root, "file", &WRITE).set_size(3).unwrap();
    assert_ne!(first, hash("file"));
}

#[test]
fn changes_through_an_entry_swapped_for_a_link_never_land_outside() {
    let (tmp, root) = scene();
    let at = |name: &str| tmp.path().join("root").join(name);
    let outer = tmp.path().join("outer");
    fs::write(outer.join("kept"), "outside").unwrap();
    fs::create_dir(at("dir")).unwrap();
    symlink("../outer", at("link")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let (stop, dir, link, spare) = (stop.clone(), at("dir"), at("link"), at("spare"));
        move || {
            while !stop.load(Ordering::Relaxed) {
                for (from, to) in [(&dir, &spare), (&link, &dir), (&dir, &link), (&spare, &dir)] {
                    fs::rename(from, to).unwrap();
                }
            }
        }
    });
    for round in 0..2000 {
        // Each may succeed inside or fail, whatever lies there at that moment.
        let _ = root.open("dir/new", &CREATE);
        let _ = root.link("file", &root, "dir/linked");
        let _ = root.symlink("file", "dir/symlink");
        let _ = root.create_dir("dir/made");
        let _ = root.rename("dir/new", &root, "dir/moved");
        let _ = root.rename("dir/kept", &root, "stolen");
        let _ = root.set_times_at("dir/kept", true, SetTime::Now, SetTime::Now);
        for name in [
            "dir/kept",
            "dir/new",
            "dir/moved",
            "dir/linked",
            "dir/symlink",
        ] {
            let _ = root.unlink(name);
        }
        let _ = root.remove_dir("dir/made");
        assert!(!at("stolen").exists(), "round {round}");
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    let names: Vec<_> = fs::read_dir(&outer)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["kept"]);
    assert_eq!(fs::read_to_string(outer.join("kept")).unwrap(), "outside");
}

#[test]
fn a_link_with_a_trailing_slash_is_not_removed_and_does_not_lead_out() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = Dir::open_ambient(tmp.path(), Access::ReadWrite).unwrap();
    dir.symlink("..", "out").unwrap();
    assert_eq!(dir.remove_dir("out/"), Err(ErrorCode::NotPermitted));
    dir.create_dir("inside").unwrap();
    dir.symlink("inside", "in").unwrap();
    assert_eq!(dir.remove_dir("in/"), Err(ErrorCode::NotDirectory));
    dir.remove_dir("inside/").unwrap();
    assert_eq!(dir.remove_dir("in/"), Err(ErrorCode::NoEntry));
}

//! Guests that try to get out, to change what they may only read, or to bring the host down.

use std::os::unix::fs::symlink;

use super::*;
use crate::io::{Input, Output, Read, Readiness, Write, ready_now};

/// The read-only preopen.
const RO: u32 = 4;

#[test]
fn no_path_leads_out() {
    let mut guest = Guest::new();
    symlink("/etc/passwd", guest.host_path("abs")).unwrap();
    symlink("..", guest.host_path("up")).unwrap();
    symlink("up/..", guest.host_path("upup")).unwrap();
    for path in [
        "/etc/passwd",
        "..",
        "../..",
        "abs",
        "up",
        "up/x",
        "upup",
        "./../x",
        "up/",
    ] {
        assert_eq!(
            guest.open(ROOT, path, 0, rights::FD_READ),
            Err(Errno::Perm),
            "{path}"
        );
        assert_eq!(
            guest.open(RO, path, 0, rights::FD_READ),
            Err(Errno::Perm),
            "{path}"
        );
        guest.put(PATH, path.as_bytes());
        let stat = call!(guest, path_filestat_get(ROOT, 1, PATH, path.len(), OUT));
        assert_eq!(stat, Err(Errno::Perm), "{path}");
    }
    for path in ["../x", "up/x", "/tmp/x"] {
        for name in [
            "path_create_directory",
            "path_unlink_file",
            "path_remove_directory",
        ] {
            assert_eq!(
                guest.path(name, ROOT, path),
                Err(Errno::Perm),
                "{name} {path}"
            );
        }
        assert_eq!(guest.open(ROOT, path, 1, ALL), Err(Errno::Perm), "{path}");
        assert_eq!(
            guest.rename(ROOT, "abs", ROOT, path),
            Err(Errno::Perm),
            "{path}"
        );
        assert_eq!(
            guest.link(ROOT, "abs", ROOT, path),
            Err(Errno::Perm),
            "{path}"
        );
        assert_eq!(guest.symlink("x", ROOT, path), Err(Errno::Perm), "{path}");
    }
    assert_eq!(guest.symlink("/etc", ROOT, "x"), Err(Errno::Perm));
}

#[test]
fn nothing_changes_through_the_read_only_preopen() {
    let mut guest = Guest::new();
    fs::write(guest.host_path("file"), "content").unwrap();
    fs::create_dir(guest.host_path("dir")).unwrap();
    let modified = fs::metadata(guest.host_path("file"))
        .unwrap()
        .modified()
        .unwrap();
    for (oflags, base) in [(1, 0), (8, 0), (9, ALL), (0, rights::FD_WRITE)] {
        assert_eq!(guest.open(RO, "file", oflags, base), Err(Errno::Rofs));
        assert_eq!(guest.open(RO, "new", oflags, base), Err(Errno::Rofs));
    }
    for name in [
        "path_create_directory",
        "path_unlink_file",
        "path_remove_directory",
    ] {
        assert_eq!(guest.path(name, RO, "dir"), Err(Errno::Rofs), "{name}");
    }
    for (from, to) in [(RO, RO), (RO, ROOT), (ROOT, RO)] {
        assert_eq!(guest.rename(from, "file", to, "new"), Err(Errno::Rofs));
        assert_eq!(guest.link(from, "file", to, "new"), Err(Errno::Rofs));
    }
    assert_eq!(guest.symlink("file", RO, "new"), Err(Errno::Rofs));
    guest.put(PATH, b"file");
    let times = call!(guest, path_filestat_set_times(RO, 0, PATH, 4, 0, 0, 5));
    assert_eq!(times, Err(Errno::Rofs));
    // What was opened through it, and renumbered, and opened once more through that.
    let file = guest.open(RO, "file", 0, ALL & !rights::FD_WRITE).unwrap();
    let dir = guest.open(RO, ".", 2, ALL & !rights::FD_WRITE).unwrap();
    call!(guest, fd_renumber(dir, 0)).unwrap();
    assert_eq!(guest.open(0, "file", 8, 0), Err(Errno::Rofs));
    assert_eq!(guest.path("path_unlink_file", 0, "file"), Err(Errno::Rofs));
    assert_eq!(guest.write(file, b"x"), Err(Errno::NotCapable));
    assert_eq!(
        call!(guest, fd_filestat_set_size(file, 0)),
        Err(Errno::Rofs)
    );
    assert_eq!(call!(guest, fd_allocate(file, 0, 99)), Err(Errno::Rofs));
    assert_eq!(
        call!(guest, fd_filestat_set_times(file, 0, 0, 5)),
        Err(Errno::Rofs)
    );
    assert_eq!(
        call!(guest, fd_filestat_set_times(0, 0, 0, 5)),
        Err(Errno::Rofs)
    );
    assert_eq!(guest.read(file, 100).unwrap(), b"content");
    let metadata = fs::metadata(guest.host_path("file")).unwrap();
    assert_eq!(
        (metadata.len(), metadata.modified().unwrap()),
        (7, modified)
    );
}

#[test]
fn paths_that_are_none_are_refused() {
    let mut guest = Guest::new();
    guest.memory = vec![b'x'; 0x20000];
    let open = |guest: &mut Guest, len: u32| {
        call!(guest, path_open(ROOT, 0, PATH, len, 1, ALL, ALL, 0, OUT))
    };
    assert_eq!(open(&mut guest, 0), Err(Errno::Noent));
    assert_eq!(open(&mut guest, 256), Err(Errno::NameTooLong));
    assert_eq!(open(&mut guest, 5000), Err(Errno::NameTooLong));
    assert_eq!(open(&mut guest, 0x10000), Err(Errno::NameTooLong));
    guest.put(PATH, b"file\0");
    assert_eq!(open(&mut guest, 5), Err(Errno::Inval));
    guest.put(PATH, b"\xff\xfe");
    assert_eq!(open(&mut guest, 2), Err(Errno::Ilseq));
    guest.put(PATH, &b"a/".repeat(2047));
    assert_eq!(open(&mut guest, 4094), Err(Errno::Noent));
    assert_eq!(fs::read_dir(guest.root.path()).unwrap().count(), 0);
}

#[test]
fn numbers_out_of_range_are_refused_by_every_function() {
    let mut guest = Guest::new();
    fs::write(guest.host_path("file"), "content").unwrap();
    let fd = guest.open(ROOT, "file", 0, ALL).unwrap();
    assert_eq!(call!(guest, fd_advise(fd, 0, 0, 6)), Err(Errno::Inval));
    assert_eq!(
        call!(guest, fd_advise(fd, u64::MAX, 1, 0)),
        Err(Errno::Inval)
    );
    assert_eq!(
        call!(guest, fd_allocate(fd, u64::MAX, 1)),
        Err(Errno::Inval)
    );
    assert_eq!(
        call!(guest, fd_allocate(fd, 1, u64::MAX)),
        Err(Errno::Inval)
    );
    assert_eq!(
        call!(guest, fd_filestat_set_size(fd, u64::MAX)),
        Err(Errno::Inval)
    );
    assert_eq!(
        call!(guest, fd_seek(fd, i64::MIN, 1, OUT)),
        Err(Errno::Inval)
    );
    assert_eq!(
        call!(guest, fd_seek(fd, i64::MAX, 2, OUT)),
        Err(Errno::Inval)
    );
    assert_eq!(
        call!(guest, fd_readdir(ROOT, DATA, 100, u64::MAX, OUT)),
        Err(Errno::Inval)
    );
    let count = guest.iovecs(&[(DATA, 4)]);
    for offset in [1 << 63, u64::MAX] {
        let read = call!(guest, fd_pread(fd, LIST, count, offset, OUT));
        assert_eq!(read, Err(Errno::Inval));
        let write = call!(guest, fd_pwrite(fd, LIST, count, offset, OUT));
        assert_eq!(write, Err(Errno::Inval));
    }
    // Rights that do not exist are not granted.
    let strange = guest.open(ROOT, "file", 0, u64::MAX).unwrap();
    assert_eq!(guest.fdstat(strange).unwrap().2 & !ALL, 0);
    assert_eq!(fs::read(guest.host_path("file")).unwrap(), b"content");
}

#[test]
fn buffers_that_overlap_or_name_their_own_list_are_harmless() {
    let mut guest = Guest::new();
    fs::write(guest.host_path("file"), vec![0xee; 64]).unwrap();
    let fd = guest.open(ROOT, "file", 0, ALL).unwrap();
    // The list itself is overwritten by what is read.
    let count = guest.iovecs(&[(LIST, 16), (LIST + 8, 16)]);
    call!(guest, fd_read(fd, LIST, count, LIST)).unwrap();
    assert_eq!(guest.get_u32(LIST), 16, "the count is stored last");
    assert_eq!(guest.get(LIST + 4, 12), [0xee; 12]);
}

#[test]
fn broken_pipe_is_an_error_for_the_guest() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let output = crate::io::FdOutput::new(writer).unwrap();
    let mut guest = Guest::with(|ctx| ctx.stdout(output));
    assert_eq!(guest.write(1, b"read"), Ok(4));
    drop(reader);
    assert_eq!(guest.write(1, b"lost"), Err(Errno::Pipe));
    assert_eq!(guest.write(1, b"lost"), Err(Errno::Pipe));
}

/// Small numbers that collide, and the ends of ranges: most calls get past some of the checks.
#[test]
fn random_calls_of_every_function_never_bring_the_host_down() {
    use crate::random::SeededRandom;

    let seed = 0x7469_6465;
    let mut random = SeededRandom::new(seed);
    let mut guest = Guest::with(|ctx| ctx.arg("prog").env("A", "1"));
    guest.host.limit_descriptors(12);
    for (name, contents) in [("a", "0123456789"), ("b", "")] {
        fs::write(guest.host_path(name), contents).unwrap();
    }
    fs::create_dir(guest.host_path("d")).unwrap();
    let paths = [
        "a", "b", "d", "d/a", "..", "a/", "d/..", "/a", "", "l", "./d/./a",
    ];
    let mut pick = |choices: &[u64]| choices[random.next_u64() as usize % choices.len()];
    let size = guest.memory.len() as u64;
    for round in 0..30_000 {
        // Lists of buffers, subscriptions and paths lie over each other in the first bytes.
        for word in 0..24 {
            let value = pick(&[0, 1, 2, 3, 5, 8, 16, 100, size - 4, size, u64::MAX]) as u32;
            guest.put(word * 4, &value.to_le_bytes());
        }
        let path = paths[pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) as usize];
        guest.put(100, path.as_bytes());
        let function = &FUNCTIONS[pick(&(0..46).collect::<Vec<_>>()) as usize];
        let arguments: Vec<u64> = function
            .params()
            .iter()
            .map(|_| match pick(&[0, 0, 1, 1, 1, 2]) {
                0 => pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11]),
                1 => pick(&[0, 8, 100, path.len() as u64, ALL, 5, 3]),
                _ => pick(&[size - 1, size, 1 << 31, u32::MAX.into(), 1 << 63, u64::MAX]),
            })
            .collect();
        match function.call(&mut guest.host, (&mut *guest.memory).into(), &arguments) {
            Ok(Outcome::Done(number)) => assert!(number <= 76, "round {round}"),
            Ok(Outcome::Exit(_)) => assert!(function.name().starts_with("proc_")),
            Ok(Outcome::Wait(readiness)) => drop(readiness),
            Err(trap) => assert!(matches!(trap, Trap::OutOfBounds { .. }), "{trap}"),
        }
        if guest.fdstat(ROOT).is_err() {
            // It closed its directory: give it a new table over what it made so far.
            let root = Preopen::open(guest.root.path(), "/", Access::ReadWrite).unwrap();
            let read = Preopen::open(guest.root.path(), "/ro", Access::ReadOnly).unwrap();
            let ctx = WasiCtx::builder().preopen(root).preopen(read);
            guest.host = Preview1::new(ctx.build());
        }
    }
    let outside = fs::read_dir(guest.root.path().parent().unwrap()).unwrap();
    assert_eq!(
        outside.count(),
        1,
        "only the guest's own directory is there"
    );
}

/// An endpoint of the embedder's that claims more than it was offered.
struct Liar;

impl Input for Liar {
    fn try_read(&mut self, buf: &mut [u8]) -> Read {
        Read::Bytes(buf.len() + 1)
    }
    fn ready(&mut self) -> Readiness {
        ready_now()
    }
}

impl Output for Liar {
    fn try_write(&mut self, bytes: &[u8]) -> Write {
        Write::Bytes(bytes.len() + 1)
    }
    fn ready(&mut self) -> Readiness {
        ready_now()
    }
}

#[test]
fn host_that_claims_more_than_the_guest_offered_is_an_error() {
    let mut guest = Guest::with(|ctx| ctx.stdin(Liar).stdout(Liar));
    assert_eq!(guest.read(0, 4), Err(Errno::Io));
    let two = guest.iovecs(&[(DATA, 5000), (DATA, 5000)]);
    assert_eq!(call!(guest, fd_read(0, LIST, two, OUT)), Err(Errno::Io));
    assert_eq!(guest.write(1, b"tide"), Err(Errno::Io));
    let two = guest.iovecs(&[(DATA, 5000), (DATA, 5000)]);
    assert_eq!(call!(guest, fd_write(1, LIST, two, OUT)), Err(Errno::Io));
}

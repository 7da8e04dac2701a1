//! The table of descriptors and their rights.

use super::*;
use crate::io::{BytesInput, Capture};

#[test]
fn preopens_are_found_by_name_and_end_with_badf() {
    let mut guest = Guest::new();
    for (fd, name) in [(3, "/"), (4, "/ro")] {
        call!(guest, fd_prestat_get(fd, OUT)).unwrap();
        assert_eq!(
            (guest.get_u32(OUT), guest.get_u32(OUT + 4)),
            (0, name.len() as u32)
        );
        call!(guest, fd_prestat_dir_name(fd, DATA, name.len())).unwrap();
        assert_eq!(guest.get(DATA, name.len()), name.as_bytes());
        assert_eq!(
            call!(guest, fd_prestat_dir_name(fd, DATA, name.len() - 1)),
            Err(Errno::NameTooLong)
        );
    }
    for fd in [0, 1, 2, 5, u32::MAX] {
        assert_eq!(call!(guest, fd_prestat_get(fd, OUT)), Err(Errno::Badf));
    }
}

#[test]
fn standard_streams_read_and_write_but_have_no_position() {
    let captured = Capture::new(1 << 16);
    let out = captured.clone();
    let mut guest = Guest::with(|ctx| ctx.stdin(BytesInput::new(b"input".to_vec())).stdout(out));
    assert_eq!(guest.read(0, 3).unwrap(), b"inp");
    assert_eq!(guest.read(0, 9).unwrap(), b"ut");
    assert_eq!(guest.read(0, 9).unwrap(), b"");
    guest.put(DATA, b"one two ");
    let list = [(DATA, 4), (DATA + 4, 0), (DATA + 4, 4)];
    let count = guest.iovecs(&list);
    call!(guest, fd_write(1, LIST, count, OUT)).unwrap();
    assert_eq!(guest.get_u32(OUT), 8);
    let long = vec![b'x'; 5000];
    guest.put(DATA, &long);
    let list = [(DATA, 3000), (DATA + 3000, 2000)];
    let count = guest.iovecs(&list);
    call!(guest, fd_write(1, LIST, count, OUT)).unwrap();
    assert_eq!(guest.get_u32(OUT), 5000);
    let written = captured.contents();
    assert_eq!(&written[..8], b"one two ");
    assert_eq!(written.len(), 5008);
    assert_eq!(guest.read(1, 1), Err(Errno::Badf));
    assert_eq!(guest.write(0, b"x"), Err(Errno::Badf));
    for fd in [0, 1] {
        assert_eq!(call!(guest, fd_seek(fd, 0, 0, OUT)), Err(Errno::Spipe));
        assert_eq!(call!(guest, fd_tell(fd, OUT)), Err(Errno::Spipe));
        assert_eq!(call!(guest, fd_filestat_set_size(fd, 0)), Err(Errno::Inval));
        assert_eq!(call!(guest, sock_shutdown(fd, 1)), Err(Errno::NotSock));
        assert_eq!(call!(guest, fd_filestat_get(fd, OUT)), Ok(()));
    }
    assert_eq!(call!(guest, fd_sync(1)), Ok(()));
}

#[test]
fn renumbering_works_in_every_order() {
    let mut guest = Guest::new();
    let a = guest.open(ROOT, "a", 1, ALL).unwrap();
    let b = guest.open(ROOT, "b", 1, ALL).unwrap();
    assert_eq!(call!(guest, fd_renumber(a, a)), Ok(()));
    assert!(guest.fdstat(a).is_ok(), "onto itself it stays open");
    assert_eq!(call!(guest, fd_renumber(a, 99)), Err(Errno::Badf));
    assert_eq!(call!(guest, fd_renumber(99, a)), Err(Errno::Badf));
    assert_eq!(call!(guest, fd_renumber(99, 99)), Err(Errno::Badf));
    assert!(guest.fdstat(a).is_ok(), "a failure closes nothing");
    call!(guest, fd_renumber(b, a)).unwrap();
    assert_eq!(guest.fdstat(b), Err(Errno::Badf));
    guest.write(a, b"to b").unwrap();
    assert_eq!(fs::read(guest.host_path("b")).unwrap(), b"to b");
    assert_eq!(fs::read(guest.host_path("a")).unwrap(), b"");
    assert_eq!(
        call!(guest, fd_renumber(a, b)),
        Err(Errno::Badf),
        "b is closed"
    );
    // Over a preopen, and a preopen over a file and over stdin.
    call!(guest, fd_renumber(a, 4)).unwrap();
    assert_eq!(call!(guest, fd_prestat_get(4, OUT)), Err(Errno::Badf));
    call!(guest, fd_renumber(ROOT, 4)).unwrap();
    call!(guest, fd_renumber(4, 0)).unwrap();
    assert_eq!(call!(guest, fd_prestat_get(0, OUT)), Ok(()));
    assert_eq!(guest.open(0, "c", 1, ALL), Ok(3), "the lowest that is free");
    call!(guest, fd_renumber(0, 3)).unwrap();
    assert_eq!(guest.fdstat(0), Err(Errno::Badf));
    for fd in 0..10 {
        let _ = call!(guest, fd_close(fd));
        assert_eq!(call!(guest, fd_close(fd)), Err(Errno::Badf));
    }
}

#[test]
fn every_sequence_of_renumber_and_close_keeps_the_table_sound() {
    // All sequences of three operations on four descriptors, against a model.
    let operations: Vec<(u32, u32)> = (0..4).flat_map(|a| (0..5).map(move |b| (a, b))).collect();
    let mut guest = Guest::new();
    let preopen = Preopen::open(guest.root.path(), "/", Access::ReadOnly).unwrap();
    for first in &operations {
        for second in &operations {
            for third in &operations {
                let ctx = WasiCtx::builder().preopen(preopen.clone()).build();
                guest.host = Preview1::new(ctx);
                let mut model: [Option<u32>; 4] = [Some(0), Some(1), Some(2), Some(3)];
                for (fd, to) in [first, second, third] {
                    let (from, target) = (*fd as usize, *to as usize);
                    // The fifth target stands for closing.
                    let (result, expected) = if target == 4 {
                        let open = model[from].take().is_some();
                        (call!(guest, fd_close(*fd)), open)
                    } else {
                        let open = model[from].is_some() && model[target].is_some();
                        if open && from != target {
                            model[target] = model[from].take();
                        }
                        (call!(guest, fd_renumber(*fd, *to)), open)
                    };
                    assert_eq!(result.is_ok(), expected);
                }
                for (fd, what) in model.iter().enumerate() {
                    let stat = guest.fdstat(fd as u32);
                    let is_dir = stat.map(|stat| stat.0 == filetype::DIRECTORY);
                    assert_eq!(is_dir.ok(), what.map(|what| what == 3));
                }
            }
        }
    }
}

#[test]
fn rights_can_only_be_dropped_and_count() {
    let mut guest = Guest::new();
    let fd = guest.open(ROOT, "file", 1, ALL).unwrap();
    let (_, _, base, inheriting) = guest.fdstat(fd).unwrap();
    let reduced = base & !(rights::FD_WRITE | rights::FD_SEEK);
    call!(guest, fd_fdstat_set_rights(fd, reduced, inheriting)).unwrap();
    assert_eq!(guest.write(fd, b"x"), Err(Errno::NotCapable));
    assert_eq!(call!(guest, fd_seek(fd, 1, 0, OUT)), Err(Errno::NotCapable));
    assert_eq!(call!(guest, fd_tell(fd, OUT)), Ok(()));
    assert_eq!(
        call!(guest, fd_pread(fd, LIST, 0, 0, OUT)),
        Err(Errno::NotCapable)
    );
    assert_eq!(
        call!(guest, fd_fdstat_set_rights(fd, base, inheriting)),
        Err(Errno::NotCapable)
    );
    assert_eq!(guest.fdstat(fd).unwrap().2, reduced);
    // A directory that hands on no writing.
    let (_, _, base, inheriting) = guest.fdstat(ROOT).unwrap();
    let handed_on = inheriting & !rights::FD_WRITE;
    call!(guest, fd_fdstat_set_rights(ROOT, base, handed_on)).unwrap();
    assert_eq!(guest.open(ROOT, "file", 0, ALL), Err(Errno::NotCapable));
    assert!(guest.open(ROOT, "file", 0, ALL & !rights::FD_WRITE).is_ok());
    let sub = guest.open(ROOT, ".", 2, ALL & !rights::FD_WRITE).unwrap();
    assert_eq!(
        guest.open(sub, "file", 0, rights::FD_WRITE),
        Err(Errno::NotCapable)
    );
    for (right, name) in [
        (rights::PATH_CREATE_DIRECTORY, "path_create_directory"),
        (rights::PATH_UNLINK_FILE, "path_unlink_file"),
        (rights::PATH_REMOVE_DIRECTORY, "path_remove_directory"),
    ] {
        let base = guest.fdstat(sub).unwrap().2 & !right;
        call!(guest, fd_fdstat_set_rights(sub, base, handed_on)).unwrap();
        assert_eq!(guest.path(name, sub, "x"), Err(Errno::NotCapable), "{name}");
    }
    let base = guest.fdstat(sub).unwrap().2;
    let base = base & !(rights::PATH_CREATE_FILE | rights::PATH_FILESTAT_SET_SIZE);
    call!(guest, fd_fdstat_set_rights(sub, base, handed_on)).unwrap();
    assert_eq!(guest.open(sub, "file", 1, 0), Err(Errno::NotCapable));
    assert_eq!(guest.open(sub, "file", 8, 0), Err(Errno::NotCapable));
}

#[test]
fn full_table_refuses_before_it_creates_anything() {
    let mut guest = Guest::new();
    guest.host.limit_descriptors(6);
    assert_eq!(guest.open(ROOT, "one", 1, ALL), Ok(5));
    assert_eq!(guest.open(ROOT, "two", 1, ALL), Err(Errno::Mfile));
    assert!(!guest.host_path("two").exists());
    call!(guest, fd_close(5)).unwrap();
    assert_eq!(guest.open(ROOT, "two", 1, ALL), Ok(5));
}

#[test]
fn no_host_descriptor_is_left_behind() {
    let mut guest = Guest::new();
    let round = |guest: &mut Guest| {
        let a = guest.open(ROOT, "a", 1, ALL).unwrap();
        let b = guest.open(ROOT, "b", 1, ALL).unwrap();
        let dir = guest.open(ROOT, ".", 2, ALL & !rights::FD_WRITE).unwrap();
        call!(guest, fd_readdir(dir, DATA, 100, 0, OUT)).unwrap();
        call!(guest, fd_renumber(a, b)).unwrap();
        call!(guest, fd_renumber(dir, b)).unwrap();
        call!(guest, fd_close(b)).unwrap();
        let _ = guest.open(ROOT, "../x", 1, ALL);
        let _ = guest.open(ROOT, "a/b/c", 1, ALL);
        let _ = guest.rename(ROOT, "a", ROOT, "missing/x");
    };
    // Descriptors of other tests come and go in this process, so those under this root are counted.
    let count = |guest: &Guest| {
        let links = fs::read_dir("/proc/self/fd").unwrap();
        let targets = links.filter_map(|link| fs::read_link(link.ok()?.path()).ok());
        targets
            .filter(|target| target.starts_with(guest.root.path()))
            .count()
    };
    let before = count(&guest);
    for _ in 0..50 {
        round(&mut guest);
    }
    assert_eq!(count(&guest), before);
    assert_eq!(before, 2, "the two preopens");
}

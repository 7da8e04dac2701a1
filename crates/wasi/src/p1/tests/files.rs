//! Files and directories as a guest sees them.

use super::*;
use crate::p1::types::fdflags;

const CREAT: u32 = 1;
const DIRECTORY: u32 = 2;
const EXCL: u32 = 4;
const TRUNC: u32 = 8;

#[test]
fn file_is_created_written_and_read_back() {
    let mut guest = Guest::new();
    let fd = guest.open(ROOT, "file", CREAT | EXCL, ALL).unwrap();
    assert_eq!(fd, 5, "the lowest that is free");
    assert_eq!(
        guest.open(ROOT, "file", CREAT | EXCL, ALL),
        Err(Errno::Exist)
    );
    assert_eq!(guest.write(fd, b"hello world"), Ok(11));
    call!(guest, fd_seek(fd, -5i64, 2, OUT)).unwrap();
    assert_eq!(guest.get_u64(OUT), 6);
    assert_eq!(guest.read(fd, 100).unwrap(), b"world");
    assert_eq!(guest.read(fd, 100).unwrap(), b"");
    call!(guest, fd_tell(fd, OUT)).unwrap();
    assert_eq!(guest.get_u64(OUT), 11);
    assert_eq!(call!(guest, fd_seek(fd, -1i64, 0, OUT)), Err(Errno::Inval));
    assert_eq!(call!(guest, fd_seek(fd, 0, 3, OUT)), Err(Errno::Inval));
    call!(guest, fd_filestat_set_size(fd, 5)).unwrap();
    call!(guest, fd_allocate(fd, 0, 8)).unwrap();
    call!(guest, fd_filestat_get(fd, OUT)).unwrap();
    assert_eq!(guest.get_u64(OUT + 32), 8);
    call!(guest, fd_sync(fd)).unwrap();
    call!(guest, fd_datasync(fd)).unwrap();
    let truncated = guest.open(ROOT, "file", TRUNC, 0).unwrap();
    call!(guest, fd_filestat_get(fd, OUT)).unwrap();
    assert_eq!(guest.get_u64(OUT + 32), 0);
    call!(guest, fd_close(truncated)).unwrap();
}

#[test]
fn vectors_are_scattered_and_gathered_in_order() {
    let mut guest = Guest::new();
    let fd = guest.open(ROOT, "file", CREAT, ALL).unwrap();
    guest.put(DATA, b"abcdef");
    let list = [(DATA + 3, 3), (DATA, 0), (DATA, 3)];
    let count = guest.iovecs(&list);
    call!(guest, fd_write(fd, LIST, count, OUT)).unwrap();
    assert_eq!(guest.get_u32(OUT), 6);
    let list = [(DATA + 200, 2), (DATA + 50, 100)];
    let count = guest.iovecs(&list);
    call!(guest, fd_pread(fd, LIST, count, 0, OUT)).unwrap();
    assert_eq!(guest.get_u32(OUT), 6);
    assert_eq!(guest.get(DATA + 200, 2), b"de");
    assert_eq!(guest.get(DATA + 50, 4), b"fabc");
}

#[test]
fn append_goes_to_the_end_until_the_flag_is_taken_away() {
    let mut guest = Guest::new();
    let fd = guest
        .open_with(ROOT, 0, "file", CREAT, ALL, fdflags::APPEND)
        .unwrap();
    guest.write(fd, b"one").unwrap();
    call!(guest, fd_seek(fd, 0, 0, OUT)).unwrap();
    guest.write(fd, b"two").unwrap();
    call!(guest, fd_tell(fd, OUT)).unwrap();
    assert_eq!(guest.get_u64(OUT), 6);
    call!(guest, fd_fdstat_set_flags(fd, 0)).unwrap();
    call!(guest, fd_seek(fd, 0, 0, OUT)).unwrap();
    guest.write(fd, b"XY").unwrap();
    assert_eq!(fs::read(guest.host_path("file")).unwrap(), b"XYetwo");
    assert_eq!(
        call!(guest, fd_fdstat_set_flags(fd, fdflags::SYNC)),
        Err(Errno::NotSup)
    );
    assert_eq!(call!(guest, fd_fdstat_set_flags(fd, 32)), Err(Errno::Inval));
}

#[test]
fn directory_is_listed_through_a_buffer_of_any_size() {
    let mut guest = Guest::new();
    let mut expected = vec![".".to_owned(), "..".to_owned()];
    for n in 0..50 {
        let name = format!("entry-{n}-{}", "x".repeat(n));
        fs::write(guest.host_path(&name), "").unwrap();
        expected.push(name);
    }
    expected.sort();
    for size in [100u32, 257, 4096, 0x10000] {
        let (mut names, mut cookie) = (Vec::new(), 0u64);
        'listing: loop {
            call!(guest, fd_readdir(ROOT, DATA, size, cookie, OUT)).unwrap();
            let used = guest.get_u32(OUT);
            assert!(used <= size);
            let (mut at, before) = (0, cookie);
            while at + 24 <= used {
                let len = guest.get_u32(DATA + at + 16);
                if at + 24 + len > used {
                    break;
                }
                let name = guest.get(DATA + at + 24, len as usize).to_vec();
                names.push(String::from_utf8(name).unwrap());
                cookie = guest.get_u64(DATA + at);
                at += 24 + len;
            }
            if used < size {
                break 'listing;
            }
            assert_ne!(cookie, before, "no entry is larger than the buffer");
        }
        names.sort();
        assert_eq!(names, expected, "with a buffer of {size} bytes");
    }
    assert_eq!(call!(guest, fd_readdir(ROOT, DATA, 0, 0, OUT)), Ok(()));
    assert_eq!(guest.get_u32(OUT), 0);
}

#[test]
fn links_are_followed_only_where_asked() {
    let mut guest = Guest::new();
    fs::write(guest.host_path("target"), "x").unwrap();
    guest.symlink("target", ROOT, "link").unwrap();
    assert_eq!(guest.open_with(ROOT, 0, "link", 0, 0, 0), Err(Errno::Loop));
    assert!(guest.open_with(ROOT, 1, "link", 0, 0, 0).is_ok());
    for (flags, expected) in [(0, filetype::SYMBOLIC_LINK), (1, filetype::REGULAR_FILE)] {
        guest.put(PATH, b"link");
        call!(guest, path_filestat_get(ROOT, flags, PATH, 4, OUT)).unwrap();
        assert_eq!(guest.get(OUT + 16, 1), [expected]);
    }
    assert_eq!(
        call!(guest, path_filestat_get(ROOT, 2, PATH, 4, OUT)),
        Err(Errno::Inval)
    );
    guest.put(DATA, &[0xff; 8]);
    call!(guest, path_readlink(ROOT, PATH, 4, DATA, 4, OUT)).unwrap();
    assert_eq!(
        (guest.get_u32(OUT), guest.get(DATA, 6)),
        (4, &b"targ\xff\xff"[..])
    );
}

#[test]
fn times_are_set_to_one_value_or_none() {
    let mut guest = Guest::new();
    let fd = guest.open(ROOT, "file", CREAT, ALL).unwrap();
    call!(
        guest,
        fd_filestat_set_times(fd, 1_000_000_007u64, 2_000_000_009u64, 1 | 4)
    )
    .unwrap();
    call!(guest, fd_filestat_get(fd, OUT)).unwrap();
    assert_eq!(guest.get_u64(OUT + 40), 1_000_000_007);
    assert_eq!(guest.get_u64(OUT + 48), 2_000_000_009);
    for flags in [1 | 2, 4 | 8, 16] {
        let set = call!(guest, fd_filestat_set_times(fd, 5, 5, flags));
        assert_eq!(set, Err(Errno::Inval));
        guest.put(PATH, b"file");
        let set = call!(
            guest,
            path_filestat_set_times(ROOT, 0, PATH, 4, 5, 5, flags)
        );
        assert_eq!(set, Err(Errno::Inval));
    }
    call!(guest, fd_filestat_set_times(fd, 0, 0, 8)).unwrap();
    call!(guest, fd_filestat_get(fd, OUT)).unwrap();
    assert_eq!(guest.get_u64(OUT + 40), 1_000_000_007);
    assert!(guest.get_u64(OUT + 48) > 1_500_000_000_000_000_000);
}

#[test]
fn directory_is_neither_read_nor_written_as_a_file() {
    let mut guest = Guest::new();
    for result in [
        guest.read(ROOT, 4).map(drop),
        guest.write(ROOT, b"x").map(drop),
        call!(guest, fd_seek(ROOT, 0, 0, OUT)),
        call!(guest, fd_tell(ROOT, OUT)),
        call!(guest, fd_allocate(ROOT, 0, 1)),
        call!(guest, fd_filestat_set_size(ROOT, 0)),
        call!(guest, fd_advise(ROOT, 0, 0, 0)),
        call!(guest, fd_pread(ROOT, LIST, 0, 0, OUT)),
        call!(guest, fd_pwrite(ROOT, LIST, 0, 0, OUT)),
        guest.open(ROOT, ".", DIRECTORY, ALL).map(drop),
    ] {
        assert_eq!(result, Err(Errno::Isdir));
    }
    let file = guest.open(ROOT, "file", CREAT, ALL).unwrap();
    assert_eq!(guest.open(file, "x", CREAT, 0), Err(Errno::NotDir));
    assert_eq!(
        call!(guest, fd_readdir(file, DATA, 100, 0, OUT)),
        Err(Errno::NotDir)
    );
    assert_eq!(guest.open(ROOT, "file", DIRECTORY, 0), Err(Errno::NotDir));
    assert_eq!(
        guest.open(ROOT, "x", CREAT | DIRECTORY, 0),
        Err(Errno::Inval)
    );
    assert_eq!(guest.open(ROOT, "file", 16, 0), Err(Errno::Inval));
}

#[test]
fn what_is_not_in_the_page_cache_is_fetched_without_blocking() {
    let mut guest = Guest::new();
    let content: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    fs::write(guest.host_path("file"), &content).unwrap();
    let fd = guest.open(ROOT, "file", 0, ALL).unwrap();
    call!(guest, fd_sync(fd)).unwrap();
    // Some filesystems keep it all the same; then there is nothing to wait for.
    call!(guest, fd_advise(fd, 0, 0, 4)).unwrap();
    let mut found = Vec::new();
    loop {
        let part = guest.read(fd, 0x10000).unwrap();
        if part.is_empty() {
            break;
        }
        found.extend(part);
    }
    assert!(found == content);
    call!(guest, fd_advise(fd, 0, 0, 4)).unwrap();
    let count = guest.iovecs(&[(DATA, 100)]);
    call!(guest, fd_pread(fd, LIST, count, 200_000, OUT)).unwrap();
    assert_eq!(guest.get_u32(OUT), 100);
    assert_eq!(guest.get(DATA, 100), &content[200_000..200_100]);
}

//! Arguments, environment and pointers.

use super::*;

#[test]
fn arguments_and_environment_are_stored_with_their_addresses() {
    let mut guest = Guest::with(|ctx| ctx.args(["prog", "", "ä b"]).env("A", "1").env("B", "x=y"));
    call!(guest, args_sizes_get(OUT, OUT + 4)).unwrap();
    assert_eq!((guest.get_u32(OUT), guest.get_u32(OUT + 4)), (3, 11));
    call!(guest, args_get(LIST, DATA)).unwrap();
    assert_eq!(guest.get(DATA, 11), "prog\0\0ä b\0".as_bytes());
    let addresses: Vec<_> = (0..3).map(|n| guest.get_u32(LIST + 4 * n) - DATA).collect();
    assert_eq!(addresses, [0, 5, 6]);
    call!(guest, environ_sizes_get(OUT, OUT + 4)).unwrap();
    assert_eq!((guest.get_u32(OUT), guest.get_u32(OUT + 4)), (2, 10));
    call!(guest, environ_get(LIST, DATA)).unwrap();
    assert_eq!(guest.get(DATA, 10), b"A=1\0B=x=y\0");
}

#[test]
fn pointers_may_be_unaligned() {
    let mut guest = Guest::with(|ctx| ctx.arg("prog"));
    call!(guest, clock_time_get(1, 0, OUT + 3)).unwrap();
    call!(guest, args_get(LIST + 1, DATA + 1)).unwrap();
    assert_eq!(guest.get_u32(LIST + 1), DATA + 1);
    let fd = guest.open(ROOT, "file", 1, ALL).unwrap();
    guest.put(LIST + 1, &DATA.to_le_bytes());
    guest.put(LIST + 5, &4u32.to_le_bytes());
    call!(guest, fd_write(fd, LIST + 1, 1, OUT + 1)).unwrap();
    assert_eq!(guest.get_u32(OUT + 1), 4);
}

/// Every parameter that is a pointer, put outside of memory in every way, traps, and has no effect.
#[test]
fn pointers_outside_of_memory_trap_before_anything_happens() {
    let mut guest = Guest::with(|ctx| ctx.arg("prog").env("A", "1"));
    fs::write(guest.host_path("file"), "0123456789").unwrap();
    guest.symlink("file", ROOT, "link").unwrap();
    let fd = guest
        .open(ROOT, "file", 0, ALL & !rights::PATH_OPEN)
        .unwrap();
    let size = guest.memory.len() as u64;
    guest.put(PATH, b"file");
    guest.put(PATH2, b"new");
    let count: u64 = guest.iovecs(&[(DATA, 4)]).into();
    let (root, fd) = (u64::from(ROOT), u64::from(fd));
    let [out, list, path, path2, data] = [OUT, LIST, PATH, PATH2, DATA].map(u64::from);
    // Name, arguments, which of them are pointers.
    let cases: &[(&str, &[u64], &[usize])] = &[
        ("args_get", &[list, data], &[0, 1]),
        ("args_sizes_get", &[out, out + 4], &[0, 1]),
        ("environ_get", &[list, data], &[0, 1]),
        ("environ_sizes_get", &[out, out + 4], &[0, 1]),
        ("clock_res_get", &[0, out], &[1]),
        ("clock_time_get", &[0, 0, out], &[2]),
        ("fd_fdstat_get", &[fd, out], &[1]),
        ("fd_filestat_get", &[fd, out], &[1]),
        ("fd_pread", &[fd, list, count, 0, out], &[1, 4]),
        ("fd_pwrite", &[fd, list, count, 0, out], &[1, 4]),
        ("fd_read", &[fd, list, count, out], &[1, 3]),
        ("fd_write", &[fd, list, count, out], &[1, 3]),
        ("fd_prestat_get", &[root, out], &[1]),
        ("fd_prestat_dir_name", &[root, data, 4], &[1]),
        ("fd_readdir", &[root, data, 100, 0, out], &[1, 4]),
        ("fd_seek", &[fd, 3, 0, out], &[3]),
        ("fd_tell", &[fd, out], &[1]),
        ("path_create_directory", &[root, path2, 3], &[1]),
        ("path_filestat_get", &[root, 0, path, 4, out], &[2, 4]),
        (
            "path_filestat_set_times",
            &[root, 0, path, 4, 0, 0, 5],
            &[2],
        ),
        ("path_link", &[root, 0, path, 4, root, path2, 3], &[2, 5]),
        (
            "path_open",
            &[root, 0, path2, 3, 1, ALL, ALL, 0, out],
            &[2, 8],
        ),
        ("path_readlink", &[root, path, 4, data, 10, out], &[1, 3, 5]),
        ("path_remove_directory", &[root, path, 4], &[1]),
        ("path_rename", &[root, path, 4, root, path2, 3], &[1, 4]),
        ("path_symlink", &[path, 4, root, path2, 3], &[0, 3]),
        ("path_unlink_file", &[root, path, 4], &[1]),
        ("poll_oneoff", &[list, data, 1, out], &[0, 1, 3]),
        ("random_get", &[data, 8], &[0]),
    ];
    for (name, arguments, pointers) in cases {
        for pointer in *pointers {
            for outside in [size, size - 1, u32::MAX.into()] {
                let mut arguments = arguments.to_vec();
                arguments[*pointer] = outside;
                let before = guest.memory.clone();
                match guest.try_call(name, &arguments) {
                    Err(Trap::OutOfBounds { function, .. }) => assert_eq!(function, *name),
                    other => panic!("{name} with argument {pointer} = {outside:#x}: {other:?}"),
                }
                assert!(before == guest.memory, "{name} stored something");
            }
        }
    }
    assert_eq!(
        fs::read_to_string(guest.host_path("file")).unwrap(),
        "0123456789"
    );
    assert!(!guest.host_path("new").exists());
    let position = guest.call("fd_tell", &[fd, out]);
    assert_eq!((position, guest.get_u64(OUT)), (Ok(()), 0));
}

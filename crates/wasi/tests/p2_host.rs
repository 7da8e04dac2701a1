//! The host functions of WASI 0.2, called as the bindings call them, without a guest.

use std::time::{Duration, Instant};

use tidegate::{Resource, ResourceTable};
use tidegate_wasi::fs::Access;
use tidegate_wasi::io::{BytesInput, Capture, FdOutput, PipeInput, PipeOutput, Write, pipe};
use tidegate_wasi::io::{InputStream, Output, OutputStream};
use tidegate_wasi::net::Policy;
use tidegate_wasi::p2::bindings::wasi::cli::{
    environment, exit, stdin, stdout, terminal_stdin, terminal_stdout,
};
use tidegate_wasi::p2::bindings::wasi::clocks::{monotonic_clock, timezone, wall_clock};
use tidegate_wasi::p2::bindings::wasi::filesystem::preopens::Host as _;
use tidegate_wasi::p2::bindings::wasi::filesystem::types::{
    self, DescriptorFlags, HostDescriptor, HostDirectoryEntryStream as _, OpenFlags, PathFlags,
};
use tidegate_wasi::p2::bindings::wasi::io::poll::{Host as _, HostPollable};
use tidegate_wasi::p2::bindings::wasi::io::streams::{
    Host as _, HostInputStream, HostOutputStream, StreamError,
};
use tidegate_wasi::p2::bindings::wasi::random::{insecure_seed, random};
use tidegate_wasi::p2::bindings::wasi::sockets::ip_name_lookup;
use tidegate_wasi::p2::bindings::wasi::sockets::{
    instance_network::Host as _, network, tcp::HostTcpSocket as _, tcp_create_socket,
};
use tidegate_wasi::p2::{Descriptor, Fault, RANDOM_LIMIT, WasiCtxView};
use tidegate_wasi::{I32Exit, WasiCtx, WasiCtxBuilder};

struct State {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl State {
    fn new(builder: WasiCtxBuilder) -> Self {
        Self {
            ctx: builder.build(),
            table: ResourceTable::new(),
        }
    }

    fn host(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

fn again<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

fn piped_stdin() -> (State, PipeOutput, Resource<InputStream>) {
    let (input, output) = pipe(16);
    let mut state = State::new(WasiCtx::builder().stdin(input));
    let stream = stdin::Host::get_stdin(&mut state.host()).unwrap();
    (state, output, stream)
}

fn piped_stdout(capacity: usize) -> (State, PipeInput, Resource<OutputStream>) {
    let (input, output) = pipe(capacity);
    let mut state = State::new(WasiCtx::builder().stdout(output));
    let stream = stdout::Host::get_stdout(&mut state.host()).unwrap();
    (state, input, stream)
}

#[test]
fn pollable_that_outlives_its_stream_traps_at_the_streams_drop() {
    let (mut state, _output, stream) = piped_stdin();
    let mut host = state.host();
    let pollable = HostInputStream::subscribe(&mut host, again(&stream)).unwrap();
    let trap = HostInputStream::drop(&mut host, Resource::new_own(stream.rep())).unwrap_err();
    assert!(trap.to_string().contains("children"), "{trap}");
    HostPollable::drop(&mut host, pollable).unwrap();
    HostInputStream::drop(&mut host, stream).unwrap();
    assert!(state.table.is_empty());
}

#[tokio::test]
async fn empty_poll_traps() {
    let mut state = State::new(WasiCtx::builder());
    let trap = state.host().poll(Vec::new()).await.unwrap_err();
    assert!(trap.to_string().contains("empty list"), "{trap}");
}

#[tokio::test]
async fn poll_gives_back_every_ready_index_also_of_repeated_pollables() {
    let (mut state, mut output, stream) = piped_stdin();
    let mut host = state.host();
    let input = HostInputStream::subscribe(&mut host, again(&stream)).unwrap();
    let now = monotonic_clock::Host::subscribe_duration(&mut host, 0).unwrap();
    let never = monotonic_clock::Host::subscribe_instant(&mut host, u64::MAX).unwrap();
    let all = |list: &[&Resource<_>]| list.iter().map(|one| again(one)).collect();
    assert_eq!(
        host.poll(all(&[&input, &now, &never, &now])).await.unwrap(),
        [1, 3]
    );
    assert!(!HostPollable::ready(&mut host, again(&input)).unwrap());
    assert!(matches!(output.try_write(b"x"), Write::Bytes(1)));
    assert_eq!(
        host.poll(all(&[&input, &now, &never, &input]))
            .await
            .unwrap(),
        [0, 1, 3]
    );
    assert!(HostPollable::ready(&mut host, again(&input)).unwrap());
}

#[tokio::test]
async fn poll_gives_back_every_instant_that_one_wait_was_for() {
    let (mut state, _output, stream) = piped_stdin();
    let mut host = state.host();
    let input = HostInputStream::subscribe(&mut host, again(&stream)).unwrap();
    let soon = monotonic_clock::Host::now(&mut host).unwrap() + 2_000_000;
    let mut at = |when| monotonic_clock::Host::subscribe_instant(&mut host, when).unwrap();
    let (first, never, second) = (at(soon), at(u64::MAX), at(soon - 1));
    let all = [&first, &input, &never, &second];
    let all = all.map(again).into();
    assert_eq!(host.poll(all).await.unwrap(), [0, 3]);
}

#[tokio::test]
async fn poll_wakes_for_bytes_and_for_time() {
    let (mut state, mut output, stream) = piped_stdin();
    let mut host = state.host();
    let input = HostInputStream::subscribe(&mut host, again(&stream)).unwrap();
    let start = Instant::now();
    let soon = monotonic_clock::Host::subscribe_duration(&mut host, 20_000_000).unwrap();
    assert_eq!(
        host.poll(vec![again(&input), again(&soon)]).await.unwrap(),
        [1]
    );
    assert!(start.elapsed() >= Duration::from_millis(20));
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(10));
        assert!(matches!(output.try_write(b"x"), Write::Bytes(1)));
        output
    });
    HostPollable::block(&mut host, again(&input)).await.unwrap();
    assert_eq!(
        HostInputStream::read(&mut host, stream, 9).unwrap(),
        b"x".to_vec()
    );
    writer.join().unwrap();
}

#[tokio::test]
async fn ten_thousand_pollables_take_time_in_proportion() {
    let mut state = State::new(WasiCtx::builder());
    let mut host = state.host();
    let mut all = Vec::new();
    for _ in 0..10_000 {
        all.push(monotonic_clock::Host::subscribe_duration(&mut host, 3_600_000_000_000).unwrap());
    }
    let soon = monotonic_clock::Host::subscribe_duration(&mut host, 5_000_000).unwrap();
    all.push(again(&soon));
    let start = Instant::now();
    assert_eq!(host.poll(all).await.unwrap(), [10_000]);
    // Looking at every pair of them would take a hundred million looks.
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn write_beyond_the_permit_traps_and_is_no_error_of_the_stream() {
    let (mut state, _input, stream) = piped_stdout(8);
    let mut host = state.host();
    let Err(Fault::Trap(trap)) = HostOutputStream::write(&mut host, again(&stream), vec![1]) else {
        panic!("a write without a permit was accepted");
    };
    assert!(trap.to_string().contains("check-write"), "{trap}");
    let permit = HostOutputStream::check_write(&mut host, again(&stream)).unwrap();
    let Err(Fault::Trap(_)) = HostOutputStream::write_zeroes(&mut host, again(&stream), permit + 1)
    else {
        panic!("a write beyond the permit was accepted");
    };
}

#[tokio::test]
async fn blocking_writes_of_more_than_4096_bytes_trap() {
    let (mut state, _input, stream) = piped_stdout(8);
    let mut host = state.host();
    let too_long = vec![1; 4097];
    let answer =
        HostOutputStream::blocking_write_and_flush(&mut host, again(&stream), too_long).await;
    assert!(matches!(answer, Err(Fault::Trap(_))));
    let answer =
        HostOutputStream::blocking_write_zeroes_and_flush(&mut host, again(&stream), 4097).await;
    assert!(matches!(answer, Err(Fault::Trap(_))));
}

#[tokio::test]
async fn broken_stdout_is_an_error_once_then_closed() {
    let (mut state, input, stream) = piped_stdout(8);
    drop(input);
    let mut host = state.host();
    let fault = HostOutputStream::blocking_write_and_flush(&mut host, again(&stream), vec![1])
        .await
        .unwrap_err();
    let StreamError::LastOperationFailed(error) = host.convert_stream_error(fault).unwrap() else {
        panic!("the error was not reported");
    };
    let code = types::Host::filesystem_error_code(&mut host, error).unwrap();
    // A pipe of the host's memory fails without a number of the operating system's.
    assert_eq!(code, None);
    let fault = HostOutputStream::check_write(&mut host, again(&stream)).unwrap_err();
    assert!(matches!(
        host.convert_stream_error(fault).unwrap(),
        StreamError::Closed
    ));
}

#[tokio::test]
async fn broken_pipe_of_the_operating_system_reaches_the_guest_with_its_code() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    drop(reader);
    let mut state = State::new(WasiCtx::builder().stdout(FdOutput::new(writer).unwrap()));
    let mut host = state.host();
    let stream = stdout::Host::get_stdout(&mut host).unwrap();
    assert!(HostOutputStream::check_write(&mut host, again(&stream)).unwrap() > 0);
    let fault = HostOutputStream::write(&mut host, again(&stream), vec![1]).unwrap_err();
    let StreamError::LastOperationFailed(error) = host.convert_stream_error(fault).unwrap() else {
        panic!("the error was not reported");
    };
    assert_eq!(
        types::Host::filesystem_error_code(&mut host, error).unwrap(),
        Some(types::ErrorCode::Pipe)
    );
}

#[tokio::test]
async fn named_pipe_in_a_directory_is_waited_for_and_ends() {
    let (host_dir, mut state, dir) = directory(Access::ReadOnly);
    let fifo = host_dir.path().join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
    let mut host = state.host();
    let read = DescriptorFlags::READ;
    let file = open(&mut host, &dir, "fifo", OpenFlags::empty(), read).unwrap();
    let input = host.read_via_stream(file, 0).unwrap();
    assert_eq!(
        HostInputStream::read(&mut host, again(&input), 9).unwrap(),
        b""
    );
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(10));
        std::fs::write(fifo, b"through a name").unwrap();
    });
    let bytes = HostInputStream::blocking_read(&mut host, again(&input), 100)
        .await
        .unwrap();
    assert_eq!(bytes, b"through a name");
    writer.join().unwrap();
    let fault = HostInputStream::blocking_read(&mut host, input, 100)
        .await
        .unwrap_err();
    assert!(matches!(
        host.convert_stream_error(fault).unwrap(),
        StreamError::Closed
    ));
}

#[tokio::test]
async fn splice_moves_bytes_between_host_streams() {
    let kept = Capture::new(100);
    let mut state = State::new(
        WasiCtx::builder()
            .stdin(BytesInput::new(*b"through the host"))
            .stdout(kept.clone()),
    );
    let mut host = state.host();
    let input = stdin::Host::get_stdin(&mut host).unwrap();
    let output = stdout::Host::get_stdout(&mut host).unwrap();
    assert_eq!(host.splice(again(&output), again(&input), 7).unwrap(), 7);
    assert_eq!(
        host.blocking_splice(again(&output), again(&input), u64::MAX)
            .await
            .unwrap(),
        9
    );
    let fault = host
        .blocking_splice(again(&output), again(&input), 1)
        .await
        .unwrap_err();
    assert!(matches!(
        host.convert_stream_error(fault).unwrap(),
        StreamError::Closed
    ));
    assert_eq!(kept.contents(), b"through the host");
}

#[test]
fn random_gives_exactly_what_was_asked_for_up_to_a_limit() {
    let mut state = State::new(WasiCtx::builder());
    let mut host = state.host();
    let bytes = random::Host::get_random_bytes(&mut host, 100).unwrap();
    assert_eq!(bytes.len(), 100);
    assert!(random::Host::get_random_bytes(&mut host, RANDOM_LIMIT + 1).is_err());
    assert!(random::Host::get_random_bytes(&mut host, u64::MAX).is_err());
    let seed = insecure_seed::Host::insecure_seed(&mut host).unwrap();
    assert_ne!(seed.0, seed.1);
}

#[test]
fn exit_unwinds_with_its_status() {
    let mut state = State::new(WasiCtx::builder());
    let mut host = state.host();
    let status = |error: tidegate::Error| error.downcast_ref::<I32Exit>().map(|exit| exit.0);
    assert_eq!(
        status(exit::Host::exit(&mut host, Ok(())).unwrap_err()),
        Some(0)
    );
    assert_eq!(
        status(exit::Host::exit(&mut host, Err(())).unwrap_err()),
        Some(1)
    );
    assert_eq!(
        status(exit::Host::exit_with_code(&mut host, 42).unwrap_err()),
        Some(42)
    );
}

#[test]
fn environment_is_what_was_granted_and_nothing_else() {
    let mut state = State::new(WasiCtx::builder());
    let mut host = state.host();
    assert_eq!(
        environment::Host::get_arguments(&mut host).unwrap(),
        [""; 0]
    );
    assert_eq!(environment::Host::get_environment(&mut host).unwrap(), []);
    assert_eq!(environment::Host::initial_cwd(&mut host).unwrap(), None);
    assert!(host.get_directories().unwrap().is_empty());
    assert!(
        terminal_stdin::Host::get_terminal_stdin(&mut host)
            .unwrap()
            .is_none()
    );
    assert!(
        terminal_stdout::Host::get_terminal_stdout(&mut host)
            .unwrap()
            .is_none()
    );
    let builder = WasiCtx::builder()
        .arg("program")
        .env("A", "1")
        .env("A", "2")
        .initial_cwd("/work");
    let mut state = State::new(builder);
    let mut host = state.host();
    assert_eq!(
        environment::Host::get_arguments(&mut host).unwrap(),
        ["program"]
    );
    assert_eq!(
        environment::Host::get_environment(&mut host).unwrap(),
        [("A".to_owned(), "2".to_owned())]
    );
    assert_eq!(
        environment::Host::initial_cwd(&mut host).unwrap(),
        Some("/work".to_owned())
    );
}

#[test]
fn clocks_move_and_the_time_zone_is_utc_by_default() {
    let mut state = State::new(WasiCtx::builder());
    let mut host = state.host();
    let earlier = monotonic_clock::Host::now(&mut host).unwrap();
    assert!(monotonic_clock::Host::now(&mut host).unwrap() >= earlier);
    assert!(monotonic_clock::Host::resolution(&mut host).unwrap() >= 1);
    let now = wall_clock::Host::now(&mut host).unwrap();
    assert!(now.seconds > 1_700_000_000);
    assert!(now.nanoseconds < 1_000_000_000);
    assert_eq!(timezone::Host::utc_offset(&mut host, now).unwrap(), 0);
    assert_eq!(timezone::Host::display(&mut host, now).unwrap().name, "UTC");
}

#[test]
fn network_is_denied_unless_allowed() {
    let mut state = State::new(WasiCtx::builder());
    let mut host = state.host();
    let network = host.instance_network().unwrap();
    let family = network::IpAddressFamily::Ipv4;
    let socket = tcp_create_socket::Host::create_tcp_socket(&mut host, family).unwrap();
    let address = network::IpSocketAddress::Ipv4(network::Ipv4SocketAddress {
        port: 0,
        address: (127, 0, 0, 1),
    });
    for fault in [
        host.start_bind(again(&socket), again(&network), address)
            .unwrap_err(),
        ip_name_lookup::Host::resolve_addresses(&mut host, again(&network), "::1".to_owned())
            .map(drop)
            .unwrap_err(),
    ] {
        assert_eq!(
            network::Host::convert_error_code(&mut host, fault).unwrap(),
            network::ErrorCode::AccessDenied
        );
    }
    let policy = Policy::nothing().allow_bind("127.0.0.1".parse().unwrap());
    let mut state = State::new(WasiCtx::builder().network(policy));
    let mut host = state.host();
    let network = host.instance_network().unwrap();
    let socket = tcp_create_socket::Host::create_tcp_socket(&mut host, family).unwrap();
    host.start_bind(again(&socket), network, address).unwrap();
    host.finish_bind(again(&socket)).unwrap();
    let network::IpSocketAddress::Ipv4(bound) = host.local_address(socket).unwrap() else {
        panic!("bound to another family");
    };
    assert_eq!(bound.address, (127, 0, 0, 1));
    assert_ne!(bound.port, 0);
}

fn directory(access: Access) -> (tempfile::TempDir, State, Resource<Descriptor>) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tide"), b"in and out").unwrap();
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    let builder = WasiCtx::builder()
        .preopened_dir(dir.path(), "/data", access)
        .unwrap();
    let mut state = State::new(builder);
    let (descriptor, name) = state.host().get_directories().unwrap().remove(0);
    assert_eq!(name, "/data");
    (dir, state, descriptor)
}

fn open(
    host: &mut WasiCtxView<'_>,
    dir: &Resource<Descriptor>,
    path: &str,
    open: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Resource<Descriptor>, types::ErrorCode> {
    host.open_at(again(dir), PathFlags::empty(), path.to_owned(), open, flags)
        .map_err(|fault| types::Host::convert_error_code(host, fault).unwrap())
}

#[test]
fn files_are_read_and_written_at_offsets_and_by_streams() {
    let (host_dir, mut state, dir) = directory(Access::ReadWrite);
    let mut host = state.host();
    let both = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = open(&mut host, &dir, "tide", OpenFlags::empty(), both).unwrap();
    assert_eq!(host.get_flags(again(&file)).unwrap(), both);
    assert_eq!(
        HostDescriptor::read(&mut host, again(&file), 2, 3).unwrap(),
        (b"an".to_vec(), false)
    );
    assert_eq!(
        HostDescriptor::read(&mut host, again(&file), u64::MAX, 7).unwrap(),
        (b"out".to_vec(), true)
    );
    assert_eq!(
        HostDescriptor::read(&mut host, again(&file), 1, 1000).unwrap(),
        (Vec::new(), true)
    );
    assert_eq!(
        HostDescriptor::write(&mut host, again(&file), b"IN".to_vec(), 0).unwrap(),
        2
    );

    let output = host.write_via_stream(again(&file), 7).unwrap();
    assert!(HostOutputStream::check_write(&mut host, again(&output)).unwrap() >= 3);
    HostOutputStream::write(&mut host, again(&output), b"OUT".to_vec()).unwrap();
    let end = host.append_via_stream(again(&file)).unwrap();
    HostOutputStream::check_write(&mut host, again(&end)).unwrap();
    HostOutputStream::write(&mut host, end, b"!".to_vec()).unwrap();

    let input = host.read_via_stream(again(&file), 3).unwrap();
    assert_eq!(
        HostInputStream::read(&mut host, again(&input), 100).unwrap(),
        b"and OUT!".to_vec()
    );
    let fault = HostInputStream::read(&mut host, input, 100).unwrap_err();
    assert!(matches!(
        host.convert_stream_error(fault).unwrap(),
        StreamError::Closed
    ));
    assert_eq!(host.stat(file).unwrap().size, 11);
    assert_eq!(
        std::fs::read(host_dir.path().join("tide")).unwrap(),
        b"IN and OUT!"
    );
}

#[test]
fn directories_are_listed_without_the_dots() {
    let (host_dir, mut state, dir) = directory(Access::ReadOnly);
    for index in 0..200 {
        std::fs::write(host_dir.path().join(format!("file{index}")), b"").unwrap();
    }
    let mut host = state.host();
    let listing = host.read_directory(again(&dir)).unwrap();
    let mut names = Vec::new();
    while let Some(entry) = host.read_directory_entry(again(&listing)).unwrap() {
        names.push(entry.name);
    }
    assert_eq!(names.len(), 202);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 202);
    assert!(!names.iter().any(|name| name.starts_with('.')));
}

#[test]
fn read_only_directory_refuses_every_change() {
    let (_host_dir, mut state, dir) = directory(Access::ReadOnly);
    let mut host = state.host();
    let none = OpenFlags::empty();
    let read_only = Some(types::ErrorCode::ReadOnly);
    for (open_flags, flags) in [
        (none, DescriptorFlags::WRITE),
        (OpenFlags::CREATE, DescriptorFlags::READ),
        (OpenFlags::TRUNCATE, DescriptorFlags::READ),
        (none, DescriptorFlags::MUTATE_DIRECTORY),
    ] {
        assert_eq!(
            open(&mut host, &dir, "tide", open_flags, flags).err(),
            read_only
        );
    }
    let faults = [
        host.create_directory_at(again(&dir), "new".to_owned()),
        host.unlink_file_at(again(&dir), "tide".to_owned()),
        host.remove_directory_at(again(&dir), "sub".to_owned()),
        host.rename_at(
            again(&dir),
            "tide".to_owned(),
            again(&dir),
            "ebb".to_owned(),
        ),
        host.symlink_at(again(&dir), "tide".to_owned(), "ebb".to_owned()),
    ];
    for fault in faults {
        let code = types::Host::convert_error_code(&mut host, fault.unwrap_err()).unwrap();
        assert_eq!(Some(code), read_only);
    }
}

#[test]
fn nothing_outside_the_directory_is_reached() {
    let (_host_dir, mut state, dir) = directory(Access::ReadWrite);
    let mut host = state.host();
    for path in ["/etc/passwd", "../x", "sub/../../x"] {
        assert_eq!(
            open(
                &mut host,
                &dir,
                path,
                OpenFlags::empty(),
                DescriptorFlags::READ
            )
            .err(),
            Some(types::ErrorCode::NotPermitted),
            "{path}"
        );
    }
    let fault = host
        .symlink_at(again(&dir), "/etc/passwd".to_owned(), "link".to_owned())
        .unwrap_err();
    assert_eq!(
        types::Host::convert_error_code(&mut host, fault).unwrap(),
        types::ErrorCode::NotPermitted
    );
}

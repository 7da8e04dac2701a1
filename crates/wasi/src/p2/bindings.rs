//! The Rust form of the world `wasi:cli/command`, generated from its WIT.
#![allow(missing_docs, reason = "not every WIT item is documented")]

tidegate::bindgen!({
    path: "wit",
    world: "wasi:cli/command",
    imports: {
        "wasi:io/poll.poll": async | trappable,
        "wasi:io/poll.[method]pollable.block": async | trappable,
        "wasi:io/streams.[method]input-stream.blocking-read": async | trappable,
        "wasi:io/streams.[method]input-stream.blocking-skip": async | trappable,
        "wasi:io/streams.[method]output-stream.blocking-write-and-flush": async | trappable,
        "wasi:io/streams.[method]output-stream.blocking-flush": async | trappable,
        "wasi:io/streams.[method]output-stream.blocking-write-zeroes-and-flush": async | trappable,
        "wasi:io/streams.[method]output-stream.blocking-splice": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    trappable_error_type: {
        "wasi:io/streams.stream-error" => crate::p2::StreamFault,
        "wasi:filesystem/types.error-code" => crate::p2::FsFault,
        "wasi:sockets/network.error-code" => crate::p2::NetFault,
    },
    with: {
        "wasi:io/error.error": std::io::Error,
        "wasi:io/poll.pollable": crate::p2::Pollable,
        "wasi:io/streams.input-stream": crate::io::InputStream,
        "wasi:io/streams.output-stream": crate::io::OutputStream,
        "wasi:cli/terminal-input.terminal-input": crate::p2::TerminalInput,
        "wasi:cli/terminal-output.terminal-output": crate::p2::TerminalOutput,
        "wasi:filesystem/types.descriptor": crate::p2::Descriptor,
        "wasi:filesystem/types.directory-entry-stream": crate::p2::DirectoryEntryStream,
        "wasi:sockets/network.network": crate::p2::Network,
        "wasi:sockets/tcp.tcp-socket": crate::net::TcpSocket,
        "wasi:sockets/udp.udp-socket": crate::net::UdpSocket,
        "wasi:sockets/udp.incoming-datagram-stream": crate::net::IncomingDatagrams,
        "wasi:sockets/udp.outgoing-datagram-stream": crate::net::OutgoingDatagrams,
        "wasi:sockets/ip-name-lookup.resolve-address-stream": crate::net::Lookup,
    },
});

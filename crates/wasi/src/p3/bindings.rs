//! The Rust form of the world `wasi:cli/command`, generated from its WIT.
#![allow(missing_docs, reason = "not every WIT item is documented")]

tidegate::bindgen!({
    path: "wit/0.3",
    world: "wasi:cli/command",
    imports: {
        // They make streams and futures, for which they need the store.
        "wasi:cli/stdin": store | trappable,
        "wasi:cli/stdout": store | trappable,
        "wasi:cli/stderr": store | trappable,
        "wasi:filesystem/types.[method]descriptor.read-via-stream": store | trappable,
        "wasi:filesystem/types.[method]descriptor.write-via-stream": store | trappable,
        "wasi:filesystem/types.[method]descriptor.append-via-stream": store | trappable,
        "wasi:filesystem/types.[method]descriptor.read-directory": store | trappable,
        "wasi:sockets/types.[method]tcp-socket.listen": store | trappable,
        "wasi:sockets/types.[method]tcp-socket.send": store | trappable,
        "wasi:sockets/types.[method]tcp-socket.receive": store | trappable,
        // These wait for the device, in a thread; the others of a filesystem do not wait for events.
        "wasi:filesystem/types.[method]descriptor.sync": concurrent | trappable,
        "wasi:filesystem/types.[method]descriptor.sync-data": concurrent | trappable,
        "wasi:filesystem/types": sync | trappable,
        default: trappable,
    },
    trappable_error_type: {
        "wasi:filesystem/types.error-code" => crate::p3::FsFault,
        "wasi:sockets/types.error-code" => crate::p3::NetFault,
        "wasi:sockets/ip-name-lookup.error-code" => crate::p3::NetFault,
    },
    with: {
        "wasi:cli/terminal-input.terminal-input": crate::p3::TerminalInput,
        "wasi:cli/terminal-output.terminal-output": crate::p3::TerminalOutput,
        "wasi:filesystem/types.descriptor": crate::p3::Descriptor,
        "wasi:sockets/types.tcp-socket": crate::p3::sockets::TcpSocket,
        "wasi:sockets/types.udp-socket": crate::net::UdpSocket,
    },
});

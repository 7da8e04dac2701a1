//! The packages of WASI 0.2, as the WASI host binds them.

use std::path::Path;
use tidegate_wit_bindgen::{Options, generate};

fn wasi(options: &str) -> String {
    let options: Options = syn::parse_str(options).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wasi");
    let text = generate(&options, &root).unwrap().to_text().unwrap();
    if let Some(file) = std::env::var_os("TIDEGATE_SHOW_BINDINGS") {
        std::fs::write(file, &text).unwrap();
    }
    text
}

#[test]
fn the_command_world_with_errors_and_remaps() {
    let text = wasi(
        r#"{
            path: "wit",
            world: "wasi:cli/command",
            imports: {
                "wasi:io/poll.poll": async | trappable,
                "wasi:io/streams.[drop]output-stream": async,
                default: trappable,
            },
            exports: { default: async },
            trappable_error_type: {
                "wasi:io/streams.stream-error" => crate::StreamError,
                "wasi:filesystem/types.error-code" => crate::FsError,
                "wasi:sockets/network.error-code" => crate::SocketError,
            },
            with: {
                "wasi:io/poll.pollable": crate::Pollable,
                "wasi:clocks": crate::clocks,
            },
        }"#,
    );
    assert!(text.contains("fn poll("), "{text}");
}

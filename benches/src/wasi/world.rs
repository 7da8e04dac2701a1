//! What the guests find: files, a server, and a standard input and output in memory.

use std::io::{Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tokio::runtime::Runtime;

/// The entries of the large directory.
const ENTRIES: usize = 10_000;

/// The runtime that drives both: as `wasmtime run` has it.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Runtime::new().expect("threads are to be had"));
    &RUNTIME
}

/// How a standard input behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// There are always bytes.
    Ready,
    /// After each read it must be waited for.
    Waits,
}

/// The bytes that the standard input gives.
pub static BYTES: [u8; 64 << 10] = [7; 64 << 10];

/// A directory with a file and a large directory, and a server that sends back what it gets.
pub struct World {
    path: PathBuf,
    echo: SocketAddr,
}

impl World {
    /// Makes the files, and starts the server.
    ///
    /// # Errors
    /// What the system reports.
    pub fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("tidegate-benches-{}", std::process::id()));
        std::fs::create_dir_all(path.join("many"))?;
        std::fs::write(path.join("file"), vec![5; 1 << 20])?;
        for i in 0..ENTRIES {
            std::fs::File::create(path.join(format!("many/entry-{i:05}")))?;
        }
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let echo = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || echo_all(stream));
            }
        });
        Ok(Self { path, echo })
    }

    /// The directory that guests are granted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the server listens.
    pub fn echo(&self) -> SocketAddr {
        self.echo
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn echo_all(mut stream: std::net::TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes)? {
            0 => return Ok(()),
            count => stream.write_all(&bytes[..count])?,
        }
    }
}

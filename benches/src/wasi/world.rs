//! What the guests find: files, and a server.

use std::io::{Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

/// The entries of the large directory.
const ENTRIES: usize = 10_000;

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

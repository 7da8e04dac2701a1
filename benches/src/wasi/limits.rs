//! Reference lines: the plain system calls, and plain tokio.

use super::{World, runtime};
use crate::measure::Subject;
use std::fs::{File, OpenOptions};
use std::io::Result;
use std::os::unix::fs::FileExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// `pread` of so many bytes.
pub fn read(world: &World, size: usize) -> Result<Subject> {
    let file = File::open(world.path().join("file"))?;
    let mut bytes = vec![0; size];
    Ok(Subject::new(move |n| -> Result<u64> {
        for i in 0..n {
            file.read_exact_at(&mut bytes, (i & 15) << 16)?;
        }
        Ok(n)
    }))
}

/// `pwrite` of so many bytes.
pub fn write(world: &World, size: usize) -> Result<Subject> {
    let file = OpenOptions::new()
        .write(true)
        .open(world.path().join("file"))?;
    let bytes = vec![5; size];
    Ok(Subject::new(move |n| -> Result<u64> {
        for i in 0..n {
            file.write_all_at(&bytes, (i & 15) << 16)?;
        }
        Ok(n)
    }))
}

/// `open` and `close`.
pub fn open(world: &World) -> Subject {
    let path = world.path().join("file");
    Subject::new(move |n| -> Result<u64> {
        for _ in 0..n {
            File::open(&path)?;
        }
        Ok(n)
    })
}

/// All entries of the large directory, by the standard library.
pub fn readdir(world: &World) -> Subject {
    let path = world.path().join("many");
    Subject::new(move |n| -> Result<u64> {
        let mut sum = 0;
        for _ in 0..n {
            sum += std::fs::read_dir(&path)?.count() as u64;
        }
        Ok(sum)
    })
}

/// A message to the server and back, by tokio.
pub fn tcp(world: &World, size: usize) -> Result<Subject> {
    let mut stream = runtime().block_on(tokio::net::TcpStream::connect(world.echo()))?;
    stream.set_nodelay(true)?;
    let mut bytes = vec![5; size];
    Ok(Subject::new(move |n| -> Result<u64> {
        runtime().block_on(async {
            for _ in 0..n {
                stream.write_all(&bytes).await?;
                stream.read_exact(&mut bytes).await?;
            }
            Ok(n)
        })
    }))
}

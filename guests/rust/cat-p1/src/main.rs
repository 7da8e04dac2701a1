//! Copies standard input to standard output through one buffer of 64 KiB: WASI 0.1.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::FromRawFd;

const BUFFER: usize = 64 * 1024;

fn main() -> io::Result<()> {
    // `std::io::Stdout` looks for line ends in all it is given; a copy is to cost the copy only.
    // SAFETY: the descriptors are open when the program starts, and nothing else here uses or closes them.
    let (mut input, mut output) = unsafe { (File::from_raw_fd(0), File::from_raw_fd(1)) };
    let mut buffer = vec![0; BUFFER];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => output.write_all(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

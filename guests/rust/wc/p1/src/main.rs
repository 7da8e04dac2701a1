//! Counts the lines, words and bytes of standard input: WASI 0.1.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::FromRawFd;

use wc_count::{BUFFER, Count};

fn main() -> io::Result<()> {
    // `std::io::Stdin` has a buffer of its own, which would be one copy more.
    // SAFETY: the descriptor is open when the program starts, and nothing else here uses or closes it.
    let mut input = unsafe { File::from_raw_fd(0) };
    let mut count = Count::default();
    let mut buffer = vec![0; BUFFER];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => count.add(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    print!("{count}");
    Ok(())
}

//! `--timeout`: ends the process when the guest takes too long, whatever it is doing.

use crate::report;
use crate::status::{Failure, Status};
use std::thread;
use std::time::Duration;
use tidegate::block_on;
use tidegate_wasi::io::Drains;

/// How long output that the guest wrote before may take to reach its reader.
const GRACE: Duration = Duration::from_millis(500);

/// Starts to count.
pub fn set(time: Duration, file: String, drains: Drains) {
    thread::spawn(move || {
        thread::sleep(time);
        let (drained, done) = std::sync::mpsc::channel();
        thread::spawn(move || {
            block_on(drains.finished());
            // Nobody listens any more if it took too long.
            let _ = drained.send(());
        });
        let _ = done.recv_timeout(GRACE);
        let error = anyhow::anyhow!("{file} did not end within {time:?}");
        report::failure(&Failure::new(Status::TimedOut, error).help("--timeout allows more time"));
        // A guest that computes does not give its thread back, so the process ends here.
        std::process::exit(Status::TimedOut.code().into());
    });
}

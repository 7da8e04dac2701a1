//! Replays what the specification's reference semantics did on random sequences of built-ins. README.md beside this file tells more.

mod replay;
mod trace;

use std::path::Path;

/// Every recording, and how many sequences it holds at least: an empty file must not pass.
fn replay(recording: &str, at_least: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/async_oracle/recordings")
        .join(recording);
    let text = std::fs::read_to_string(&path).expect("the recording is in the repository");
    let sequences: Vec<(&str, &str)> = text
        .split("seed ")
        .skip(1)
        .filter_map(|sequence| sequence.split_once('\n'))
        .collect();
    assert!(
        sequences.len() >= at_least,
        "{recording}: {} sequences",
        sequences.len()
    );
    let failures: Vec<String> = sequences
        .iter()
        .filter_map(|(seed, lines)| {
            let error = replay::replay(lines).err()?;
            Some(format!("{recording}, seed {seed}, {error}"))
        })
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} sequences differ from the reference:\n{}",
        failures.len(),
        sequences.len(),
        failures.join("\n")
    );
}

#[test]
fn short_sequences_do_what_the_reference_does() {
    replay("short.txt", 100);
}

#[test]
fn long_sequences_do_what_the_reference_does() {
    replay("long.txt", 20);
}

/// A recording given by `ORACLE_RECORDING`, for runs longer than what is worth keeping.
#[test]
fn another_recording_does_what_the_reference_does() {
    if let Ok(path) = std::env::var("ORACLE_RECORDING") {
        replay(&path, 1);
    }
}

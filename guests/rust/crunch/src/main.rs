//! Computes for a while, in one of three ways, and prints what came out: `crunch sha256|regex|json ROUNDS`.
//!
//! It is what the cost of being interruptible is measured with (`crates/wasi/examples/interruptible_cost.rs`).

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(what), Some(rounds)) = (args.next(), args.next().and_then(|rounds| rounds.parse().ok())) else {
        eprintln!("usage: crunch sha256|regex|json ROUNDS");
        return ExitCode::from(2);
    };
    let result = match &*what {
        "sha256" => sha256(rounds),
        "regex" => regex(rounds),
        "json" => json(rounds),
        _ => {
            eprintln!("crunch: {what} is none of sha256, regex and json");
            return ExitCode::from(2);
        }
    };
    println!("{result}");
    ExitCode::SUCCESS
}

/// The hash of a mebibyte, of which each round's begins with the last one's.
fn sha256(rounds: u32) -> String {
    let mut bytes: Vec<u8> = (0..1u32 << 20).map(|n| (n * 31 % 251) as u8).collect();
    for _ in 0..rounds {
        let hash = Sha256::digest(&bytes);
        bytes[..32].copy_from_slice(&hash);
    }
    bytes[..4].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A text of many lines, the same each time.
fn text() -> String {
    let mut random = 1u32;
    (0..10_000).fold(String::new(), |mut text, line| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let _ = writeln!(
            text,
            "2026-03-{:02} 12:{:02}:00 host{} user{}@example.org took {} ms",
            line % 28 + 1,
            line % 60,
            random % 17,
            random >> 20,
            random >> 16,
        );
        text
    })
}

/// How often dates, addresses and numbers are found.
fn regex(rounds: u32) -> String {
    let text = text();
    let patterns = [
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
        r"[a-z]+[0-9]*@[a-z]+\.(org|net)",
        r"took [1-9][0-9]{3,} ms",
        r"(?m)^.*host1[0-5]? .*7.*$",
    ];
    // They are written above, and tried by the tests that run this.
    let patterns = patterns.map(|pattern| regex::Regex::new(pattern).expect("a pattern"));
    let mut found = 0;
    for _ in 0..rounds {
        found += patterns.iter().map(|pattern| pattern.find_iter(&text).count()).sum::<usize>();
    }
    found.to_string()
}

/// The length of a document that was read and written again.
fn json(rounds: u32) -> String {
    let records: Vec<BTreeMap<String, serde_json::Value>> = text()
        .lines()
        .take(2000)
        .map(|line| {
            line.split(' ')
                .enumerate()
                .map(|(index, word)| {
                    let value = word.parse::<f64>().map_or_else(|_| word.into(), Into::into);
                    (format!("field{index}"), value)
                })
                .collect()
        })
        .collect();
    let mut document = serde_json::to_string(&records).expect("a document");
    for _ in 0..rounds {
        let value: serde_json::Value = serde_json::from_str(&document).expect("what was written");
        document = serde_json::to_string(&value).expect("a document");
    }
    document.len().to_string()
}

//! The half of the pair that takes: a command that asks the other half for everything it has, checks it and says what came.
//!
//! `consumer [READINGS [BYTES]]`, then standard input in capitals.

wit_bindgen::generate!({ world: "consumer", path: "../wit" });

use console_p3::{Arguments, outcome, print};
use tidegate::pair::source;
use wasip3::cli::{stdin, stdout};

const BUFFER: usize = 64 * 1024;

struct Consumer;

impl wasip3::exports::cli::run::Guest for Consumer {
    async fn run() -> Result<(), ()> {
        outcome(consume().await).await
    }
}

async fn consume() -> Result<(), String> {
    let mut arguments = Arguments::new();
    let count: u64 = arguments.next_or("number of readings", 1000)?;
    let length: u64 = arguments.next_or("number of bytes", 1 << 20)?;
    let said = readings(count).await? + &bytes(length).await?;
    let failed = |code| format!("cannot write standard output: {code:?}");
    print(said).await.map_err(failed)?;

    let (input, read) = stdin::read_via_stream();
    let capitals = source::capitals(input).await;
    stdout::write_via_stream(capitals).await.map_err(failed)?;
    read.await
        .map_err(|code| format!("cannot read standard input: {code:?}"))
}

async fn readings(count: u64) -> Result<String, String> {
    let (mut readings, taken) = source::readings(count).await;
    let (mut came, mut levels) = (0, 0.0);
    let mut buffer = Vec::with_capacity(10);
    loop {
        let (result, read) = readings.read(buffer).await;
        for reading in &read {
            if reading.number != came || reading.station != format!("station {}", came % 7) {
                return Err(format!(
                    "reading {came} is not what was to come: {reading:?}"
                ));
            }
            came += 1;
            levels += reading.levels.iter().sum::<f32>();
        }
        if result == wasip3::wit_bindgen::StreamResult::Dropped {
            break;
        }
        buffer = read;
        buffer.clear();
    }
    let given = taken.await;
    if (came, given) != (count, count) {
        return Err(format!(
            "{came} readings came of {given} that were given and {count} that were asked for"
        ));
    }
    Ok(format!("{came} readings, levels {levels}\n"))
}

async fn bytes(length: u64) -> Result<String, String> {
    let (mut bytes, sum) = source::bytes(length).await;
    let (mut came, mut total) = (0, 0);
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let (result, read) = bytes.read(buffer).await;
        came += read.len() as u64;
        total += read.iter().map(|&byte| u64::from(byte)).sum::<u64>();
        if result == wasip3::wit_bindgen::StreamResult::Dropped {
            break;
        }
        buffer = read;
        buffer.clear();
    }
    let given = sum.await;
    if (came, total) != (length, given) {
        return Err(format!(
            "{came} of {length} bytes came, with sum {total} where {given} was given"
        ));
    }
    Ok(format!("{came} bytes, sum {total}\n"))
}

wasip3::cli::command::export!(Consumer);

//! The half of the pair that has something to give: values, bytes, and a filter.

wit_bindgen::generate!({ world: "producer", path: "../wit" });

use exports::tidegate::pair::source::{Guest, Reading};
use wit_bindgen::rt::async_support::{FutureReader, StreamReader, StreamResult};
use wit_bindgen::spawn_local;

/// How many readings and how many bytes are offered at once.
const READINGS: u64 = 32;
const BYTES: u64 = 64 * 1024;

struct Producer;

impl Guest for Producer {
    async fn readings(count: u64) -> (StreamReader<Reading>, FutureReader<u64>) {
        let (mut writer, reader) = wit_stream::new();
        let (taken, answer) = wit_future::new(|| 0);
        spawn_local(async move {
            let mut next = 0;
            while next < count {
                let end = count.min(next + READINGS);
                let unsent = writer.write_all((next..end).map(reading).collect()).await;
                next = end - unsent.len() as u64;
                if !unsent.is_empty() {
                    break;
                }
            }
            drop(writer);
            let _ = taken.write(next).await;
        });
        (reader, answer)
    }

    async fn bytes(length: u64) -> (StreamReader<u8>, FutureReader<u64>) {
        let (mut writer, reader) = wit_stream::new();
        let (sum, answer) = wit_future::new(|| 0);
        spawn_local(async move {
            let (mut at, mut total) = (0, 0u64);
            while at < length {
                let end = length.min(at + BYTES);
                let unsent = writer.write_all((at..end).map(byte).collect()).await;
                let sent = end - unsent.len() as u64;
                total += (at..sent).map(|at| u64::from(byte(at))).sum::<u64>();
                at = end;
                if !unsent.is_empty() {
                    break;
                }
            }
            drop(writer);
            let _ = sum.write(total).await;
        });
        (reader, answer)
    }

    async fn capitals(mut text: StreamReader<u8>) -> StreamReader<u8> {
        let (mut writer, reader) = wit_stream::new();
        spawn_local(async move {
            let mut buffer = Vec::with_capacity(BYTES as usize);
            loop {
                let (result, mut bytes) = text.read(buffer).await;
                bytes.make_ascii_uppercase();
                let unsent = writer.write_all(bytes).await;
                if !unsent.is_empty() || result == StreamResult::Dropped {
                    break;
                }
                buffer = unsent;
            }
        });
        reader
    }
}

fn reading(number: u64) -> Reading {
    Reading {
        number,
        station: format!("station {}", number % 7),
        levels: (0..number % 5).map(|level| level as f32 / 2.0).collect(),
    }
}

fn byte(at: u64) -> u8 {
    (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

export!(Producer);

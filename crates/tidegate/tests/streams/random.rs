//! Guests that read, write, cancel, wait, drop and trap at random: what they are told is what was moved, and whoever is at the other end goes with them.

use crate::dice::{Consumer, Dice, Producer};
use crate::guest::{BLOCKED, Guest, engines};
use std::sync::{Arc, Mutex};
use tidegate::{Engine, StreamReader};

/// How many steps are taken before the end is put somewhere.
const STEPS: usize = 24;

/// The two parts of a result.
fn parts(result: u32) -> (u32, usize) {
    (result & 15, (result >> 4) as usize)
}

fn reads(engine: &Engine, seed: u64) {
    let mut guest = Guest::new(engine, "u8", ());
    let mut dice = Dice(seed * 2 + 1);
    let bytes: Vec<u8> = (0..200 + dice.roll(400))
        .map(|_| dice.roll(256) as u8)
        .collect();
    let (sender, mut done) = futures_channel::oneshot::channel();
    let producer = Producer {
        bytes: bytes.clone(),
        sent: 0,
        dice: Dice(seed + 5),
        _done: sender,
    };
    let reader = StreamReader::new(&mut guest.store, producer).unwrap();
    guest.give(reader).unwrap();
    let mut got = Vec::new();
    let mut blocked = false;
    let mut ended = false;
    for _ in 0..dice.roll(STEPS) {
        let mut result = guest.read(dice.roll(50) as u32).unwrap();
        while result == BLOCKED {
            if dice.roll(8) == 0 {
                blocked = true;
                break;
            }
            result = if dice.roll(2) == 0 {
                guest.cancel_read().unwrap()
            } else {
                guest.wait_read().unwrap()
            };
            if result == BLOCKED {
                // It is being cancelled.
                result = guest.wait_read().unwrap();
            }
        }
        if blocked {
            break;
        }
        let (code, count) = parts(result);
        got.extend(guest.data::<u8>(count as u32));
        ended = code == 1;
        if ended {
            break;
        }
    }
    assert!(bytes.starts_with(&got), "seed {seed}");
    assert!(!ended || got.len() == bytes.len(), "seed {seed}");
    if blocked {
        // A drop during a read traps.
        assert!(guest.drop_readable().is_err());
    } else {
        guest.drop_readable().unwrap();
    }
    assert!(
        done.try_recv().is_err(),
        "seed {seed}: the producer is gone"
    );
}

fn writes(engine: &Engine, seed: u64) {
    let mut guest = Guest::new(engine, "u8", ());
    let mut dice = Dice(seed * 2 + 1);
    let taken = Arc::new(Mutex::new(Vec::new()));
    let (sender, mut done) = futures_channel::oneshot::channel();
    let consumer = Consumer {
        taken: taken.clone(),
        dice: Dice(seed + 5),
        _done: sender,
    };
    let reader = guest.make::<StreamReader<u8>>().unwrap();
    reader.pipe(&mut guest.store, consumer).unwrap();
    let mut told = Vec::new();
    let mut blocked = false;
    for _ in 0..dice.roll(STEPS) {
        let bytes: Vec<u8> = (0..dice.roll(60)).map(|_| dice.roll(256) as u8).collect();
        let mut result = guest.write(bytes.clone()).unwrap();
        while result == BLOCKED {
            if dice.roll(8) == 0 {
                blocked = true;
                break;
            }
            result = if dice.roll(2) == 0 {
                guest.cancel_write().unwrap()
            } else {
                guest.wait_write().unwrap()
            };
            if result == BLOCKED {
                result = guest.wait_write().unwrap();
            }
        }
        if blocked {
            // Some of them may have been taken, in order.
            let taken = taken.lock().unwrap();
            assert!(taken.starts_with(&told));
            assert!(bytes.starts_with(&taken[told.len()..]), "seed {seed}");
            break;
        }
        told.extend(&bytes[..parts(result).1]);
        assert!(*taken.lock().unwrap() == told, "seed {seed}");
    }
    if blocked {
        // A drop during a write traps.
        assert!(guest.drop_writable().is_err());
    } else {
        guest.drop_writable().unwrap();
    }
    assert!(
        matches!(done.try_recv(), Err(futures_channel::oneshot::Canceled)),
        "seed {seed}: the consumer is gone"
    );
}

#[test]
fn readers_are_told_what_arrived() {
    for engine in engines() {
        for seed in 1..120 {
            reads(&engine, seed);
        }
    }
}

#[test]
fn writers_are_told_what_was_taken() {
    for engine in engines() {
        for seed in 1..120 {
            writes(&engine, seed);
        }
    }
}

//! The envelope of serialised modules: the engine's own form, and a trailer.
//!
//! ```text
//! 0      payload
//! n      1   format version
//! n + 1  1   engine: 0 wasmtime, 1 wasmi
//! n + 2  2   zero
//! n + 4  4   checksum (CRC-32) of the payload and the rest of the trailer
//! n + 8  8   compatibility hash
//! n + 16 8   payload length
//! n + 24 8   magic "TIDEGATE"
//! ```
//!
//! Numbers are little-endian. The payload comes first because machine code is mapped, and mappings begin at the beginning of a page.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use crc32fast::Hasher;

use crate::{config::EngineKind, error::EngineError};

pub(crate) const MAGIC: &[u8; 8] = b"TIDEGATE";
const VERSION: u8 = 2;
const TRAILER: usize = 32;

type Trailer = [u8; TRAILER];

/// A payload with its trailer.
pub(crate) fn seal(kind: EngineKind, compatibility: u64, payload: Vec<u8>) -> Vec<u8> {
    let mut trailer: Trailer = [0; TRAILER];
    trailer[0] = VERSION;
    trailer[1] = engine_byte(kind);
    trailer[8..16].copy_from_slice(&compatibility.to_le_bytes());
    trailer[16..24].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    trailer[24..].copy_from_slice(MAGIC);
    let mut hasher = Hasher::new();
    hasher.update(&payload);
    let sum = finish(hasher, &trailer);
    trailer[4..8].copy_from_slice(&sum.to_le_bytes());
    let mut out = payload;
    out.extend_from_slice(&trailer);
    out
}

/// The payload of what [`seal`] gave.
pub(crate) fn open(
    bytes: &[u8],
    kind: EngineKind,
    compatibility: u64,
) -> Result<&[u8], EngineError> {
    let (payload, trailer) = bytes.split_last_chunk().ok_or(TOO_SHORT)?;
    check(trailer, payload.len() as u64, kind, compatibility)?;
    let mut hasher = Hasher::new();
    hasher.update(payload);
    check_sum(hasher, trailer)?;
    Ok(payload)
}

/// Checks that the first `length` bytes of a file are what [`seal`] gave, without keeping them.
pub(crate) fn check_file(
    file: &mut File,
    length: u64,
    kind: EngineKind,
    compatibility: u64,
) -> Result<(), EngineError> {
    let payload = length.checked_sub(TRAILER as u64).ok_or(TOO_SHORT)?;
    let mut trailer: Trailer = [0; TRAILER];
    file.seek(SeekFrom::Start(payload)).map_err(unreadable)?;
    file.read_exact(&mut trailer).map_err(unreadable)?;
    check(&trailer, payload, kind, compatibility)?;
    file.rewind().map_err(unreadable)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 64 << 10];
    let mut left = payload;
    while left > 0 {
        let part = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        file.read_exact(&mut buffer[..part]).map_err(unreadable)?;
        hasher.update(&buffer[..part]);
        left -= part as u64;
    }
    check_sum(hasher, &trailer)
}

/// The first `length` bytes of a file.
pub(crate) fn read(file: &mut File, length: u64) -> Result<Vec<u8>, EngineError> {
    let mut bytes = Vec::new();
    file.rewind().map_err(unreadable)?;
    // Grows with what is there, not with what is claimed.
    file.take(length)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}

const TOO_SHORT: EngineError = EngineError::Artifact("it is too short");

fn unreadable(_: io::Error) -> EngineError {
    EngineError::Artifact("it cannot be read")
}

fn check(
    trailer: &Trailer,
    length: u64,
    kind: EngineKind,
    compatibility: u64,
) -> Result<(), EngineError> {
    let what = if &trailer[24..] != MAGIC {
        "it is not a precompiled module, or not all of it"
    } else if trailer[0] != VERSION {
        "it was made by another version of the format"
    } else if trailer[1] != engine_byte(kind) {
        "it was made for another engine"
    } else if word(trailer, 8) != compatibility {
        "it was made by another version or configuration of the engine"
    } else if word(trailer, 16) != length {
        "it is truncated"
    } else {
        return Ok(());
    };
    Err(EngineError::Artifact(what))
}

fn check_sum(payload: Hasher, trailer: &Trailer) -> Result<(), EngineError> {
    if finish(payload, trailer).to_le_bytes() == trailer[4..8] {
        Ok(())
    } else {
        Err(EngineError::Artifact("it is damaged"))
    }
}

/// The sum of a payload and of the trailer around the place of the sum.
fn finish(mut payload: Hasher, trailer: &Trailer) -> u32 {
    payload.update(&trailer[..4]);
    payload.update(&trailer[8..]);
    payload.finalize()
}

fn engine_byte(kind: EngineKind) -> u8 {
    match kind {
        EngineKind::Wasmtime => 0,
        EngineKind::Wasmi => 1,
    }
}

fn word(trailer: &Trailer, at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&trailer[at..at + 8]);
    u64::from_le_bytes(bytes)
}

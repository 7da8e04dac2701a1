//! Randomness, replaceable for reproducible runs.

use std::io;

/// A source of random bytes.
pub trait Random: Send + Sync + 'static {
    /// Fills all of `buf`.
    ///
    /// # Errors
    /// When the source has failed; the guest that asked then traps.
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<()>;
}

/// The most random bytes one call gives: the guest's number must not size an allocation of the host. WASI 0.2 promises exactly as many as were asked
/// for, so there asking for more is a trap; in WASI 0.3 the answer is short, and shorter than this.
pub const RANDOM_LIMIT: u64 = 16 * 1024 * 1024;

/// Random bytes, `len` or the most that one call gives.
pub(crate) fn random_bytes(source: &mut dyn Random, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len.min(RANDOM_LIMIT) as usize];
    source.fill(&mut bytes)?;
    Ok(bytes)
}

/// A random number.
pub(crate) fn random_number(source: &mut dyn Random) -> io::Result<u64> {
    let mut bytes = [0; 8];
    source.fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// The operating system's cryptographically secure source.
#[derive(Debug, Default, Clone, Copy)]
pub struct HostRandom;

impl Random for HostRandom {
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<()> {
        getrandom::fill(buf).map_err(io::Error::from)
    }
}

/// A small deterministic generator (SplitMix64): the same seed gives the same bytes. For tests,
/// replays and `wasi:random/insecure`, never for secrets.
#[derive(Debug, Clone)]
pub struct SeededRandom {
    state: u64,
}

impl SeededRandom {
    /// A generator whose whole output follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator seeded by the host's secure source, or by a constant where that has failed.
    pub fn from_host() -> Self {
        let mut seed = [0; 8];
        let _ = getrandom::fill(&mut seed);
        Self::new(u64::from_le_bytes(seed))
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Random for SeededRandom {
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<()> {
        for chunk in buf.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_same_bytes_and_other_seeds_do_not() {
        let bytes = |seed| {
            let mut buf = [0; 21];
            SeededRandom::new(seed).fill(&mut buf).unwrap();
            buf
        };
        assert_eq!(bytes(7), bytes(7));
        assert_ne!(bytes(7), bytes(8));
    }

    #[test]
    fn host_random_fills_the_whole_buffer() {
        let mut buf = [0; 64];
        HostRandom.fill(&mut buf).unwrap();
        assert_ne!(buf[..32], [0; 32]);
        assert_ne!(buf[32..], [0; 32]);
    }
}

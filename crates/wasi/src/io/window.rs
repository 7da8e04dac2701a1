//! How much an output stream may accept at once.

/// The least a window shrinks to, in bytes: what `blocking-write-and-flush` takes anyway.
pub const WINDOW_FLOOR: u64 = 4096;
/// The window of a fresh stream, in bytes: the capacity of a pipe.
pub const WINDOW_START: u64 = 64 * 1024;
/// The default ceiling, in bytes. It bounds the host memory of one output stream.
pub const WINDOW_CEILING: u64 = 256 * 1024;

/// The permit of an output stream, adapted to its sink: it doubles while the sink takes all at
/// once, and shrinks to what the sink took when something had to be kept in host memory.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    size: u64,
    ceiling: u64,
}

impl Window {
    /// A window that never exceeds `ceiling` bytes; a ceiling of 0 means 1, or nothing could ever
    /// be written.
    pub(crate) fn new(ceiling: u64) -> Self {
        let ceiling = ceiling.max(1);
        Self {
            size: WINDOW_START.min(ceiling),
            ceiling,
        }
    }

    /// The bytes that may be accepted at once; at least 1.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The sink took `taken` bytes of the `offered`.
    pub(crate) fn adapt(&mut self, offered: u64, taken: u64) {
        if taken < offered {
            self.size = taken.max(WINDOW_FLOOR).min(self.size);
        } else if offered >= self.size / 2 {
            // Small writes say nothing about how much the sink would take.
            self.size = self.size.saturating_mul(2).min(self.ceiling);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_ceiling_while_the_sink_takes_all() {
        let mut window = Window::new(WINDOW_CEILING);
        assert_eq!(window.size(), WINDOW_START);
        for _ in 0..10 {
            window.adapt(window.size(), window.size());
        }
        assert_eq!(window.size(), WINDOW_CEILING);
    }

    #[test]
    fn shrinks_to_what_a_slow_sink_took_but_not_below_the_floor() {
        let mut window = Window::new(WINDOW_CEILING);
        window.adapt(WINDOW_START, 10_000);
        assert_eq!(window.size(), 10_000);
        window.adapt(10_000, 0);
        assert_eq!(window.size(), WINDOW_FLOOR);
    }

    #[test]
    fn small_writes_do_not_grow_it() {
        let mut window = Window::new(WINDOW_CEILING);
        window.adapt(10, 10);
        assert_eq!(window.size(), WINDOW_START);
    }

    #[test]
    fn never_exceeds_its_ceiling_and_never_reaches_zero() {
        let mut window = Window::new(100);
        assert_eq!(window.size(), 100);
        window.adapt(100, 100);
        assert_eq!(window.size(), 100);
        window.adapt(100, 3);
        assert_eq!(window.size(), 100);
        assert_eq!(Window::new(0).size(), 1);
    }
}

//! The words that code looks at: those of all isolates of an engine, in one memory that their instances import.
//!
//! A page of the memory is divided into places of the size of a cache line. The first two of each page hold a bit for each place, which is set while
//! a guest with a time slice runs there; each of the others holds a word. The first word of the first page belongs to nobody, and is never zero.

use std::{
    ptr::NonNull,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use wasmtime::{MemoryTypeBuilder, SharedMemory};

use crate::error::EngineError;

/// Somebody asks something.
const ASKED: u32 = 1;
/// The clock of time slices has moved on.
const TICKED: u32 = 2;
/// Code is to meet requests at each check.
const ALWAYS: u32 = 4;

const PAGE: u32 = 64 << 10;
const PLACE: u32 = 64;
const PLACES: u32 = PAGE / PLACE;
/// Places of a page that hold bits.
const BITS: u32 = PLACES / 8 / PLACE;
/// The most pages, which is enough for four million isolates. Their address space is reserved, and they are taken as they are needed.
pub(super) const MAX_PAGES: u32 = 4096;

/// The address of the word that is never zero.
pub(super) const NEVER_ZERO: u32 = BITS * PLACE;

/// The words of an engine.
pub(crate) struct Words {
    memory: SharedMemory,
    /// Where the memory is: it neither moves nor shrinks.
    base: NonNull<u8>,
    pages: AtomicU32,
    free: Mutex<Free>,
}

struct Free {
    /// From here on no place has been used.
    next: u32,
    given_back: Vec<u32>,
}

// SAFETY: the memory that `base` points to may be used from any thread, and is by atomic operations only.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Words {
    pub(crate) fn new(engine: &wasmtime::Engine) -> Result<Arc<Self>, EngineError> {
        let new = || {
            let ty = MemoryTypeBuilder::new()
                .min(1)
                .max(Some(MAX_PAGES.into()))
                .shared(true)
                .build()?;
            SharedMemory::new(engine, ty)
        };
        let memory =
            new().map_err(|error: wasmtime::Error| EngineError::Config(format!("{error:#}")))?;
        let Some(base) = NonNull::new(memory.data().as_ptr().cast_mut().cast()) else {
            return Err(EngineError::Config("there is no memory for checks".into()));
        };
        let words = Self {
            memory,
            base,
            pages: AtomicU32::new(1),
            free: Mutex::new(Free {
                next: BITS + 1,
                given_back: Vec::new(),
            }),
        };
        words.word(BITS).store(ALWAYS, Ordering::Release);
        Ok(Arc::new(words))
    }

    pub(crate) fn memory(&self) -> &SharedMemory {
        &self.memory
    }

    /// Moves the clock on for all guests with a time slice that run.
    pub(crate) fn tick(&self) {
        for page in 0..self.pages.load(Ordering::Acquire) {
            for group in 0..PLACES / u64::BITS {
                let first = page * PLACES + group * u64::BITS;
                let mut running = self.running(first).load(Ordering::Relaxed);
                while running != 0 {
                    let place = first + running.trailing_zeros();
                    self.word(place).fetch_or(TICKED, Ordering::Release);
                    running &= running - 1;
                }
            }
        }
    }

    fn take(&self) -> Result<u32, EngineError> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = free.given_back.pop() {
            return Ok(place);
        }
        let mut place = free.next;
        if place == self.pages.load(Ordering::Relaxed) * PLACES {
            if self.memory.grow(1).is_err() {
                return Err(EngineError::Full(format!(
                    "{MAX_PAGES} pages hold the words of isolates that can be interrupted, and the next cannot be had"
                )));
            }
            self.pages.fetch_add(1, Ordering::Release);
            place += BITS;
        }
        free.next = place + 1;
        Ok(place)
    }

    /// The word at a place.
    fn word(&self, place: u32) -> &AtomicU32 {
        debug_assert!(place / PLACES < self.pages.load(Ordering::Relaxed));
        // SAFETY: the place is one of the pages that the memory has: `take` gives no others, and `tick` knows how many there are. The memory is there as
        // long as `self`. The address is aligned, as pages are, and all accesses are atomic, or those of compiled guests.
        unsafe {
            let at = self.base.as_ptr().add(place as usize * PLACE as usize);
            AtomicU32::from_ptr(at.cast())
        }
    }

    /// The bits of the 64 places that a place is one of.
    fn running(&self, place: u32) -> &AtomicU64 {
        let page = (place / PLACES) as usize * PAGE as usize;
        let group = (place % PLACES / u64::BITS) as usize * size_of::<u64>();
        // SAFETY: as above; a group is less than 16, so that this is within the two places of bits.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(page + group).cast()) }
    }
}

/// The word of an isolate.
pub(crate) struct Word {
    words: Arc<Words>,
    place: u32,
}

impl Word {
    /// Another word of an engine.
    ///
    /// # Errors
    /// [`EngineError::Full`].
    pub(crate) fn new(words: &Arc<Words>) -> Result<Arc<Self>, EngineError> {
        Ok(Arc::new(Self {
            place: words.take()?,
            words: words.clone(),
        }))
    }

    pub(super) fn words(&self) -> &Words {
        &self.words
    }

    /// Where code finds it.
    pub(super) fn address(&self) -> u32 {
        self.place * PLACE
    }

    /// Has code meet what was asked before.
    #[inline]
    pub(crate) fn ask(&self) {
        self.words
            .word(self.place)
            .fetch_or(ASKED, Ordering::Release);
    }

    /// Has code meet requests at each check from now on.
    pub(super) fn ask_always(&self) {
        self.words
            .word(self.place)
            .fetch_or(ALWAYS, Ordering::Release);
    }

    /// Whether code that looks at it calls.
    #[inline]
    pub(super) fn is_set(&self) -> bool {
        self.words.word(self.place).load(Ordering::Relaxed) != 0
    }

    /// Clears it, before requests are looked at. Gives whether the clock has moved on.
    pub(super) fn clear(&self) -> bool {
        let word = self.words.word(self.place);
        word.fetch_and(ALWAYS, Ordering::AcqRel) & TICKED != 0
    }

    /// The clock of time slices concerns the guest while what this gives is kept.
    #[inline]
    pub(crate) fn run(&self) -> Running<'_> {
        self.words
            .running(self.place)
            .fetch_or(self.bit(), Ordering::Relaxed);
        Running(self)
    }

    fn bit(&self) -> u64 {
        1 << (self.place % u64::BITS)
    }
}

/// Its isolate must be gone, with all code that looks at it.
impl Drop for Word {
    fn drop(&mut self) {
        self.words.word(self.place).store(0, Ordering::Release);
        let free = self.words.free.lock();
        free.unwrap_or_else(PoisonError::into_inner)
            .given_back
            .push(self.place);
    }
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Word").field(&self.place).finish()
    }
}

/// A guest runs.
pub(crate) struct Running<'a>(&'a Word);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let bits = self.0.words.running(self.0.place);
        bits.fetch_and(!self.0.bit(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Arc<Words> {
        let mut config = wasmtime::Config::new();
        config.shared_memory(true);
        Words::new(&wasmtime::Engine::new(&config).unwrap()).unwrap()
    }

    #[test]
    fn places_are_used_again_and_pages_added() {
        let words = words();
        assert_eq!(words.word(BITS).load(Ordering::Relaxed), ALWAYS);
        assert_eq!(NEVER_ZERO, 128);
        let many: Vec<_> = (0..2500).map(|_| Word::new(&words).unwrap()).collect();
        assert_eq!(words.pages.load(Ordering::Relaxed), 3);
        let mut places: Vec<_> = many.iter().map(|word| word.place).collect();
        places.dedup();
        assert_eq!(places.len(), 2500);
        assert!(
            places
                .iter()
                .all(|place| place % PLACES >= BITS && *place > BITS)
        );
        drop(many);
        let again = Word::new(&words).unwrap();
        assert!(places.contains(&again.place));
        assert_eq!(words.pages.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn ticks_are_for_those_that_run() {
        let words = words();
        let [a, b] = [(); 2].map(|()| Word::new(&words).unwrap());
        let far: Vec<_> = (0..1100).map(|_| Word::new(&words).unwrap()).collect();
        let running = (a.run(), far[1099].run());
        words.tick();
        assert!(a.clear() && far[1099].clear());
        assert!(!b.clear() && !far[1098].clear());
        drop(running);
        words.tick();
        assert!(!a.clear() && !far[1099].clear());
        assert_eq!(words.word(BITS).load(Ordering::Relaxed), ALWAYS);
    }

    #[test]
    fn a_word_is_cleared_unless_code_is_always_to_look() {
        let words = words();
        let word = Word::new(&words).unwrap();
        let value = || words.word(word.place).load(Ordering::Relaxed);
        word.ask();
        assert_ne!(value(), 0);
        assert!(!word.clear());
        assert_eq!(value(), 0);
        word.ask_always();
        word.clear();
        assert_ne!(value(), 0);
    }
}

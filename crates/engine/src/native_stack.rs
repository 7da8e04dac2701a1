//! Keeps nested entries into guests within the native stack.
//!
//! An engine bounds what one store's guest frames take of the native stack, not what a chain of stores takes that call each
//! other through host functions. So every entry checks that what it may take at most is still there.

use std::cell::Cell;

use crate::trap::{Trap, TrapCode};

/// What host functions may need beside guest frames, in bytes.
const HOST_FRAMES: usize = 128 << 10;

/// What is taken for used when the first guest is entered on a thread: frames of the embedder and its threading library.
const EMBEDDER_FRAMES: usize = 256 << 10;

thread_local! {
    /// The lowest address that guests and host functions on this thread may use; 0 if there is none of them.
    static LIMIT: Cell<usize> = const { Cell::new(0) };
}

/// Restores what was known of the native stack before, when dropped.
pub(crate) struct Entered {
    before: Option<usize>,
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        if let Some(before) = self.before {
            LIMIT.set(before);
        }
    }
}

/// Checks that `guest` bytes are left, beside what host functions need, of a native stack of `size` bytes.
///
/// # Errors
/// A trap of [`TrapCode::StackExhausted`].
#[inline]
pub(crate) fn enter(size: usize, guest: usize) -> Result<Entered, Trap> {
    let here = address();
    let limit = LIMIT.get();
    if limit == 0 {
        LIMIT.set(
            here.saturating_sub(size.saturating_sub(EMBEDDER_FRAMES))
                .max(1),
        );
        return Ok(Entered { before: Some(0) });
    }
    if here.saturating_sub(guest + HOST_FRAMES) < limit {
        return Err(Trap::new(TrapCode::StackExhausted));
    }
    Ok(Entered { before: None })
}

/// Forgets the limit while another native stack is run on: the first entry there starts afresh.
pub(crate) fn switch() -> Entered {
    Entered {
        before: Some(LIMIT.replace(0)),
    }
}

/// Restores what was known of the native stack before, and keeps what is known of the one that was run on, when dropped.
pub(crate) struct Switched<'a> {
    own: &'a mut usize,
    before: usize,
}

impl Drop for Switched<'_> {
    #[inline]
    fn drop(&mut self) {
        *self.own = LIMIT.replace(self.before);
    }
}

/// The same for a native stack that is run on again and again: its limit, 0 at first, is kept in `own` meanwhile.
#[inline]
pub(crate) fn switch_to(own: &mut usize) -> Switched<'_> {
    let before = LIMIT.replace(*own);
    Switched { own, before }
}

/// Roughly where the native stack ends now.
#[inline(always)]
fn address() -> usize {
    let here = 0u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}

//! The canonical built-ins, one file per family. All are methods of [`State`](super::State).
//!
//! The `instance` that most of them take is the one whose code calls: that of the current thread.

mod at_once;
mod backpressure;
mod callback;
mod context;
mod copy;
mod error_context;
mod future;
mod lift;
mod lower;
mod stream;
mod subtask;
mod task;
mod thread;
mod waitable_set;

pub use at_once::{AtOnce, StreamEnds};
pub use callback::CallbackStep;
pub use copy::{CancelStep, CopyStep};
pub use lift::{CallSpec, Called};
pub use lower::LowerStep;
pub use subtask::SubtaskCancelStep;
pub use thread::ThreadStep;
pub use waitable_set::WaitStep;

/// What a built-in returns to its guest when the operation goes on in the background.
pub const BLOCKED: u32 = 0xffff_ffff;

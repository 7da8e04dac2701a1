//! The I/O core: endpoints, where bytes enter and leave the host.
//!
//! An [`Input`] or [`Output`] is a file, pipe, terminal, socket, in-memory pipe, or anything else
//! that moves bytes. Its operations never wait: they move bytes between the operating system and
//! the slice they were given (a guest's memory, where possible), or say that this is not possible
//! now. To wait, take the endpoint's [`Readiness`] and try again once it is done. The three WASI
//! generations are faces of these two traits.

mod adapter;
mod counters;
mod descriptor;
mod drains;
mod endpoint;
mod file;
mod input_stream;
mod memory;
mod null;
mod off_thread;
mod output_state;
mod output_stream;
mod pipe;
mod reactor;
mod readiness;
mod sink;
mod stdio;
mod stream_error;
mod window;

pub use adapter::{AsyncInput, AsyncOutput};
pub use counters::Counters;
pub(crate) use descriptor::{Descriptor, Direction};
pub use drains::Drains;
pub use endpoint::{Flush, Input, Kind, Output, Read, SharedInput, Write};
pub use file::{FileInput, FileOutput, file_ready};
pub use input_stream::{InputStream, READ_CHUNK};
pub use memory::{BytesInput, Capture};
pub use null::{DiscardOutput, EmptyInput};
pub(crate) use off_thread::{OffThread, file_fetched, off_thread};
pub use output_stream::OutputStream;
pub use pipe::{PipeInput, PipeOutput, pipe};
pub(crate) use reactor::background;
pub(crate) use readiness::WaitSet;
pub use readiness::{Readiness, is_ready_now, ready_now, wait_any};
pub use sink::SharedOutput;
pub use stdio::{FdInput, FdOutput, stderr, stdin, stdout};
pub use stream_error::{BLOCKING_WRITE_LIMIT, Misuse, StreamError};
pub use tidegate::timer::{at, sleep};
pub use window::{WINDOW_CEILING, WINDOW_FLOOR, WINDOW_START};

//! Streams and futures one end of which the host holds.
//!
//! The host does not read or write: it supplies an object that is called at once when the guest at the other end acts, so that items move in the
//! same turn. [`StreamProducer`] and [`FutureProducer`] stand for writable ends, [`StreamConsumer`] and [`FutureConsumer`] for readable ones.
//! [`StreamReader::new`] makes a readable end, to be given to a guest, out of a producer; [`StreamReader::pipe`] hands what comes out of a
//! readable end to a consumer. [`FutureReader`] does the same for exactly one value.
//!
//! ```
//! use tidegate::stream::StreamReader;
//! use tidegate::{Engine, Store};
//!
//! # fn main() -> tidegate::Result<()> {
//! let mut store = Store::new(&Engine::default(), ());
//! // To be passed to a function that takes a `stream<u8>`.
//! let mut greeting = StreamReader::new(&mut store, b"hello".to_vec())?;
//! # greeting.close(&mut store)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Who waits
//! A producer or consumer that has nothing to do now keeps the waker and returns `Pending`; it is called again when it was woken. It is dropped when the other
//! end is: there is nothing else to watch for.
//!
//! # Memory
//! The host never allocates in proportion to a guest's buffer. What producers put into [`Destination::set_buffer`] is theirs; bytes go straight
//! into the guest's memory by [`Destination::as_direct`], and out of it by [`Source::as_direct`]. Between two ends of the host there are
//! at most [`MAX_CHUNK`] items under way.

mod breach;
mod consumer;
mod destination;
mod ends;
mod future_reader;
mod guard;
mod producer;
mod read_buffer;
mod reader;
pub mod ready;
mod source;
mod stream_reader;
mod write_buffer;

pub use breach::{Breach, Rule};
pub use consumer::{FutureConsumer, StreamConsumer};
pub use destination::{Destination, DirectDestination, MAX_CHUNK};
pub use future_reader::FutureReader;
pub use guard::{GuardedFutureReader, GuardedStreamReader};
pub use producer::{FutureProducer, StreamProducer};
pub use read_buffer::ReadBuffer;
pub use reader::ReadableEnd;
pub(crate) use reader::close_all;
pub use source::{DirectSource, Source};
pub use stream_reader::StreamReader;
pub use tidegate_core::abi::{FutureAny, Item, LiftItem, LowerItem, StreamAny};
pub use tidegate_core::runtime::ErrorContext;
pub use write_buffer::{VecBuffer, WriteBuffer};

pub(crate) use ends::{HostEnds, ask, at_once, forget, retry, serve, serve_bytes, settle};

/// What a producer or consumer says when it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamResult {
    /// Items were moved, or can be moved by the next call without waiting.
    Completed,
    /// Nothing more is moved now, as the other end wishes: an answer to `finish` only.
    Cancelled,
    /// There will be no more: the end is dropped.
    Dropped,
}

//! Producers and consumers that are ready to be used.
//!
//! | what there is | as a producer | as a consumer |
//! | --- | --- | --- |
//! | `Vec<T>`, `VecDeque<T>`, `Box<[T]>`, `Bytes`, `BytesMut` | itself | |
//! | nothing | `std::iter::empty()` | |
//! | a `futures` stream or sink | [`FromStream`] | [`IntoSink`] |
//! | tokio's `AsyncRead` or `AsyncWrite` | [`FromAsyncRead`] | [`IntoAsyncWrite`] |
//! | another task of the host | [`producer_channel`] | [`consumer_channel`] |
//! | a `Future` of a `Result` | itself, of a future | |
//! | another task that waits for one value | | [`oneshot()`], of a future |

mod async_read;
mod async_write;
mod channel;
mod items;
mod oneshot;
mod sink;
mod stream;

pub use async_read::FromAsyncRead;
pub use async_write::IntoAsyncWrite;
pub use channel::{ChannelConsumer, Receiver, Sender, consumer_channel, producer_channel};
pub use oneshot::{OneshotConsumer, OneshotReceiver, oneshot};
pub use sink::IntoSink;
pub use stream::FromStream;

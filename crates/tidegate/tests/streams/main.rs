//! Streams and futures one end of which the host holds, on both engines.

mod consume;
mod guest;
mod produce;

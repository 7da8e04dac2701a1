//! Exceptions on an engine that has none.
//!
//! In an isolate with exceptions every module is translated before it is compiled. While an exception is in flight, a global
//! that all its modules share, *pending*, is not zero, and the exception itself is kept by the adapter. `throw` hands the
//! payload over and branches to the nearest landing pad in its function; after each call the caller looks at *pending* and
//! does the same. A landing pad is where the clauses of a `try_table` are tried one after the other, or the end of the
//! function, which returns zeros that nobody will look at, for the caller to look at *pending* in turn. Exception references
//! become external references.
//!
//! Host functions run only while nothing is in flight: an exception that reaches the host is a trap.

mod facts;
mod lower;
mod runtime;

pub(super) use facts::{Facts, facts, features};
pub(super) use lower::{Layout, lower};
pub(super) use runtime::{Exceptions, Flight, new_tag};

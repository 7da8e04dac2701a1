//! Modules that are changed before they are compiled.
//!
//! What is known of a module is its [`Shape`]; what is to be in it besides is collected in [`Additions`], while the code of its functions is
//! rewritten; and then it is put together with [`assemble()`]. What is imported comes after the module's own imports, and everything else after what it
//! defines, so that of its own only what it defines moves, by as much as is imported of its kind.
//!
//! That is how [waits](super::waits) become asynchronous, how compiled code gets its checks (`wasmtime/checks`), and how operations on much memory go [by pieces](bulk)
//! on both engines.

mod additions;
mod assemble;
pub(crate) mod bulk;
mod shape;

pub(crate) use additions::{Additions, Error};
pub(crate) use assemble::{Rewritten, assemble};
pub(crate) use shape::Shape;

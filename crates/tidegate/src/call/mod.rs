//! Calls: lifted functions entered by the host or by other guests, and the built-ins.

pub(crate) mod builtins;
pub(crate) mod canon;
pub(crate) mod dtor;
pub(crate) mod enter;
pub(crate) mod guest;
pub(crate) mod host;
pub(crate) mod items;
mod memories;

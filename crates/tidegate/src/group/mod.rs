//! Groups: several instances in one isolate, which call each other by adapters.
//!
//! What the adapters are is in [`tidegate_core::abi::fuse`]. Here it is decided which instances make a group ([`family`]) and which
//! adapters stand in which module ([`plan`]); the modules are instantiated ([`link`]); and what a trap in a group leaves
//! behind is sorted out ([`mod@unwind`]).

mod call;
mod family;
mod link;
mod plan;
mod unwind;

pub(crate) use call::AccompaniedCall;
pub(crate) use family::families;
pub(crate) use link::{
    Door, GroupsOfInstance, begin_func, end_func, fail_type, validate, validate_type,
};
pub(crate) use plan::Groups;
pub(crate) use unwind::{Flags, settle, unwind};

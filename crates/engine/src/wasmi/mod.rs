//! The adapter for wasmi.
//!
//! # How a stack blocks
//! A stack is a resumable call. A blocking host function that blocks leaves its payload and its slots in the store and fails
//! with a signal, which ends the run of the resumable call; the job later runs from outside, and its results are what the
//! call is resumed with. As any number of resumable calls may be under way in a store, so may stacks.

mod bulk;
mod convert;
mod cx;
mod engine;
mod exceptions;
mod host;
mod isolate;
mod sections;
mod stack;

pub(crate) use cx::{WasmiCx, WasmiInstance, WasmiPre, WasmiTag};
pub(crate) use engine::{WasmiEngine, WasmiModule, module};
pub(crate) use isolate::WasmiIsolate;
pub(crate) use stack::WasmiStack;

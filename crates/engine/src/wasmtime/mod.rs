//! The adapter for wasmtime.
//!
//! A function is called with `Func::call_unchecked` and a host function defined with `Func::new_unchecked`: words go in and
//! out without a look at types, which the [`Signature`](crate::signature::Signature) kept beside each function makes sound.
//!
//! # How a stack blocks
//! Host functions, blocking ones too, are synchronous to the engine. One that blocks calls the isolate's only asynchronous
//! function, *park*, from where it stands: the fiber that the stack runs on is suspended inside that call, and once it is
//! resumed the host function runs the job it was given, or makes a call on top and blocks again. So a blocking host function
//! that does not block costs nothing extra, no host frame but the adapter's own is ever on a parked stack, and an isolate
//! with blocking host functions can still be entered by plain calls: whether there is a fiber to suspend is known from
//! [`isolate::StoreData::may_block`].

mod checks;
mod convert;
mod cx;
mod engine;
mod host;
mod isolate;
mod memories;
mod pre;
mod stack;
mod stack_funcs;

pub(crate) use checks::Word;
pub(crate) use cx::WasmtimeCx;
pub(crate) use engine::{
    WasmtimeEngine, compatibility, deserialize, deserialize_file, module, shared_memory,
};
pub(crate) use isolate::WasmtimeIsolate;
pub(crate) use memories::NumberedMemory;
pub(crate) use pre::WasmtimePre;
pub(crate) use stack::WasmtimeStack;
pub(crate) use stack_funcs::StackDefinitions;

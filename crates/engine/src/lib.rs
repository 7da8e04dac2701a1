//! Core WebAssembly engines behind one narrow interface.
//!
//! Nothing here knows the Component Model. An [`Isolate`] is an engine store that holds one or more core instances;
//! a [`Cx`] is the right to use it: from outside ([`Isolate::cx`]) or from inside a host function. A call that may block
//! runs on a [`Stack`] of its own, which ends in [`Step::Blocked`] and is resumed with a [`Job`].
//!
//! Core values cross this interface as raw 64-bit words: `i32` and `f32` in the low half with the high half zero,
//! references and vectors not at all.
//!
//! Two adapters implement it: `wasmtime` (Cranelift) and `wasmi` (interpreter). The types here are enums over both, so that no
//! engine type shows above this crate.

mod artifact;
mod config;
mod cx;
mod error;
mod handles;
mod host_type;
mod instance_pre;
mod interrupt;
mod isolate;
mod limits;
mod memories;
mod module;
mod module_export;
mod native_stack;
mod prompt;
mod rewrite;
mod shared_memory;
mod signature;
mod stack;
mod trap;
mod types;
pub mod waits;
mod wasmi;
mod wasmtime;

pub use config::{Engine, EngineConfig, EngineKind, Pooling};
pub use cx::Cx;
pub use error::EngineError;
pub use handles::{Extern, Func, Global, Instance, Memory, SharedMemoryIndex, Table, Tag};
pub use host_type::HostType;
pub use instance_pre::{InstancePre, SharedFunc};
pub use interrupt::InterruptHandle;
pub use isolate::{Isolate, IsolateData};
pub use limits::{LimitExceeded, Limits};
pub use module::Module;
pub use module_export::ModuleExport;
pub use prompt::wake_promptly;
pub use shared_memory::SharedMemory;
pub use stack::{BlockingHostFn, Flow, HostFn, Job, Resume, Stack, Step, TopCall};
pub use trap::{Backtrace, Frame, Trap, TrapCode};
pub use types::{Export, ExternType, FuncType, GlobalType, Import, MemoryType, TableType, ValType};

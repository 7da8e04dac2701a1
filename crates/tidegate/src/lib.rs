//! Tidegate: a WebAssembly runtime for components and core modules.
#![forbid(unsafe_code)]

#[doc(hidden)]
#[path = "internal.rs"]
pub mod __internal;
mod accessor;
mod artifact;
mod baton;
mod block_on;
mod call;
mod caller;
mod component;
mod concurrent;
mod drop_resource;
mod engine;
mod error;
mod func;
mod group;
mod has_data;
mod instance;
pub mod interrupt;
mod isolation;
mod limits;
mod link;
mod macros;
pub mod module;
mod processor_time;
mod resource_table;
pub mod scheduler;
mod store;
pub mod stream;
pub mod timer;
mod typed_func;

pub use accessor::{Access, Accessor, StoreInUse};
pub use anyhow::{Error, Result};
pub use block_on::block_on;
pub use caller::Caller;
pub use component::Component;
pub use concurrent::{Aborted, CallCancelled, Cancelled, ConcurrentCall, GuestWaits, JoinHandle};
pub use drop_resource::DropResource;
pub use engine::{Config, Engine, EngineKind, Strategy};
pub use func::{Func, WrongStore};
pub use has_data::{Getter, HasData, HasSelf};
pub use instance::{ExportIndex, ExportName, Instance};
pub use isolation::IsolateInfo;
pub use limits::Limits;
pub use link::{
    Answer, DefineError, InPlace, InstancePre, LinkError, Linker, LinkerInstance, ResourceType,
};
pub use macros::{ComponentType, Lift, Lower, bindgen, flags};
pub use resource_table::{ResourceTable, ResourceTableError};
pub use store::{AsContextMut, Store, StoreContextMut};
pub use stream::{
    ErrorContext, FutureAny, FutureReader, GuardedFutureReader, GuardedStreamReader, StreamAny,
    StreamReader,
};
pub use tidegate_core::abi::{
    ComponentType, GuestBytes, Lift, LiftParams, LiftResult, Lower, LowerParams, LowerResult,
    Resource, ResourceAny, Val,
};
pub use tidegate_core::runtime::Limits as ConcurrencyLimits;
pub use tidegate_core::trap::Trap as AbiTrap;
pub use tidegate_engine::{Backtrace, Frame, Trap, TrapCode};
pub use typed_func::TypedFunc;

/// Compiles the code in the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

//! Linking: what the host defines, matching it with a component's imports, and instantiating.

mod adapters;
mod functions;
mod host_func;
mod imports;
mod in_place;
mod instantiate;
mod linker;
mod pre;
mod prepared;
mod reexport;
mod trampolines;
mod waiting;

pub(crate) use functions::CoreBody;
pub(crate) use host_func::{Body, HostCall, HostDtor, HostFunc, HostResult};
pub use imports::LinkError;
use imports::{Imports, Resolved};
pub use in_place::{Answer, InPlace};
pub(crate) use instantiate::{InstanceData, instantiate};
pub use linker::{DefineError, Linker, LinkerInstance, ResourceType};
use linker::{Definition, HostResource, Names};
pub use pre::InstancePre;
pub(crate) use reexport::Reexport;

//! Core modules: programs without the Component Model, such as those for WASI 0.1.
//!
//! ```
//! use tidegate::module::{FuncType, Module, ModuleLinker, Outcome, ValType};
//! use tidegate::{Engine, Store};
//!
//! # fn main() -> tidegate::Result<()> {
//! let engine = Engine::default();
//! let module = Module::new(
//!     &engine,
//!     r#"(module (import "host" "twice" (func $twice (param i32) (result i32)))
//!          (func (export "run") (param i32) (result i32) (i32.add (i32.const 1) (call $twice (local.get 0)))))"#,
//! )?;
//! let mut linker = ModuleLinker::<()>::new(&engine);
//! let ty = FuncType::new([ValType::I32], [ValType::I32]);
//! linker.func("host", "twice", ty, |_, slots| {
//!     slots[0] *= 2;
//!     Ok(Outcome::Done)
//! })?;
//! let mut store = Store::new(&engine, ());
//! let instance = linker.instantiate(&mut store, &module)?;
//! let run = instance.get_func(&mut store, "run").unwrap();
//! let mut slots = [20];
//! run.call(&mut store, &mut slots)?;
//! assert_eq!(slots, [41]);
//! # Ok(())
//! # }
//! ```

mod caller;
mod code;
mod instance;
mod linker;
mod threads;

pub use caller::{Caller, GuestMemory, Outcome};
pub use code::Module;
pub use instance::{CoreFunc, ModuleInstance};
pub use linker::ModuleLinker;
pub use threads::{MAX_THREADS, Threads, ThreadsHandle};
pub use tidegate_engine::{Export, ExternType, FuncType, Import, SharedMemory, ValType};

//! Interrupting: pausing, terminating, and running something in the store of a guest, whatever it does.
//!
//! An [`InterruptHandle`] comes from a store ([`Store::interrupt_handle`](crate::Store::interrupt_handle)), and can be cloned and sent anywhere. What
//! it asks for, a guest meets where it is: waiting code at once, as it is woken; code that computes at its next check, for which the engine must
//! be set up ([`EngineConfig::interruptible`](tidegate_engine::EngineConfig::interruptible)).
//! Host functions need nothing of their own: synchronous ones run to their end, asynchronous ones stop at the `await` they have reached.
//!
//! | asked | a call that runs or waits | no call under way |
//! | --- | --- | --- |
//! | [`pause`](InterruptHandle::pause) | stops where it is: [`run`](InterruptHandle::run) gives it out as a [`PausedCall`]; a call that was not begun by `run` stays pending until [`resume`](InterruptHandle::resume) | the next call stops before it has begun |
//! | [`terminate`](InterruptHandle::terminate) | ends with [`Terminated`], as with a trap: the instances it had entered cannot be used any more | the next call ends so before it has begun |
//! | [`run_in_store`](InterruptHandle::run_in_store) | the closure runs, then the guest goes on | the closure runs when the next call begins |
//!
//! Each request counts once however often it is made, but closures, each of which is run. A terminated call that was paused ends when it is
//! resumed or dropped.
//!
//! ```
//! use tidegate::interrupt::{Outcome, Terminated};
//! use tidegate::module::{Module, ModuleLinker};
//! use tidegate::{Config, Engine, Store, block_on};
//!
//! # fn main() -> tidegate::Result<()> {
//! let mut config = Config::new();
//! config.core().interruptible = true;
//! let engine = Engine::new(&config)?;
//! let module = Module::new(&engine, r#"(module (func (export "forever") (loop $l (br $l))))"#)?;
//! let mut store = Store::new(&engine, ());
//! let instance = ModuleLinker::new(&engine).instantiate(&mut store, &module)?;
//! let forever = instance.get_func(&mut store, "forever").unwrap();
//!
//! let handle = store.interrupt_handle();
//! let asking = handle.clone();
//! std::thread::spawn(move || {
//!     std::thread::sleep(std::time::Duration::from_millis(5));
//!     asking.pause();
//! });
//! let mut slots = [];
//! let call = handle.run(forever.call_async(&mut store, &mut slots));
//! let Outcome::Paused(paused) = block_on(call) else { panic!("it never ends") };
//! assert_eq!(paused.suspension().frames[0].func_index, 0);
//! handle.terminate("enough");
//! let Outcome::Ended(result) = block_on(paused.resume()) else { panic!("it was not paused again") };
//! assert!(result.unwrap_err().is::<Terminated>());
//! # Ok(())
//! # }
//! ```

mod call;
mod control;
mod handle;
mod scope;
mod ticker;
mod wait;

pub use call::{Interruptible, Outcome, PausedCall};
pub use control::{Suspension, Terminated};
pub use handle::InterruptHandle;

pub(crate) use control::Control;
pub(crate) use scope::{Scope, block_on, block_on_within};
pub(crate) use ticker::{Tick, Ticker};
pub(crate) use wait::{
    begin, begin_plain, explain, hold, rest, run, run_plain, wait, yield_now, yielded,
};

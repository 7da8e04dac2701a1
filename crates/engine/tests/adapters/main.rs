//! One test set that both adapters pass: every test runs on each engine.

mod bulk;
mod calls;
mod checks;
mod exceptions;
mod limits;
mod memories;
mod modules;
mod nesting;
mod on_top;
mod shared_memories;
mod stacks;
mod support;
mod time_slices;
mod traps;

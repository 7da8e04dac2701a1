//! The WebAssembly Component Model without engine or operating system.
//!
//! [`types`] are a component's types with their layout in the Canonical ABI; a [`plan`] is what a component's binary is decoded
//! into once; [`abi`] lifts and lowers values over plain byte slices; [`runtime`] is the state of running instances: handle tables,
//! resources, tasks, and what async adds to them. A plan can be [`stored`].
#![forbid(unsafe_code)]

pub mod abi;
pub mod plan;
pub mod runtime;
pub mod stored;
pub mod trap;
pub mod types;

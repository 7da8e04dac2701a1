//! The Canonical ABI's values: against the specification's own answers, trap by trap, and one way of passing a value against the others.

mod guest;
mod oracle;
mod random;
mod round_trips;
mod text;
mod transfers;
mod traps;
mod typed;
mod world;

//! Streams and futures one end of which the host holds, on both engines.

mod consume;
mod consumer_contract;
mod dice;
mod direct;
mod forward;
mod futures;
mod guest;
mod nested;
mod parked;
mod produce;
mod producer_contract;
mod random;
mod script;
mod splice;
mod values;

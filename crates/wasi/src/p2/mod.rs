//! WASI 0.2: the world `wasi:cli/command` for components.

//! WASI 0.1: `wasi_snapshot_preview1` for core modules.

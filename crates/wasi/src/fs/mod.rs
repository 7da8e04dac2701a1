//! The sandboxed filesystem: directories that were granted, and what is below them.

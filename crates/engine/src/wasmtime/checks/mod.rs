//! Checks that code is compiled with where guests can be interrupted while they compute.
//!
//! Modules are [rewritten](mod@rewrite) before they are compiled: code loads a [word](words) of its isolate's now and then, and calls a
//! function that [meets](meet) what is asked if the word is not zero. The word lies in a memory that all instances of an engine import,
//! at an address that a global of each instance holds; until the function has been called for the first time, that is the address of a word that is
//! never zero. So requests cost whoever makes them one atomic store, and code that nobody asks anything of a load and a branch.
//!
//! Each [loop](loops) is checked, and [calls] where they could come round again or take long.
//!
//! The memory and the function are imported after everything else, so that imports of the module's own keep their indices, and the functions and memories that
//! it defines move by one. The global comes after all others, and so do functions that call the one that is imported.

mod body;
mod calls;
mod loops;
mod meet;
mod rewrite;
mod turns;
mod words;

pub(super) use meet::{Requests, begin_plain, check, remind};
pub(super) use rewrite::rewrite;
pub(crate) use words::{Word, Words};

/// The module that the memory and the function are imported from.
pub(super) const MODULE: &str = "tidegate:checks";
/// The memory.
pub(super) const WORDS: &str = "words";
/// The function. It gives the address of the word.
pub(super) const CHECK: &str = "check";
/// How many imports that makes. Functions that are added have the name of the module.
pub(super) const IMPORTS: usize = 2;

/// Changes with what is added to modules, since precompiled ones have it.
pub(super) const VERSION: u32 = 2;

//! The code generator behind Tidegate's `bindgen!` and derives, as an ordinary library: tokens in, tokens out, so that it can be tested
//! and used without a procedural macro.
//!
//! [`generate`] reads WIT and writes Rust. For the world itself there is a struct with its exports; for each imported interface a module with
//! its types, a trait `Host` (and one for each resource) and `add_to_linker` in three forms; for each exported interface a module with its
//! types and a struct `Guest`. [`mod@derive`] holds the derives for types written by hand.
#![forbid(unsafe_code)]

mod define;
pub mod derive;
mod docs;
mod export;
mod face;
mod generator;
mod import;
mod input;
mod modules;
mod names;
mod options;
mod source;
mod types;
mod wire;
mod world;

pub use options::{Features, FunctionFlags, Mode, Options, Remap, Rule, Rules};

use anyhow::Result;
use generator::Generator;
use proc_macro2::TokenStream;
use source::Source;
use std::path::{Path, PathBuf};

/// What [`generate`] gives.
#[derive(Debug)]
pub struct Bindings {
    /// The code.
    pub tokens: TokenStream,
    /// The name of the world.
    pub world: String,
    /// The WIT files that it was made from: when one changes, the code is out of date.
    pub files: Vec<PathBuf>,
}

impl Bindings {
    /// The code as text, formatted.
    ///
    /// # Errors
    /// When the tokens are not a Rust file, which is a bug of the generator.
    pub fn to_text(&self) -> Result<String> {
        Ok(prettyplease::unparse(&syn::parse2(self.tokens.clone())?))
    }
}

/// Generates the bindings that `options` ask for. Paths are relative to `root`.
///
/// # Errors
/// WIT that cannot be read, a world that cannot be chosen, and names in options that mean nothing.
pub fn generate(options: &Options, root: &Path) -> Result<Bindings> {
    let source = Source::read(options, root)?;
    let generator = Generator::new(options, &source.resolve, source.world);
    let tokens = modules::file(&generator)?;
    generator.check_unused()?;
    Ok(Bindings {
        tokens,
        world: generator.world().name.clone(),
        files: source.files,
    })
}

//! `bindgen!`: where the packages are, what Cargo must watch, and the generated code as a file for who wants to read it.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use tidegate_wit_bindgen::{Bindings, Options, generate};

/// Set to a folder, or to anything else for the system's temporary one: the generated code is written there and included from there, so that
/// it can be read and errors point into it.
const DEBUG: &str = "TIDEGATE_DEBUG_BINDGEN";

pub(crate) fn expand(input: TokenStream) -> syn::Result<TokenStream> {
    let options: Options = syn::parse2(input)?;
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let error = |error| syn::Error::new(Span::call_site(), format!("{error:#}"));
    let bindings = generate(&options, &root).map_err(error)?;
    // Cargo compiles again when a file changes that the crate includes.
    let watched = bindings.files.iter().map(|file| {
        let file = file.display().to_string();
        quote!(
            const _: &str = ::core::include_str!(#file);
        )
    });
    let code = match std::env::var_os(DEBUG) {
        Some(folder) => {
            let file = write(&bindings, Path::new(&folder)).map_err(error)?;
            let file = file.display().to_string();
            quote!(::core::include!(#file);)
        }
        None => bindings.tokens.clone(),
    };
    Ok(quote!(#(#watched)* #code))
}

/// Writes the code to a file of its own.
fn write(bindings: &Bindings, folder: &Path) -> anyhow::Result<PathBuf> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let folder = match folder.is_dir() {
        true => folder.to_path_buf(),
        false => std::env::temp_dir(),
    };
    let krate = std::env::var("CARGO_CRATE_NAME").unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let file = folder.join(format!("{krate}-{}-{count}.rs", bindings.world));
    std::fs::write(&file, bindings.to_text()?)?;
    Ok(file)
}

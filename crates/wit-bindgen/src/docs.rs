//! WIT's doc comments as Rust's.

use proc_macro2::TokenStream;
use quote::quote;
use wit_parser::Docs;

/// The `#[doc]` attribute for WIT documentation, nothing if there is none.
pub(crate) fn docs(docs: &Docs) -> TokenStream {
    match &docs.contents {
        Some(text) => {
            let text = tame(text);
            quote!(#[doc = #text])
        }
        None => TokenStream::new(),
    }
}

/// Keeps rustdoc from taking code in WIT documentation for Rust: fenced blocks without a language are text, indented blocks are prose.
fn tame(text: &str) -> String {
    let mut fenced = false;
    let mut after_blank = true;
    let mut tamed = String::with_capacity(text.len());
    for line in text.lines() {
        let content = line.trim_start();
        if content.starts_with("```") {
            let opening = !fenced;
            fenced = !fenced;
            tamed.push(' ');
            tamed.push_str(content);
            if opening && content == "```" {
                tamed.push_str("text");
            }
        } else if !fenced && after_blank && line.len() - content.len() >= 4 {
            tamed.push_str("   ");
            tamed.push_str(content);
        } else {
            if !content.is_empty() && !line.starts_with(' ') {
                tamed.push(' ');
            }
            tamed.push_str(line);
        }
        tamed.push('\n');
        after_blank = content.is_empty();
    }
    tamed.pop();
    tamed
}

#[cfg(test)]
mod tests {
    use super::tame;

    #[test]
    fn code_is_not_taken_for_rust() {
        let text = "About.\n\n```\nlet x;\n```\n\n```c\nint x;\n```";
        assert_eq!(
            tame(text),
            " About.\n\n ```text\n let x;\n ```\n\n ```c\n int x;\n ```"
        );
        assert_eq!(tame("About.\n\n    code"), " About.\n\n   code");
    }
}

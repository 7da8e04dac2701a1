//! From WIT's kebab-case to Rust's identifiers.

use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, Span};

/// The name of a function, parameter, field or module.
pub(crate) fn snake(name: &str) -> Ident {
    ident(&name.to_snake_case())
}

/// The name of a type or of a case.
pub(crate) fn camel(name: &str) -> Ident {
    ident(&name.to_upper_camel_case())
}

/// The name of a type, kept clear of the items that every interface's module has.
pub(crate) fn type_name(name: &str) -> Ident {
    match name.to_upper_camel_case().as_str() {
        taken @ ("Host" | "Guest" | "GuestIndices") => ident(&format!("{taken}_")),
        other => ident(other),
    }
}

/// The name of a constant: a flag.
pub(crate) fn shouty(name: &str) -> Ident {
    ident(&name.to_shouty_snake_case())
}

/// `name` as an identifier: with an underscore behind it where it would be a keyword, and before it where it begins with a digit.
pub(crate) fn ident(name: &str) -> Ident {
    let name = if name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name.to_owned()
    };
    // `syn` knows the keywords of every edition; `_` cannot come from WIT.
    if syn::parse_str::<Ident>(&name).is_ok() {
        Ident::new(&name, Span::call_site())
    } else {
        Ident::new(&format!("{name}_"), Span::call_site())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_get_an_underscore() {
        assert_eq!(snake("type").to_string(), "type_");
        assert_eq!(snake("self").to_string(), "self_");
        assert_eq!(snake("async").to_string(), "async_");
        assert_eq!(camel("self").to_string(), "Self_");
        assert_eq!(snake("drop").to_string(), "drop");
    }

    #[test]
    fn reserved_type_names_get_an_underscore() {
        assert_eq!(type_name("host").to_string(), "Host_");
        assert_eq!(type_name("input-stream").to_string(), "InputStream");
    }

    #[test]
    fn acronyms_lose_their_case() {
        assert_eq!(snake("read-URL").to_string(), "read_url");
        assert_eq!(camel("XML-node").to_string(), "XmlNode");
    }
}

//! Errors of this crate that have no better place.

/// The text of an error that validation rules out.
pub(crate) fn bug(what: &str) -> String {
    format!("a bug in Tidegate: {what}; please report it")
}

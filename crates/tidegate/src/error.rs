//! Errors of this crate that have no better place.

use std::borrow::Cow;
use std::fmt;

/// The text of an error that validation rules out. It is put together only when it is shown: what checks for it runs all the time.
pub(crate) fn bug(what: impl Into<Cow<'static, str>>) -> Bug {
    Bug(what.into())
}

#[derive(Debug)]
pub(crate) struct Bug(Cow<'static, str>);

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a bug in Tidegate: {}; please report it", self.0)
    }
}

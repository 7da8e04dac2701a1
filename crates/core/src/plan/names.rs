//! Names of imports and exports: their parts, which versions of an interface serve which, and what a misspelt name may have meant.
//!
//! The grammar is the specification's [`externname`]. Of versions, the part that [canonical interface names] keep decides: `0.2.3` is
//! served by `0.2.12` and `1.2.0` by `1.5.0`, while `0.0.1` and every pre-release are served by nothing but themselves.
//!
//! [`externname`]: https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/Explainer.md#import-and-export-definitions
//! [canonical interface names]: https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/Explainer.md#-canonical-interface-name

/// The name of an import or export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternName<'a> {
    /// A name whose meaning is the component's own.
    Plain(PlainName<'a>),
    /// The name of an interface that is defined elsewhere.
    Interface(InterfaceName<'a>),
}

/// A plain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainName<'a> {
    /// `label`
    Label(&'a str),
    /// `[constructor]resource`
    Constructor {
        /// The resource type.
        resource: &'a str,
    },
    /// `[method]resource.name`
    Method {
        /// The resource type.
        resource: &'a str,
        /// The method.
        name: &'a str,
    },
    /// `[static]resource.name`
    Static {
        /// The resource type.
        resource: &'a str,
        /// The function.
        name: &'a str,
    },
}

/// The name of an interface: `namespace:package/interface@version`, with more than one namespace or interface where names nest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceName<'a> {
    /// Everything before the version.
    pub path: &'a str,
    /// The namespaces, outermost first.
    pub namespaces: Vec<&'a str>,
    /// The package.
    pub package: &'a str,
    /// The interface, after the packages nested in the package if there are any.
    pub projections: Vec<&'a str>,
    /// The version.
    pub version: Option<Version<'a>>,
}

/// A version of an interface: a semantic version, or the part of one that canonical names keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    /// The major number.
    pub major: u64,
    /// The minor number, unless the version is canonical and leaves it out.
    pub minor: Option<u64>,
    /// The patch number, likewise.
    pub patch: Option<u64>,
    /// What makes it a pre-release.
    pub pre: Option<&'a str>,
}

/// What versions must have in common for one to serve the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Track<'a> {
    Major(u64),
    Minor(u64),
    Patch(u64),
    PreRelease(u64, u64, u64, &'a str),
}

impl<'a> ExternName<'a> {
    /// Takes a name apart; `None` if it is neither of the two.
    pub fn parse(name: &'a str) -> Option<Self> {
        if name.contains([':', '/', '@']) {
            return InterfaceName::parse(name).map(ExternName::Interface);
        }
        let (annotation, rest) = match name.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", name),
        };
        let member = || {
            rest.split_once('.')
                .filter(|(a, b)| is_label(a) && is_label(b))
        };
        let plain = match annotation {
            "" => PlainName::Label(rest),
            "constructor" => PlainName::Constructor { resource: rest },
            "method" => {
                let (resource, name) = member()?;
                return Some(ExternName::Plain(PlainName::Method { resource, name }));
            }
            "static" => {
                let (resource, name) = member()?;
                return Some(ExternName::Plain(PlainName::Static { resource, name }));
            }
            _ => return None,
        };
        is_label(rest).then_some(ExternName::Plain(plain))
    }
}

impl<'a> InterfaceName<'a> {
    /// Takes the name of an interface apart; `None` if it is none.
    pub fn parse(name: &'a str) -> Option<Self> {
        let (path, version) = match name.split_once('@') {
            Some((path, version)) => (path, Some(Version::parse(version)?)),
            None => (name, None),
        };
        let (head, projection) = path.split_once('/')?;
        let mut namespaces: Vec<&str> = head.split(':').collect();
        let package = namespaces.pop()?;
        let projections: Vec<&str> = projection.split('/').collect();
        let labels = namespaces.iter().chain([&package]).chain(&projections);
        if namespaces.is_empty() || !labels.copied().all(is_label) {
            return None;
        }
        Some(Self {
            path,
            namespaces,
            package,
            projections,
            version,
        })
    }
}

impl<'a> Version<'a> {
    /// Parses a semantic version, or the canonical part of one: `1`, `0.2`, `0.0.3`.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        let (numbers, pre) = match text.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre)),
            None => (text, None),
        };
        if ![pre, build].into_iter().flatten().all(are_identifiers) {
            return None;
        }
        let mut numbers = numbers.split('.').map(number);
        let major = numbers.next()??;
        let (minor, patch) = match (numbers.next(), numbers.next(), numbers.next()) {
            (None, ..) if major > 0 => (None, None),
            (Some(minor), None, _) if major == 0 && minor? > 0 => (minor, None),
            (Some(minor), Some(patch), None) => (Some(minor?), Some(patch?)),
            _ => return None,
        };
        if patch.is_none() && (pre.is_some() || build.is_some()) {
            return None;
        }
        Some(Self {
            major,
            minor,
            patch,
            pre,
        })
    }

    fn track(&self) -> Track<'a> {
        let (minor, patch) = (self.minor.unwrap_or(0), self.patch.unwrap_or(0));
        match (self.pre, self.major, minor) {
            (Some(pre), ..) => Track::PreRelease(self.major, minor, patch, pre),
            (None, 0, 0) => Track::Patch(patch),
            (None, 0, minor) => Track::Minor(minor),
            (None, major, _) => Track::Major(major),
        }
    }
}

/// The newest of the offered names that serves the wanted one: the same interface in a compatible version. Names without a version are
/// served by themselves only.
pub fn newest_compatible<'a>(
    wanted: &str,
    offered: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let versioned = InterfaceName::parse(wanted).and_then(|name| Some((name.path, name.version?)));
    let Some((path, version)) = versioned else {
        return offered.into_iter().find(|name| *name == wanted);
    };
    offered
        .into_iter()
        .filter_map(|name| {
            // Most names differ in their path, which is cheaper to see than to parse.
            let rest = name.strip_prefix(path)?.strip_prefix('@')?;
            Some((Version::parse(rest)?, name))
        })
        .filter(|(found, _)| found.track() == version.track())
        .max_by_key(|(found, _)| (found.minor, found.patch))
        .map(|(_, name)| name)
}

/// The offered name that a wanted but unknown one may have meant: the same interface in another version, or one spelt much like it.
pub fn nearest<'a>(wanted: &str, offered: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let path = |name: &str| {
        name.split_once('@')
            .map_or(name.len(), |(path, _)| path.len())
    };
    let wanted_path = &wanted[..path(wanted)];
    offered
        .into_iter()
        .filter_map(|name| {
            let name_path = &name[..path(name)];
            let distance = edit_distance(wanted_path, name_path)?;
            // A third of the letters may be wrong; more is another word.
            (distance * 3 <= wanted_path.len()).then_some((distance, name))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters must be inserted, removed or replaced to make one name the other; `None` for names too long to compare.
fn edit_distance(a: &str, b: &str) -> Option<usize> {
    const LONGEST: usize = 128;
    if a.len() > LONGEST || b.len() > LONGEST {
        return None;
    }
    let b: Vec<char> = b.chars().collect();
    // The distances of the beginning of `a` seen so far to every beginning of `b`.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row.last().copied()
}

/// Whether a text is a `label`: words and acronyms joined by dashes, the first of which begins with a letter.
fn is_label(text: &str) -> bool {
    let fragment = |text: &str| {
        let word = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
        let acronym = |c: char| c.is_ascii_digit() || c.is_ascii_uppercase();
        !text.is_empty() && (text.chars().all(word) || text.chars().all(acronym))
    };
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.split('-').all(fragment)
}

/// Whether a text is a dotted list of the identifiers of a pre-release or build.
fn are_identifiers(text: &str) -> bool {
    text.split('.').all(|identifier| {
        !identifier.is_empty()
            && identifier
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

/// A number without leading zeroes.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_serve_older_ones_of_the_same_track() {
        for (wanted, offered, found) in [
            ("a:b/c@0.2.3", "a:b/c@0.2.12", true),
            ("a:b/c@0.2.3", "a:b/c@0.2.0", true),
            ("a:b/c@1.2.0", "a:b/c@1.5.0", true),
            ("a:b/c@1", "a:b/c@1.5.0", true),
            ("a:b/c@0.2", "a:b/c@0.2.12", true),
            ("a:b/c@0.2.3", "a:b/c@0.3.0", false),
            ("a:b/c@1.2.0", "a:b/c@2.0.0", false),
            ("a:b/c@0.0.1", "a:b/c@0.0.1", true),
            ("a:b/c@0.0.1", "a:b/c@0.0.2", false),
            ("a:b/c@0.3.0-rc-1", "a:b/c@0.3.0-rc-1", true),
            ("a:b/c@0.3.0-rc-1", "a:b/c@0.3.0", false),
            ("a:b/c@0.3.0", "a:b/c@0.3.0-rc-1", false),
            ("a:b/c@0.3.0", "a:b/cd@0.3.0", false),
            ("a:b/c", "a:b/c@1.0.0", false),
            ("a:b/c", "a:b/c", true),
            ("plain", "plain", true),
        ] {
            let result = newest_compatible(wanted, [offered]);
            assert_eq!(result.is_some(), found, "{offered} serving {wanted}");
        }
    }

    #[test]
    fn the_newest_compatible_version_is_taken() {
        let offered = ["a:b/c@0.2.9", "a:b/c@0.2.12", "a:b/c@0.2.2", "a:b/c@0.3.0"];
        assert_eq!(
            newest_compatible("a:b/c@0.2.3", offered),
            Some("a:b/c@0.2.12")
        );
    }

    #[test]
    fn versions_are_semantic_or_canonical() {
        for text in ["1.2.3", "0.0.0", "1.0.0-rc.1+build-7", "1", "0.2", "0.0.3"] {
            assert!(Version::parse(text).is_some(), "{text}");
        }
        let huge = "1.2.99999999999999999999";
        for text in [
            "", "1.2", "0", "01.2.3", "1.2.3-", "1.2.3+", "0.0", "1-rc", "1.2.3.4", huge,
        ] {
            assert!(Version::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn names_are_taken_apart() {
        let plain = |name| match ExternName::parse(name) {
            Some(ExternName::Plain(plain)) => Some(plain),
            _ => None,
        };
        assert_eq!(plain("get-JSON"), Some(PlainName::Label("get-JSON")));
        let (resource, name) = ("output-stream", "check-write");
        assert_eq!(
            plain("[method]output-stream.check-write"),
            Some(PlainName::Method { resource, name })
        );
        assert_eq!(
            plain("[static]output-stream.check-write"),
            Some(PlainName::Static { resource, name })
        );
        assert_eq!(
            plain("[constructor]output-stream"),
            Some(PlainName::Constructor { resource })
        );
        for bad in [
            "",
            "1a",
            "a--b",
            "aB",
            "[method]a",
            "[get]a",
            "[method",
            "a_b",
            "ä",
        ] {
            assert_eq!(ExternName::parse(bad), None, "{bad}");
        }
        let nested = InterfaceName::parse("ns:sub:pkg/outer/inner@1.0.0").unwrap();
        assert_eq!(nested.namespaces, ["ns", "sub"]);
        assert_eq!(
            (nested.package, &*nested.projections),
            ("pkg", &["outer", "inner"][..])
        );
        for bad in ["a:b", "a/b", ":b/c", "a:b/", "a:b/c@x", "a:b/c@1.0.0@1.0.0"] {
            assert_eq!(ExternName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn unknown_names_suggest_what_they_may_have_meant() {
        let offered = ["wasi:io/streams@0.2.12", "wasi:io/poll@0.2.12", "run"];
        assert_eq!(nearest("wasi:io/stream@0.2.0", offered), Some(offered[0]));
        assert_eq!(nearest("wasi:io/poll@0.3.0", offered), Some(offered[1]));
        assert_eq!(nearest("rum", offered), Some("run"));
        assert_eq!(nearest("something-else", offered), None);
        assert_eq!(nearest(&"a".repeat(100_000), offered), None);
    }
}

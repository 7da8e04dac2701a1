//! What a guest is granted, as it is written on the command line.

use std::path::PathBuf;
use tidegate_wasi::clocks::Zone;
use tidegate_wasi::net::Rule;

/// `--dir HOST[::GUEST][::ro]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dir {
    /// The folder.
    pub host: PathBuf,
    /// What the guest calls it.
    pub guest: String,
    /// Whether the guest may change nothing in it.
    pub read_only: bool,
}

/// Reads [`Dir`]. A guest path that is `ro` must be written `./ro`.
pub(super) fn parse_dir(text: &str) -> Result<Dir, String> {
    let mut parts: Vec<&str> = text.split("::").collect();
    let read_only = parts.len() > 1 && parts.last() == Some(&"ro");
    if read_only {
        parts.pop();
    }
    match parts[..] {
        [host] if !host.is_empty() => Ok(Dir {
            host: host.into(),
            guest: host.into(),
            read_only,
        }),
        [host, guest] if !host.is_empty() && !guest.is_empty() => Ok(Dir {
            host: host.into(),
            guest: guest.into(),
            read_only,
        }),
        _ => Err("expected HOST, HOST::GUEST, and `::ro` after either to forbid changes".into()),
    }
}

/// `--env NAME[=VALUE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvVar {
    /// The variable.
    pub name: String,
    /// Its value; that of this process if `None`.
    pub value: Option<String>,
}

pub(super) fn parse_env(text: &str) -> Result<EnvVar, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err("expected NAME=VALUE, or NAME to pass this process's value on".into());
    }
    Ok(EnvVar {
        name: name.to_owned(),
        value,
    })
}

/// `--time-zone ZONE`.
pub(super) fn parse_zone(text: &str) -> Result<Zone, String> {
    let zone = match text {
        "host" => Zone::host(),
        name => Zone::new(name),
    };
    zone.map_err(|error| error.to_string())
}

/// An option after `-S`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WasiOption {
    /// The whole environment of this process.
    InheritEnv,
    /// Any address and port, and name lookup.
    InheritNetwork,
    /// Look up the addresses of names.
    NameLookup,
    /// Connect and send to these addresses.
    Connect(Rule),
    /// Bind to these addresses.
    Bind(Rule),
}

const EXPECTED: &str = "expected inherit-env, inherit-network, allow-ip-name-lookup, connect=ADDRESS[:PORTS] or \
                        bind=ADDRESS[:PORTS]";

pub(super) fn parse_option(text: &str) -> Result<WasiOption, String> {
    let rule = |text: &str| text.parse::<Rule>().map_err(|error| error.to_string());
    match text.split_once('=') {
        None => match text {
            "inherit-env" => Ok(WasiOption::InheritEnv),
            "inherit-network" => Ok(WasiOption::InheritNetwork),
            "allow-ip-name-lookup" => Ok(WasiOption::NameLookup),
            _ => Err(EXPECTED.into()),
        },
        Some(("connect", text)) => rule(text).map(WasiOption::Connect),
        Some(("bind", text)) => rule(text).map(WasiOption::Bind),
        Some(_) => Err(EXPECTED.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(host: &str, guest: &str, read_only: bool) -> Result<Dir, String> {
        Ok(Dir {
            host: host.into(),
            guest: guest.into(),
            read_only,
        })
    }

    #[test]
    fn folders() {
        assert_eq!(parse_dir("a"), dir("a", "a", false));
        assert_eq!(parse_dir("a::/b"), dir("a", "/b", false));
        assert_eq!(parse_dir("a::ro"), dir("a", "a", true));
        assert_eq!(parse_dir("a::b::ro"), dir("a", "b", true));
        assert_eq!(parse_dir("ro"), dir("ro", "ro", false));
        for bad in ["", "::b", "a::", "a::b::c", "::ro"] {
            assert!(parse_dir(bad).is_err(), "{bad:?} names no folder");
        }
    }

    #[test]
    fn an_unknown_option_is_refused() {
        assert!(parse_option("inherit-everything").is_err());
        assert!(parse_option("connect=localhost").is_err());
        assert!(matches!(
            parse_option("bind=[::1]:80"),
            Ok(WasiOption::Bind(_))
        ));
    }
}

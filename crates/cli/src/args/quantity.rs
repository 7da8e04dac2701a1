//! Durations and sizes on the command line.

use std::time::Duration;
use tidegate::Limits;

/// `90`, `1.5s`, `250ms`, `1m30s`: a number without a unit counts seconds.
///
/// # Errors
/// Says what a duration looks like.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "expected a duration such as 500ms, 10s or 1m30s";
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(EXPECTED.into());
    }
    while !rest.is_empty() {
        let digits = prefix(rest, |c| c.is_ascii_digit() || c == '.');
        let (number, after) = rest.split_at(digits);
        let letters = prefix(after, char::is_alphabetic);
        let (unit, after) = after.split_at(letters);
        let number: f64 = number.parse().map_err(|_| EXPECTED)?;
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err(format!("unknown unit {unit:?}: {EXPECTED}")),
        };
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| EXPECTED)?;
        total = total.checked_add(part).ok_or(EXPECTED)?;
        rest = after;
    }
    Ok(total)
}

/// `--limit NAME=N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// One of [`Limits::NAMES`].
    pub name: &'static str,
    /// What it is set to.
    pub value: u64,
}

/// `max-handles=2M`: a name, and a number with units as [`parse_bytes`] has them.
///
/// # Errors
/// Says which limits there are.
pub fn parse_limit(text: &str) -> Result<Limit, String> {
    let expected = || {
        format!(
            "expected NAME=N, where NAME is {}",
            Limits::NAMES.join(", ")
        )
    };
    let (name, number) = text.split_once('=').ok_or_else(expected)?;
    let name = Limits::NAMES.iter().find(|known| **known == name);
    Ok(Limit {
        name: name.ok_or_else(expected)?,
        value: parse_bytes(number).map_err(|_| expected())?,
    })
}

/// `65536`, `64K`, `16M`, `2G`: units of 1024, with or without `B` or `iB`.
///
/// # Errors
/// Says what a size looks like.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    const EXPECTED: &str = "expected a number of bytes such as 65536, 64K, 16M or 2G";
    let text = text.trim();
    let (number, unit) = text.split_at(prefix(text, |c| c.is_ascii_digit()));
    let number: u64 = number.parse().map_err(|_| EXPECTED)?;
    let unit = unit.trim().to_ascii_uppercase();
    let shift = match unit
        .strip_suffix("IB")
        .or(unit.strip_suffix('B'))
        .unwrap_or(&unit)
    {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(EXPECTED.into()),
    };
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| EXPECTED.into())
}

/// How many bytes at the start consist of such characters.
fn prefix(text: &str, matches: impl Fn(char) -> bool) -> usize {
    text.find(|c| !matches(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("3"), Ok(Duration::from_secs(3)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        for bad in [
            "",
            "s",
            "1x",
            "-1",
            "1e400",
            "1..2",
            "99999999999999999999h",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad:?} is no duration");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("65536"), Ok(65536));
        assert_eq!(parse_bytes("64K"), Ok(65536));
        assert_eq!(parse_bytes("16MiB"), Ok(16 << 20));
        assert_eq!(parse_bytes("2 gb"), Ok(2 << 30));
        for bad in ["", "K", "-1", "1.5M", "99999999999T"] {
            assert!(parse_bytes(bad).is_err(), "{bad:?} is no size");
        }
    }

    #[test]
    fn limits() {
        let limit = |name, value| Ok(Limit { name, value });
        assert_eq!(parse_limit("max-handles=2M"), limit("max-handles", 2 << 20));
        assert_eq!(parse_limit("max-tasks=7"), limit("max-tasks", 7));
        for bad in [
            "max-handles",
            "handles=1",
            "max-tasks=",
            "max-tasks=many",
            "=1",
        ] {
            assert!(
                parse_limit(bad).unwrap_err().contains("max-handles"),
                "{bad}"
            );
        }
    }
}

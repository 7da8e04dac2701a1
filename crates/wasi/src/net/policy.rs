//! What a guest may do with the network: nothing, unless a rule allows it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use thiserror::Error;

use super::ErrorCode;

/// A range of addresses and ports, such as `10.0.0.0/8:80-443`.
///
/// As text: an address, or `*` for all; optionally `/` and the length of the prefix; optionally `:`
/// and a port, a range of ports or `*`. An IPv6 address with a port is put in brackets. Without
/// ports, all are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `None`: every address of both families.
    network: Option<(IpAddr, u8)>,
    ports: RangeInclusive<u16>,
}

/// Why a text is no [`Rule`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleError {
    /// The part before the ports is neither `*` nor an address.
    #[error(
        "`{0}` is neither an IP address nor `*`; write an IPv6 address with a port as `[::1]:80`"
    )]
    Address(String),
    /// The prefix is no number, or longer than the address.
    #[error("`{0}` is no prefix length of that address")]
    Prefix(String),
    /// The ports are neither a number, a range nor `*`.
    #[error("`{0}` is no port, no range of ports such as `80-90`, and not `*`")]
    Ports(String),
}

impl Rule {
    /// Every address and port.
    pub fn everything() -> Self {
        Self {
            network: None,
            ports: 0..=u16::MAX,
        }
    }

    /// The addresses that share the first `prefix` bits with `address`, at `ports`. A prefix longer
    /// than the address means the address alone.
    pub fn new(address: IpAddr, prefix: u8, ports: RangeInclusive<u16>) -> Self {
        Self {
            network: Some((address, prefix)),
            ports,
        }
    }

    /// Whether `address` is in the range.
    pub fn covers(&self, address: &SocketAddr) -> bool {
        self.ports.contains(&address.port())
            && match self.network {
                None => true,
                Some((network, prefix)) => in_network(address.ip(), network, prefix),
            }
    }
}

fn in_network(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= u32::from(prefix).min(Ipv4Addr::BITS)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= u32::from(prefix).min(Ipv6Addr::BITS)
        }
        _ => false,
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (host, ports) = split_ports(text);
        Ok(Self {
            network: parse_network(host)?,
            ports: ports.map_or(Ok(0..=u16::MAX), parse_ports)?,
        })
    }
}

/// Parts the text at the colon before the ports, if it has one.
fn split_ports(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        // A bare IPv6 address is full of colons.
        Some((host, ports)) if host.ends_with(']') || !host.contains(':') => (host, Some(ports)),
        Some((host, ports)) if host.contains("]/") => (host, Some(ports)),
        _ => (text, None),
    }
}

fn parse_network(host: &str) -> Result<Option<(IpAddr, u8)>, RuleError> {
    if host == "*" {
        return Ok(None);
    }
    let (address, prefix) = match host.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (host, None),
    };
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address);
    let address: IpAddr = bare
        .parse()
        .map_err(|_| RuleError::Address(host.to_owned()))?;
    let longest: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => longest,
        Some(text) => match text.parse() {
            Ok(prefix) if prefix <= longest => prefix,
            _ => return Err(RuleError::Prefix(text.to_owned())),
        },
    };
    Ok(Some((address, prefix)))
}

fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, RuleError> {
    let wrong = || RuleError::Ports(text.to_owned());
    if text == "*" {
        return Ok(0..=u16::MAX);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let first: u16 = first.parse().map_err(|_| wrong())?;
    let last: u16 = last.parse().map_err(|_| wrong())?;
    if first > last {
        return Err(wrong());
    }
    Ok(first..=last)
}

/// What a guest may do with the network.
///
/// Connecting and sending need a rule that covers the remote address, binding one that covers the
/// local address. A UDP socket may also be bound to an unspecified address and port 0, as every
/// client does, if the guest may send to anybody at all: it then hears only from addresses it may
/// send to.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    connect: Vec<Rule>,
    bind: Vec<Rule>,
    lookup: bool,
}

impl Policy {
    /// Nothing is allowed.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Everything is allowed that the host's process may do.
    pub fn everything() -> Self {
        Self::nothing()
            .allow_connect(Rule::everything())
            .allow_bind(Rule::everything())
            .allow_lookup(true)
    }

    /// Allows to connect and send to what `rule` covers.
    pub fn allow_connect(mut self, rule: Rule) -> Self {
        self.connect.push(rule);
        self
    }

    /// Allows to bind to, and so to listen on, what `rule` covers.
    pub fn allow_bind(mut self, rule: Rule) -> Self {
        self.bind.push(rule);
        self
    }

    /// Allows, or not, to have the host look up names.
    pub fn allow_lookup(mut self, allowed: bool) -> Self {
        self.lookup = allowed;
        self
    }

    /// Whether anything at all is allowed.
    pub fn allows_anything(&self) -> bool {
        !self.connect.is_empty() || !self.bind.is_empty() || self.lookup
    }

    pub(super) fn check_connect(&self, remote: &SocketAddr) -> Result<(), ErrorCode> {
        allowed(self.connect.iter().any(|rule| rule.covers(remote)))
    }

    pub(super) fn check_bind_tcp(&self, local: &SocketAddr) -> Result<(), ErrorCode> {
        allowed(self.bind.iter().any(|rule| rule.covers(local)))
    }

    pub(super) fn check_bind_udp(&self, local: &SocketAddr) -> Result<(), ErrorCode> {
        let as_client =
            local.ip().is_unspecified() && local.port() == 0 && !self.connect.is_empty();
        allowed(as_client || self.bind.iter().any(|rule| rule.covers(local)))
    }

    /// Whether a datagram from `remote` may reach a socket at `local`.
    pub(super) fn may_receive(&self, local: &SocketAddr, remote: &SocketAddr) -> bool {
        self.bind.iter().any(|rule| rule.covers(local))
            || self.connect.iter().any(|rule| rule.covers(remote))
    }

    pub(super) fn check_lookup(&self) -> Result<(), ErrorCode> {
        allowed(self.lookup)
    }
}

fn allowed(yes: bool) -> Result<(), ErrorCode> {
    if yes {
        Ok(())
    } else {
        Err(ErrorCode::AccessDenied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(rule: &str, address: &str) -> bool {
        let rule: Rule = rule.parse().unwrap();
        rule.covers(&address.parse().unwrap())
    }

    #[test]
    fn rules_cover_their_prefix_and_ports() {
        assert!(covers("10.0.0.0/8", "10.200.3.4:80"));
        assert!(!covers("10.0.0.0/8", "11.0.0.1:80"));
        assert!(covers("127.0.0.1:80-90", "127.0.0.1:85"));
        assert!(!covers("127.0.0.1:80-90", "127.0.0.1:91"));
        assert!(!covers("127.0.0.1:80", "127.0.0.2:80"));
        assert!(covers("0.0.0.0/0:53", "8.8.8.8:53"));
        assert!(!covers("0.0.0.0/0:53", "[::1]:53"));
        assert!(covers("::1", "[::1]:9"));
        assert!(covers("[2001:db8::]/32:443", "[2001:db8:1::5]:443"));
        assert!(!covers("[2001:db8::]/32:443", "[2001:db9::5]:443"));
        assert!(covers("*:443", "[::1]:443"));
        assert!(covers("*", "1.2.3.4:5"));
    }

    #[test]
    fn malformed_rules_say_which_part_is_wrong() {
        let parse = |text: &str| text.parse::<Rule>().unwrap_err();
        assert!(matches!(parse("example.com:80"), RuleError::Address(_)));
        assert!(matches!(parse(""), RuleError::Address(_)));
        assert!(matches!(parse("10.0.0.0/33"), RuleError::Prefix(_)));
        assert!(matches!(parse("10.0.0.0/x:1"), RuleError::Prefix(_)));
        assert!(matches!(parse("*:90-80"), RuleError::Ports(_)));
        assert!(matches!(parse("*:65536"), RuleError::Ports(_)));
    }

    #[test]
    fn nothing_is_allowed_unless_a_rule_says_so() {
        let address = "127.0.0.1:80".parse().unwrap();
        let nothing = Policy::nothing();
        assert!(!nothing.allows_anything());
        for refused in [
            nothing.check_connect(&address),
            nothing.check_bind_tcp(&address),
            nothing.check_bind_udp(&"0.0.0.0:0".parse().unwrap()),
            nothing.check_lookup(),
        ] {
            assert_eq!(refused, Err(ErrorCode::AccessDenied));
        }
        let some = Policy::nothing().allow_connect("127.0.0.1:80".parse().unwrap());
        assert!(some.check_connect(&address).is_ok());
        assert!(some.check_bind_tcp(&address).is_err());
    }

    #[test]
    fn udp_client_may_bind_to_anything_but_hears_only_from_whom_it_may_send_to() {
        let policy = Policy::nothing().allow_connect("127.0.0.1:53".parse().unwrap());
        let local = "0.0.0.0:0".parse().unwrap();
        assert!(policy.check_bind_udp(&local).is_ok());
        assert!(
            policy
                .check_bind_udp(&"0.0.0.0:99".parse().unwrap())
                .is_err()
        );
        assert!(policy.may_receive(&local, &"127.0.0.1:53".parse().unwrap()));
        assert!(!policy.may_receive(&local, &"127.0.0.1:54".parse().unwrap()));
    }
}

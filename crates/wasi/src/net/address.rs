//! Which addresses make sense where.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ErrorCode;

/// The kind of a socket's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6 alone: no IPv4 address in IPv6's clothing.
    Ipv6,
}

impl Family {
    /// The family `address` is of.
    pub fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// Every address of this host, and a port of its choice: what a socket is bound to that was not
    /// told.
    pub(super) fn any_address(self) -> SocketAddr {
        match self {
            Self::Ipv4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
            Self::Ipv6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
        }
    }

    /// An address a socket of this family may be bound to.
    pub(super) fn check_local(self, address: &SocketAddr) -> Result<(), ErrorCode> {
        self.check_common(address)
    }

    /// An address a socket of this family may send to.
    pub(super) fn check_remote(self, address: &SocketAddr) -> Result<(), ErrorCode> {
        if address.ip().is_unspecified() || address.port() == 0 {
            return Err(ErrorCode::InvalidArgument);
        }
        self.check_common(address)
    }

    fn check_common(self, address: &SocketAddr) -> Result<(), ErrorCode> {
        let mapped = match address {
            SocketAddr::V4(_) => false,
            SocketAddr::V6(v6) => v6.ip().to_ipv4_mapped().is_some(),
        };
        if mapped || Self::of(&address.ip()) != self {
            return Err(ErrorCode::InvalidArgument);
        }
        Ok(())
    }
}

/// An address of one host, as TCP needs it.
pub(super) fn check_unicast(address: &SocketAddr) -> Result<(), ErrorCode> {
    let unicast = match address.ip() {
        IpAddr::V4(v4) => !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_multicast(),
    };
    if unicast {
        Ok(())
    } else {
        Err(ErrorCode::InvalidArgument)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_do_not_mix_and_mapped_addresses_belong_to_none() {
        assert!(Family::Ipv4.check_local(&address("127.0.0.1:0")).is_ok());
        assert!(Family::Ipv6.check_local(&address("[::]:0")).is_ok());
        for wrong in [
            Family::Ipv4.check_local(&address("[::1]:0")),
            Family::Ipv6.check_local(&address("127.0.0.1:0")),
            Family::Ipv6.check_local(&address("[::ffff:127.0.0.1]:0")),
            Family::Ipv6.check_remote(&address("[::ffff:127.0.0.1]:80")),
        ] {
            assert_eq!(wrong, Err(ErrorCode::InvalidArgument));
        }
    }

    #[test]
    fn remote_needs_an_address_and_a_port() {
        assert!(Family::Ipv4.check_remote(&address("127.0.0.1:1")).is_ok());
        for wrong in ["127.0.0.1:0", "0.0.0.0:1"] {
            assert_eq!(
                Family::Ipv4.check_remote(&address(wrong)),
                Err(ErrorCode::InvalidArgument)
            );
        }
        assert_eq!(
            Family::Ipv6.check_remote(&address("[::]:1")),
            Err(ErrorCode::InvalidArgument)
        );
    }

    #[test]
    fn multicast_and_broadcast_are_no_single_host() {
        assert!(check_unicast(&address("10.0.0.1:1")).is_ok());
        for wrong in ["224.0.0.1:1", "255.255.255.255:1", "[ff02::1]:1"] {
            assert_eq!(
                check_unicast(&address(wrong)),
                Err(ErrorCode::InvalidArgument)
            );
        }
    }
}

//! Between the types of `wasi:sockets` and those of the network layer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::super::bindings::wasi::sockets::network;
use super::super::bindings::wasi::sockets::tcp;
use crate::net::{ErrorCode, Family, ShutdownType};

impl From<ErrorCode> for network::ErrorCode {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Unknown => Self::Unknown,
            ErrorCode::AccessDenied => Self::AccessDenied,
            ErrorCode::NotSupported => Self::NotSupported,
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::OutOfMemory => Self::OutOfMemory,
            ErrorCode::Timeout => Self::Timeout,
            ErrorCode::ConcurrencyConflict => Self::ConcurrencyConflict,
            ErrorCode::NotInProgress => Self::NotInProgress,
            ErrorCode::WouldBlock => Self::WouldBlock,
            ErrorCode::InvalidState => Self::InvalidState,
            ErrorCode::NewSocketLimit => Self::NewSocketLimit,
            ErrorCode::AddressNotBindable => Self::AddressNotBindable,
            ErrorCode::AddressInUse => Self::AddressInUse,
            ErrorCode::RemoteUnreachable => Self::RemoteUnreachable,
            ErrorCode::ConnectionRefused => Self::ConnectionRefused,
            // 0.2 has no word for a write that found out.
            ErrorCode::ConnectionBroken | ErrorCode::ConnectionReset => Self::ConnectionReset,
            ErrorCode::ConnectionAborted => Self::ConnectionAborted,
            ErrorCode::DatagramTooLarge => Self::DatagramTooLarge,
            ErrorCode::NameUnresolvable => Self::NameUnresolvable,
            ErrorCode::TemporaryResolverFailure => Self::TemporaryResolverFailure,
            ErrorCode::PermanentResolverFailure => Self::PermanentResolverFailure,
        }
    }
}

impl From<network::IpAddressFamily> for Family {
    fn from(family: network::IpAddressFamily) -> Self {
        match family {
            network::IpAddressFamily::Ipv4 => Self::Ipv4,
            network::IpAddressFamily::Ipv6 => Self::Ipv6,
        }
    }
}

impl From<Family> for network::IpAddressFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::Ipv4,
            Family::Ipv6 => Self::Ipv6,
        }
    }
}

impl From<tcp::ShutdownType> for ShutdownType {
    fn from(which: tcp::ShutdownType) -> Self {
        match which {
            tcp::ShutdownType::Receive => Self::Receive,
            tcp::ShutdownType::Send => Self::Send,
            tcp::ShutdownType::Both => Self::Both,
        }
    }
}

impl From<IpAddr> for network::IpAddress {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::Ipv4(from_v4(v4)),
            IpAddr::V6(v6) => Self::Ipv6(from_v6(v6)),
        }
    }
}

impl From<SocketAddr> for network::IpSocketAddress {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::Ipv4(network::Ipv4SocketAddress {
                port: v4.port(),
                address: from_v4(*v4.ip()),
            }),
            SocketAddr::V6(v6) => Self::Ipv6(network::Ipv6SocketAddress {
                port: v6.port(),
                flow_info: v6.flowinfo(),
                address: from_v6(*v6.ip()),
                scope_id: v6.scope_id(),
            }),
        }
    }
}

impl From<network::IpSocketAddress> for SocketAddr {
    fn from(address: network::IpSocketAddress) -> Self {
        match address {
            network::IpSocketAddress::Ipv4(v4) => {
                let (a, b, c, d) = v4.address;
                Self::V4(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), v4.port))
            }
            network::IpSocketAddress::Ipv6(v6) => {
                let (a, b, c, d, e, f, g, h) = v6.address;
                let address = Ipv6Addr::new(a, b, c, d, e, f, g, h);
                Self::V6(SocketAddrV6::new(
                    address,
                    v6.port,
                    v6.flow_info,
                    v6.scope_id,
                ))
            }
        }
    }
}

fn from_v4(address: Ipv4Addr) -> (u8, u8, u8, u8) {
    let [a, b, c, d] = address.octets();
    (a, b, c, d)
}

fn from_v6(address: Ipv6Addr) -> (u16, u16, u16, u16, u16, u16, u16, u16) {
    let [a, b, c, d, e, f, g, h] = address.segments();
    (a, b, c, d, e, f, g, h)
}

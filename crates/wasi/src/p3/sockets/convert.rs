//! Between the types of `wasi:sockets` and those of the network layer.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use super::super::bindings::wasi::sockets::{ip_name_lookup, types};
use crate::net::{ErrorCode, Family};

impl From<ErrorCode> for types::ErrorCode {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::AccessDenied => Self::AccessDenied,
            ErrorCode::NotSupported => Self::NotSupported,
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::OutOfMemory => Self::OutOfMemory,
            ErrorCode::Timeout => Self::Timeout,
            ErrorCode::InvalidState | ErrorCode::ConcurrencyConflict | ErrorCode::NotInProgress => {
                Self::InvalidState
            }
            ErrorCode::AddressNotBindable => Self::AddressNotBindable,
            ErrorCode::AddressInUse => Self::AddressInUse,
            ErrorCode::RemoteUnreachable => Self::RemoteUnreachable,
            ErrorCode::ConnectionRefused => Self::ConnectionRefused,
            ErrorCode::ConnectionBroken => Self::ConnectionBroken,
            ErrorCode::ConnectionReset => Self::ConnectionReset,
            ErrorCode::ConnectionAborted => Self::ConnectionAborted,
            ErrorCode::DatagramTooLarge => Self::DatagramTooLarge,
            ErrorCode::Unknown => Self::Other(None),
            ErrorCode::WouldBlock
            | ErrorCode::NewSocketLimit
            | ErrorCode::NameUnresolvable
            | ErrorCode::TemporaryResolverFailure
            | ErrorCode::PermanentResolverFailure => Self::Other(Some(code.to_string())),
        }
    }
}

/// How a stream of a socket ended.
impl From<io::Error> for types::ErrorCode {
    fn from(error: io::Error) -> Self {
        match ErrorCode::of_stream(&error) {
            Some(code) => code.into(),
            None => Self::Other(Some(error.to_string())),
        }
    }
}

impl From<ErrorCode> for ip_name_lookup::ErrorCode {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::AccessDenied => Self::AccessDenied,
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::NameUnresolvable => Self::NameUnresolvable,
            ErrorCode::TemporaryResolverFailure => Self::TemporaryResolverFailure,
            ErrorCode::PermanentResolverFailure => Self::PermanentResolverFailure,
            other => Self::Other(Some(other.to_string())),
        }
    }
}

impl From<types::IpAddressFamily> for Family {
    fn from(family: types::IpAddressFamily) -> Self {
        match family {
            types::IpAddressFamily::Ipv4 => Self::Ipv4,
            types::IpAddressFamily::Ipv6 => Self::Ipv6,
        }
    }
}

impl From<Family> for types::IpAddressFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::Ipv4,
            Family::Ipv6 => Self::Ipv6,
        }
    }
}

impl From<IpAddr> for types::IpAddress {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::Ipv4(v4.octets().into()),
            IpAddr::V6(v6) => Self::Ipv6(v6.segments().into()),
        }
    }
}

impl From<SocketAddr> for types::IpSocketAddress {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::Ipv4(types::Ipv4SocketAddress {
                port: v4.port(),
                address: v4.ip().octets().into(),
            }),
            SocketAddr::V6(v6) => Self::Ipv6(types::Ipv6SocketAddress {
                port: v6.port(),
                flow_info: v6.flowinfo(),
                address: v6.ip().segments().into(),
                scope_id: v6.scope_id(),
            }),
        }
    }
}

impl From<types::IpSocketAddress> for SocketAddr {
    fn from(address: types::IpSocketAddress) -> Self {
        match address {
            types::IpSocketAddress::Ipv4(v4) => (<[u8; 4]>::from(v4.address), v4.port).into(),
            types::IpSocketAddress::Ipv6(v6) => {
                let address = <[u16; 8]>::from(v6.address).into();
                SocketAddrV6::new(address, v6.port, v6.flow_info, v6.scope_id).into()
            }
        }
    }
}

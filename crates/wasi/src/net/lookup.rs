//! Looking up the addresses of a name.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{ErrorCode, Policy};
use crate::io::{Readiness, background};

/// A lookup under way, then its results.
pub struct Lookup(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

enum State {
    Pending,
    Addresses(VecDeque<IpAddr>),
    Failed(ErrorCode),
}

/// The longest name that can be looked up, in bytes.
const LONGEST_NAME: usize = 253;

impl Lookup {
    /// Begins to look up `name`: a domain name, which may be written in any script, or an address,
    /// which is its own result.
    ///
    /// # Errors
    /// `InvalidArgument` for what is neither; `AccessDenied`.
    pub fn start(policy: &Policy, name: &str) -> Result<Self, ErrorCode> {
        policy.check_lookup()?;
        if let Some(address) = parse_address(name) {
            return Ok(Self::new(State::Addresses([address].into())));
        }
        let name = ascii_name(name)?;
        let this = Self::new(State::Pending);
        let shared = Arc::clone(&this.0);
        // The system's resolver waits, so it has a thread, which nobody ever waits for.
        background(move || {
            *shared.lock() = resolve(&name);
            shared.changed.notify_waiters();
        })
        .map_err(|_| ErrorCode::TemporaryResolverFailure)?;
        Ok(this)
    }

    fn new(state: State) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            changed: Notify::new(),
        }))
    }

    /// The next address, in the order of preference; `None` after the last one. Never an IPv4
    /// address in IPv6's clothing.
    ///
    /// # Errors
    /// `WouldBlock` while there is no result; `NameUnresolvable`; `TemporaryResolverFailure`;
    /// `PermanentResolverFailure`.
    pub fn next_address(&mut self) -> Result<Option<IpAddr>, ErrorCode> {
        match &mut *self.0.lock() {
            State::Pending => Err(ErrorCode::WouldBlock),
            State::Addresses(addresses) => Ok(addresses.pop_front()),
            State::Failed(code) => Err(*code),
        }
    }

    /// Done once there is a result.
    pub fn ready(&self) -> Readiness {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            loop {
                let mut changed = std::pin::pin!(shared.changed.notified());
                changed.as_mut().enable();
                if !matches!(*shared.lock(), State::Pending) {
                    return;
                }
                changed.await;
            }
        })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse_address(name: &str) -> Option<IpAddr> {
    let bare = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    let address: IpAddr = bare.parse().ok()?;
    // Brackets are for IPv6 only.
    (bare.len() == name.len() || address.is_ipv6()).then(|| address.to_canonical())
}

/// The name in the letters the domain name system knows.
fn ascii_name(name: &str) -> Result<String, ErrorCode> {
    let name = idna::domain_to_ascii_strict(name.strip_suffix('.').unwrap_or(name))
        .or_else(|_| underscored(name))
        .map_err(|_| ErrorCode::InvalidArgument)?;
    let labels_fit = name
        .split('.')
        .all(|label| !label.is_empty() && label.len() <= 63);
    if name.len() <= LONGEST_NAME && labels_fit {
        Ok(name)
    } else {
        Err(ErrorCode::InvalidArgument)
    }
}

/// Underscores are no letters of host names, but names with them are in use.
fn underscored(name: &str) -> Result<String, ErrorCode> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.bytes().all(plain) {
        Ok(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase())
    } else {
        Err(ErrorCode::InvalidArgument)
    }
}

fn resolve(name: &str) -> State {
    match (name, 0).to_socket_addrs() {
        Ok(found) => {
            let mut addresses = VecDeque::new();
            for address in found.map(|address| address.ip().to_canonical()) {
                if !addresses.contains(&address) {
                    addresses.push_back(address);
                }
            }
            if addresses.is_empty() {
                State::Failed(ErrorCode::NameUnresolvable)
            } else {
                State::Addresses(addresses)
            }
        }
        Err(error) => State::Failed(resolver_error(&error)),
    }
}

/// The standard library passes the resolver's reason on as text only.
fn resolver_error(error: &io::Error) -> ErrorCode {
    let text = error.to_string();
    if text.contains("Temporary failure") {
        ErrorCode::TemporaryResolverFailure
    } else if text.contains("Non-recoverable failure") {
        ErrorCode::PermanentResolverFailure
    } else {
        ErrorCode::NameUnresolvable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(name: &str) -> Result<Lookup, ErrorCode> {
        Lookup::start(&Policy::nothing().allow_lookup(true), name)
    }

    #[test]
    fn addresses_are_their_own_result_and_never_mapped() {
        for (name, address) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
        ] {
            let mut lookup = start(name).unwrap();
            assert_eq!(
                lookup.next_address(),
                Ok(Some(address.parse().unwrap())),
                "{name}"
            );
            assert_eq!(lookup.next_address(), Ok(None));
        }
    }

    #[test]
    fn malformed_names_are_invalid() {
        let long = "a".repeat(64);
        for name in [
            "",
            ".",
            "a..b",
            "a b",
            "example.com:80",
            "http://a/",
            "[127.0.0.1]",
            &long,
        ] {
            assert_eq!(
                start(name).err(),
                Some(ErrorCode::InvalidArgument),
                "{name}"
            );
        }
    }

    #[test]
    fn names_are_brought_into_ascii() {
        assert_eq!(
            ascii_name("Bücher.example").unwrap(),
            "xn--bcher-kva.example"
        );
        assert_eq!(
            ascii_name("_dmarc.Example.com.").unwrap(),
            "_dmarc.example.com"
        );
    }

    #[test]
    fn lookup_needs_permission() {
        assert_eq!(
            Lookup::start(&Policy::nothing(), "127.0.0.1").err(),
            Some(ErrorCode::AccessDenied)
        );
    }

    #[tokio::test]
    async fn localhost_resolves_to_loopback() {
        let mut lookup = start("localhost").unwrap();
        lookup.ready().await;
        assert!(lookup.next_address().unwrap().unwrap().is_loopback());
    }
}

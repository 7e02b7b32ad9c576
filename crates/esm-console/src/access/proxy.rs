//! Sign-in by a proxy in front of the console.
//!
//! The proxy signs people in and sends their names in a header. Anybody can write a header, so it is
//! believed from the addresses of the proxy alone.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::header::{HeaderMap, HeaderName};
use esm_core::{Error, Result};

use super::operator::Operator;

/// Characters of a name that a proxy sends, at most.
const NAME: usize = 200;

/// A proxy that signs people in, and the headers in which it says who they are.
///
/// It must remove these headers from what it receives. Where the console is mounted in another server,
/// that server gives it the address of the client as axum's `ConnectInfo<SocketAddr>`; without it nobody
/// is signed in.
#[derive(Debug, Clone)]
pub struct TrustedProxy {
    networks: Vec<Network>,
    user: HeaderName,
    control: Option<(HeaderName, String)>,
}

impl TrustedProxy {
    /// A proxy that sends the name of a person in this header. [`network`](Self::network) says where it
    /// is.
    ///
    /// # Errors
    /// `Invalid` for what is no name of a header.
    pub fn new(user_header: &str) -> Result<Self> {
        Ok(Self {
            networks: Vec::new(),
            user: header(user_header)?,
            control: None,
        })
    }

    /// Adds an address of the proxy, such as `10.1.2.3`, or a network of such addresses, such as
    /// `10.1.2.0/24`.
    ///
    /// # Errors
    /// `Invalid` for what is neither.
    pub fn network(mut self, network: &str) -> Result<Self> {
        self.networks.push(Network::parse(network)?);
        Ok(self)
    }

    /// Permits people of this group to give commands, where the console
    /// [allows](crate::ConsoleOptions::allow_control) any. The header has their groups, separated by
    /// commas. Without a group nobody gives commands.
    ///
    /// # Errors
    /// `Invalid` for what is no name of a header, or no group.
    pub fn control_group(mut self, group_header: &str, group: &str) -> Result<Self> {
        let group = group.trim();
        if group.is_empty() || group.contains(',') {
            return Err(Error::invalid(format!(
                "not the name of a group: {group:?}"
            )));
        }
        self.control = Some((header(group_header)?, group.to_owned()));
        Ok(self)
    }

    /// The person of a request, where the proxy has sent it and says who it is.
    pub(crate) fn operator(&self, request: &Request) -> Option<Operator> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
        let peer = peer.0.ip().to_canonical();
        if !self.networks.iter().any(|network| network.has(peer)) {
            return None;
        }
        let headers = request.headers();
        let name = only(headers, &self.user)?.trim();
        let is_name = !name.is_empty() && name.chars().count() <= NAME;
        let controls = self.control.as_ref().is_some_and(|(header, group)| {
            let groups = only(headers, header).unwrap_or_default();
            groups.split(',').any(|one| one.trim() == group)
        });
        is_name.then(|| Operator::person(name, controls))
    }
}

/// The value of a header that is there once: of two, one may be of somebody else.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => std::str::from_utf8(value.as_bytes()).ok(),
        _ => None,
    }
}

fn header(name: &str) -> Result<HeaderName> {
    name.parse()
        .map_err(|_| Error::invalid(format!("not the name of a header: {name:?}")))
}

/// Addresses with the same beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    /// How many bits are the same.
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!("not an address or a network: {text:?}"))
                .with_hint("expected for example 10.1.2.3, 10.1.2.0/24 or fd00::/8")
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(whole), str::parse).map_err(|_| wrong())?;
        if bits > whole {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }

    fn has(&self, address: IpAddr) -> bool {
        let same = match (self.address, address) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                (one.to_bits() ^ other.to_bits()).leading_zeros()
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => {
                (one.to_bits() ^ other.to_bits()).leading_zeros()
            }
            _ => return false,
        };
        same >= self.bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_begin_alike() {
        for (network, address, has) in [
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.1.2.0/24", "10.1.2.255", true),
            ("10.1.2.0/24", "10.1.3.0", false),
            ("0.0.0.0/0", "255.1.2.3", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
        ] {
            let found = Network::parse(network).unwrap();
            assert_eq!(
                found.has(address.parse().unwrap()),
                has,
                "{network} {address}"
            );
        }
        for wrong in [
            "",
            "10.1.2",
            "10.1.2.0/33",
            "fd00::/129",
            "10.1.2.0/x",
            "10.1.2.0/-1",
            "a/8",
        ] {
            assert!(Network::parse(wrong).is_err(), "{wrong}");
        }
    }
}

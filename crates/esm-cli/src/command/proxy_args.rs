//! Sign-in to the console by a proxy.

use std::net::IpAddr;

use esm_console::{ConsoleOptions, TrustedProxy};
use esm_core::{Error, Result};

/// Sign-in by a proxy, in place of the link.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sign-in by a proxy")]
pub(crate) struct ProxyArgs {
    /// Address or network of a proxy that signs people in, for example 10.1.2.0/24. No link signs in
    /// then, and --listen takes any address. Repeatable.
    #[arg(
        long = "trusted-proxy",
        value_name = "NETWORK",
        conflicts_with = "open"
    )]
    networks: Vec<String>,
    /// Header in which the proxy sends the name of a person.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "X-Forwarded-User",
        requires = "networks"
    )]
    user_header: String,
    /// Header in which the proxy sends the groups of a person, separated by commas.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "X-Forwarded-Groups",
        requires = "networks"
    )]
    group_header: String,
    /// Group whose people may give commands, with --allow-control.
    #[arg(long, value_name = "GROUP", requires_all = ["networks", "allow_control"])]
    control_group: Option<String>,
    /// Show what events contain, which is hidden behind a proxy.
    #[arg(long, requires = "networks", conflicts_with = "hide_payloads")]
    show_payloads: bool,
}

impl ProxyArgs {
    /// Whether a proxy signs people in.
    pub(crate) fn is_used(&self) -> bool {
        !self.networks.is_empty()
    }

    /// # Errors
    /// `Unsupported` for an address that other machines reach, where nobody is signed in by a proxy.
    pub(crate) fn ensure_reachable_by_few(&self, address: IpAddr) -> Result<()> {
        if address.is_loopback() || self.is_used() {
            return Ok(());
        }
        let message = format!("the console listens on loopback addresses alone: {address}");
        Err(Error::unsupported(message).with_hint(
            "from another machine use a tunnel: ssh -L 7717:127.0.0.1:7717 SERVER; or let a proxy \
             sign people in, with --trusted-proxy",
        ))
    }

    /// Adds the proxy to the options of a console.
    ///
    /// # Errors
    /// `Invalid` for what is no network, header or group, and if nobody could give the commands that are
    /// allowed.
    pub(crate) fn apply(
        &self,
        options: ConsoleOptions,
        allows_control: bool,
        masks: bool,
    ) -> Result<ConsoleOptions> {
        if !self.is_used() {
            return Ok(options);
        }
        let mut proxy = TrustedProxy::new(&self.user_header)?;
        for network in &self.networks {
            proxy = proxy.network(network)?;
        }
        match &self.control_group {
            Some(group) => proxy = proxy.control_group(&self.group_header, group)?,
            None if allows_control => {
                let error = Error::invalid("commands are allowed, and nobody may give them");
                return Err(error.with_hint("say who may, with --control-group GROUP"));
            }
            None => {}
        }
        let options = options.trusted_proxy(proxy);
        Ok(if self.show_payloads || masks {
            options
        } else {
            options.hide_payloads()
        })
    }

    /// Who signs people in, in words.
    pub(crate) fn shown(&self) -> String {
        format!(
            "by the proxy at {}, as its header {} says",
            self.networks.join(", "),
            self.user_header
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_listened_on_unless_a_proxy_signs_people_in() {
        let proxy = |networks: &[&str]| ProxyArgs {
            networks: networks.iter().map(|n| (*n).to_owned()).collect(),
            user_header: "x".to_owned(),
            group_header: "y".to_owned(),
            control_group: None,
            show_payloads: false,
        };
        for (address, is_loopback) in [
            ("127.0.0.1", true),
            ("127.8.9.1", true),
            ("::1", true),
            ("0.0.0.0", false),
            ("192.168.0.2", false),
            ("::", false),
        ] {
            let address = address.parse().expect("an address");
            let allowed = proxy(&[]).ensure_reachable_by_few(address).is_ok();
            assert_eq!(allowed, is_loopback, "{address}");
            let behind = proxy(&["10.0.0.0/8"]).ensure_reachable_by_few(address);
            assert!(behind.is_ok(), "{address}");
        }
    }
}

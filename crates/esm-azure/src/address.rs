//! Addresses of stores: a container, and a prefix in it.

use std::fmt;

use esm_cells::Key;
use esm_core::{Error, Result};
use url::Url;

const FORMS: &str = "write az://container/prefix";

/// Where a store is in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) container: String,
    pub(crate) prefix: Key,
}

impl Address {
    /// Whether this text is meant to be such an address.
    pub(crate) fn is_one(text: &str) -> bool {
        ["az:", "azure:", "abfs:", "abfss:"]
            .iter()
            .any(|scheme| text.starts_with(scheme))
    }

    /// # Errors
    /// `Invalid`. What may be secret is not repeated.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if !Self::is_one(text) {
            return Err(
                Error::invalid("store address is not one of Azure's blob storage").with_hint(FORMS),
            );
        }
        let url = Url::parse(text).map_err(|e| {
            Error::invalid("store address is no valid URL")
                .with_source(e)
                .with_hint(FORMS)
        })?;
        if url.query().is_some() || url.fragment().is_some() || url.password().is_some() {
            return Err(
                Error::invalid("store address has a query, a fragment or a password")
                    .with_hint("give credentials in the environment or in code: see docs/azure.md"),
            );
        }
        // abfss://container@account.dfs.core.windows.net/prefix
        let container = match url.username() {
            "" => url.host_str().unwrap_or_default(),
            container => container,
        };
        check_container(container)?;
        let path = url.path().trim_matches('/');
        let prefix = decode(path).filter(|prefix| is_prefix(prefix));
        let prefix = prefix.ok_or_else(|| {
            Error::invalid(format!("store address has an invalid prefix: {path}"))
                .with_hint("use letters, digits, - _ . and single slashes")
        })?;
        Ok(Self {
            container: container.to_owned(),
            prefix: Key::new(&prefix),
        })
    }
}

/// Azure's own rules for the names of containers.
fn check_container(name: &str) -> Result<()> {
    let is_name = (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--");
    if is_name || name == "$root" {
        return Ok(());
    }
    if name.is_empty() {
        return Err(Error::invalid("store address names no container").with_hint(FORMS));
    }
    Err(
        Error::invalid(format!("container has an invalid name: {name:?}")).with_hint(
            "names of containers have 3 to 63 lower-case letters, digits and single dashes",
        ),
    )
}

fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

fn is_prefix(prefix: &str) -> bool {
    prefix.is_empty()
        || prefix.split('/').all(|segment| {
            !segment.is_empty()
                && !matches!(segment, "." | "..")
                && !segment.ends_with('.')
                && !segment.chars().any(|c| c.is_control() || c == '\\')
        })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "az://{}", self.container)?;
        match self.prefix.as_str() {
            "" => Ok(()),
            prefix => write!(f, "/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use esm_core::ErrorKind;

    use super::*;

    #[test]
    fn addresses_name_a_container_and_a_prefix() -> Result<()> {
        for (text, shown) in [
            ("az://events", "az://events"),
            ("az://events/", "az://events"),
            ("azure://events/a/b", "az://events/a/b"),
            ("abfss://events@acc.dfs.core.windows.net/a", "az://events/a"),
            ("az://events/a%20b", "az://events/a b"),
        ] {
            assert_eq!(Address::parse(text)?.to_string(), shown);
        }
        Ok(())
    }

    #[test]
    fn a_wrong_address_is_refused_without_repeating_what_may_be_secret() {
        for text in [
            "",
            "s3://bucket",
            "az:",
            "az://",
            "az:///prefix",
            "az://Events",
            "az://e",
            "az://events/%zz",
            "az://key:SECRET@events/a",
            "az://events/a?sig=SECRET",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Invalid, "{text}");
            assert!(error.hint().is_some(), "{text}");
            assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
        }
    }
}

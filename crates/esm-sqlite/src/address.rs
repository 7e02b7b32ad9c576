//! Addresses: `sqlite:` and the path of a file.

use std::path::{Path, PathBuf};

use esm_core::{Error, Result};

const SCHEME: &str = "sqlite:";
const FORMS: &str = "write sqlite:/path/to/file.db, or sqlite:file.db";

/// Where the file of a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Absolute.
    pub(crate) path: PathBuf,
}

impl Address {
    /// Returns whether this text is meant to be such an address.
    pub(crate) fn is_one(text: &str) -> bool {
        without_scheme(text).is_some()
    }

    /// # Errors
    /// `Invalid`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let invalid = |message: String| Error::invalid(message).with_hint(FORMS);
        let rest = without_scheme(text)
            .ok_or_else(|| invalid("store address does not begin with sqlite:".to_owned()))?;
        // sqlite:///path is the form of a URL
        let path = match rest.strip_prefix("//") {
            Some(path) if path.starts_with('/') => path,
            // before the host may be a password: it is not repeated
            Some(_) => return Err(invalid("address of a SQLite store names a host".to_owned())),
            None => rest,
        };
        if path.is_empty() || path.ends_with('/') || path == ":memory:" {
            return Err(invalid(format!("store address names no file: {text}")));
        }
        if path.contains(['?', '#', '\0']) {
            return Err(invalid(
                "address of a SQLite store has a query, a fragment or a zero byte".to_owned(),
            ));
        }
        let path = std::path::absolute(Path::new(path))
            .map_err(|e| invalid(format!("store address names no path: {text}")).with_source(e))?;
        Ok(Self { path })
    }

    /// Returns the address as it is shown and stored.
    pub(crate) fn text(&self) -> String {
        format!("{SCHEME}{}", self.path.display())
    }
}

/// What is behind the scheme.
fn without_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(rest)
}

#[cfg(test)]
mod tests {
    use esm_core::ErrorKind;

    use super::*;

    #[test]
    fn an_address_names_a_file_by_its_absolute_path() -> Result<()> {
        for text in ["sqlite:/a/b.db", "sqlite:///a/b.db", "SQLite:/a/b.db"] {
            assert_eq!(Address::parse(text)?.text(), "sqlite:/a/b.db");
        }
        let relative = Address::parse("sqlite:shop.db")?.path;
        assert!(relative.is_absolute() && relative.ends_with("shop.db"));
        Ok(())
    }

    #[test]
    fn an_address_that_names_no_file_is_refused() {
        for text in [
            "sqlite:",
            "sqlite:/",
            "sqlite:/a/",
            "sqlite:///",
            "sqlite://host/a.db",
            "sqlite::memory:",
            "sqlite:a.db?mode=ro",
            "file:///a.db",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Invalid, "{text}");
            assert!(error.hint().is_some(), "{text}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        for text in ["sqlite://me:secret@host/a.db", "sqlite:/a.db?key=secret"] {
            let error = format!("{:?}", Address::parse(text).unwrap_err());
            assert!(!error.contains("secret"), "{error}");
        }
    }
}

//! The content of a configuration file.

use std::collections::BTreeMap;

use esm_core::{Error, Result};
use serde::Deserialize;
use toml::Spanned;

use crate::opened;

/// A value, and the line that it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: String,
    pub(super) line: usize,
}

/// The content of a file.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Addresses of stores by name.
    pub(super) stores: BTreeMap<String, Entry>,
    /// Defaults by the name of their option.
    pub(super) defaults: BTreeMap<&'static str, Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    store: Option<Spanned<String>>,
    output: Option<Spanned<String>>,
    progress: Option<Spanned<String>>,
    log: Option<Spanned<String>>,
    #[serde(rename = "log-format")]
    log_format: Option<Spanned<String>>,
    #[serde(rename = "max-event-size")]
    max_event_size: Option<Spanned<String>>,
    #[serde(default)]
    stores: BTreeMap<String, Spanned<String>>,
}

impl Document {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// `Invalid`, with the line, for what is no TOML, an unknown key, a name that is none, and an
    /// address that is malformed or has credentials. No value is part of the message.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let raw: Raw = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            // the whole text of the error quotes the line, which may have a secret
            let what = error
                .message()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            at(line(text, start), Error::invalid(what))
        })?;
        let entry = |value: Spanned<String>| Entry {
            line: line(text, value.span().start),
            value: value.into_inner(),
        };
        let defaults = [
            ("store", raw.store),
            ("output", raw.output),
            ("progress", raw.progress),
            ("log", raw.log),
            ("log-format", raw.log_format),
            ("max-event-size", raw.max_event_size),
        ];
        let defaults = defaults.into_iter();
        let stores = raw
            .stores
            .into_iter()
            .map(|(name, value)| (name, entry(value)));
        let document = Self {
            stores: stores.collect(),
            defaults: defaults
                .filter_map(|(name, value)| Some((name, entry(value?))))
                .collect(),
        };
        for (name, address) in &document.stores {
            check(name, &address.value).map_err(|error| at(address.line, error))?;
        }
        Ok(document)
    }
}

/// Whether a text has the form of a store's name: letters, digits, `-` and `_`.
pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    (1..=64).contains(&text.len())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn check(name: &str, address: &str) -> Result<()> {
    if !is_name(name) {
        let what = format!("not a name of a store: {name:?}");
        return Err(Error::invalid(what).with_hint("use letters, digits, - and _"));
    }
    let mut schemes = ["sqlite:", "file:"].iter();
    let path = schemes.find_map(|scheme| address.strip_prefix(scheme));
    let path = path.or((!address.contains(':')).then_some(address));
    if path.is_some_and(|path| !path.starts_with('/')) {
        let what = format!("the address of {name} is a relative path");
        return Err(Error::invalid(what)
            .with_hint("write file:///path, sqlite:/path, or the scheme of a provider"));
    }
    let checked = opened::absolute(address).map(drop);
    checked.map_err(|error| error.context(format!("the address of {name}")))
}

pub(super) fn at(line: usize, error: Error) -> Error {
    error.context(format!("line {line}"))
}

fn line(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_and_defaults_have_their_lines() -> Result<()> {
        let text = "store = \"shop\"\nlog-format = 'json'\n\n[stores]\nshop = \"s3://b/p\"\n";
        let document = Document::parse(text)?;
        assert_eq!(document.stores["shop"].line, 5);
        assert_eq!(document.stores["shop"].value, "s3://b/p");
        assert_eq!(document.defaults["log-format"].line, 2);
        assert_eq!(document.defaults.len(), 2);
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_without_its_value() {
        for (text, said) in [
            (
                "output = \"text\"\npasword = \"hunter2\"\n",
                "line 2: unknown field `pasword`",
            ),
            (
                "[stores]\na = \"s3://k:hunter2@b/p\"\n",
                "line 2: the address of a",
            ),
            (
                "[stores]\n\na = \"hunter2\"\n",
                "line 3: the address of a is a relative path",
            ),
            (
                "[stores]\n\"a/b\" = \"s3://b/p\"\n",
                "line 2: not a name of a store",
            ),
            ("store = hunter2\n", "line 1: "),
            ("store = 7\n", "line 1: invalid type"),
        ] {
            let error = Document::parse(text).expect_err(said);
            let text = format!("{error} {:?}", error.hint());
            assert!(text.starts_with(said), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}

//! A store that the console shows.

use std::fmt::Write as _;
use std::sync::Arc;

use esm_core::clock::Environment;
use esm_core::id::HolderId;
use esm_core::migration::MigrationService;
use esm_core::router::{ObjectReader, RoutingTable};
use esm_core::store::{BackupProvider, LockProvider, PageLimit, Records, Stores};
use esm_core::{Error, Result};

/// Page size of reads.
const PAGE: PageLimit = PageLimit {
    cells: 16,
    bytes: 1 << 20,
};

/// A store that the console shows, opened.
#[derive(Debug, Clone)]
pub struct Source {
    location: String,
    stores: Stores,
    records: Arc<dyn Records>,
    locks: Arc<dyn LockProvider>,
    backups: Vec<Backups>,
    environment: Environment,
    holder: Option<HolderId>,
}

/// A place of backups.
#[derive(Debug, Clone)]
pub(crate) struct Backups {
    pub(crate) location: String,
    pub(crate) provider: Arc<dyn BackupProvider>,
}

impl Source {
    /// A store at a location, which is shown and must have no secrets. The first of the event stores
    /// is its own; the others are those that its streams have moved to.
    pub fn new(
        location: impl Into<String>,
        stores: impl Into<Stores>,
        records: Arc<dyn Records>,
        locks: Arc<dyn LockProvider>,
    ) -> Self {
        Self {
            location: location.into(),
            stores: stores.into(),
            records,
            locks,
            backups: Vec::new(),
            environment: Environment::system(),
            holder: None,
        }
    }

    /// Adds a place of backups, at a location without secrets.
    #[must_use]
    pub fn with_backups(
        mut self,
        location: impl Into<String>,
        provider: Arc<dyn BackupProvider>,
    ) -> Self {
        self.backups.push(Backups {
            location: location.into(),
            provider,
        });
        self
    }

    /// Sets the clock and the source of randomness. Defaults to those of the system.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets the name of this process.
    #[must_use]
    pub fn with_holder(mut self, holder: HolderId) -> Self {
        self.holder = Some(holder);
        self
    }

    /// Its place in addresses of pages: the end of its store's id.
    pub(crate) fn slug(&self) -> String {
        short(self.stores.home().id())
    }

    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    pub(crate) fn stores(&self) -> &Stores {
        &self.stores
    }

    pub(crate) fn records(&self) -> &Arc<dyn Records> {
        &self.records
    }

    pub(crate) fn locks(&self) -> &Arc<dyn LockProvider> {
        &self.locks
    }

    pub(crate) fn backups(&self) -> &[Backups] {
        &self.backups
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    pub(crate) fn service(&self) -> MigrationService {
        let (records, locks) = (Arc::clone(&self.records), Arc::clone(&self.locks));
        let service = MigrationService::new(self.stores.clone(), records, locks)
            .with_environment(self.environment.clone());
        match &self.holder {
            Some(holder) => service.with_holder(holder.clone()),
            None => service,
        }
    }

    pub(crate) fn reader(&self) -> ObjectReader {
        ObjectReader::new(Arc::clone(&self.records), self.stores.clone()).with_pages(PAGE)
    }

    pub(crate) fn routing(&self) -> RoutingTable {
        RoutingTable::new(Arc::clone(&self.records))
    }

    /// A command of `esm` on this store, as people would type it.
    pub(crate) fn command(&self, command: &str) -> String {
        format!("esm {command} --store {}", quoted(&self.location))
    }

    /// Refuses to show two stores under one address.
    ///
    /// # Errors
    /// `Invalid`, naming the locations.
    pub(crate) fn ensure_apart(sources: &[Self]) -> Result<()> {
        for (at, source) in sources.iter().enumerate() {
            let same = |other: &&Self| other.slug() == source.slug();
            if let Some(other) = sources[..at].iter().find(same) {
                let message = format!(
                    "the same store twice: {} and {}",
                    other.location, source.location
                );
                return Err(Error::invalid(message).with_hint("name each store once"));
            }
        }
        Ok(())
    }
}

/// The end of an id, as commands show and accept it.
pub(crate) fn short(id: impl std::fmt::Display) -> String {
    const SHOWN: usize = 8;
    let id = id.to_string();
    let cut = id.char_indices().rev().nth(SHOWN - 1);
    cut.map_or_else(|| id.clone(), |(at, _)| id[at..].to_owned())
}

/// Text as a part of an address: everything but letters, digits, `-._~` and `/` is escaped.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // writing to a string does not fail
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// A word of a command line, quoted where a shell would change it.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_shells_and_escaped_in_addresses() {
        assert_eq!(encoded("a/b c?#%é"), "a/b%20c%3F%23%25%C3%A9");
        for (word, expected) in [
            ("file:///a/b", "file:///a/b"),
            ("postgres://h/d?schema=x", "'postgres://h/d?schema=x'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}

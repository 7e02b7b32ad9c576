//! The values of the global options, and where they come from.

use std::fmt;
use std::str::FromStr;

use clap::parser::ValueSource;
use clap::{ArgMatches, ValueEnum};
use esm_core::{Error, Result};

use super::document::{at, is_name};
use super::files::{Config, File};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Option,
    Variable(&'static str),
    File { path: String, line: usize },
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option => f.write_str("option"),
            Self::Variable(name) => f.write_str(name),
            Self::File { path, line } => write!(f, "{path}, line {line}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A name of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreName {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) origin: Origin,
}

/// The values of the global options that files can set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    stores: Vec<StoreName>,
    origins: Vec<(&'static str, Origin)>,
}

impl Settings {
    /// The address that a text names: that of the store that has it as its name, else the text
    /// itself.
    pub(crate) fn address<'a>(&'a self, text: &'a str) -> &'a str {
        let found = self.stores.iter().find(|store| store.name == text);
        found.map_or(text, |store| &store.address)
    }

    /// The named stores, in the order of their names.
    pub(crate) fn stores(&self) -> &[StoreName] {
        &self.stores
    }

    /// Where the value of an option comes from.
    pub(crate) fn origin(&self, option: &str) -> Origin {
        let found = self.origins.iter().find(|(name, _)| *name == option);
        found.map_or(Origin::Default, |(_, origin)| origin.clone())
    }
}

/// Finds the values of options that the command line does not give.
pub(crate) struct Finder<'a> {
    config: &'a Config,
    matches: &'a ArgMatches,
    settings: Settings,
}

impl<'a> Finder<'a> {
    pub(crate) fn new(config: &'a Config, matches: &'a ArgMatches) -> Self {
        let stores = config.files.iter().flat_map(|file| {
            file.document.stores.iter().map(|(name, entry)| StoreName {
                name: name.clone(),
                address: entry.value.clone(),
                origin: origin(file, entry.line),
            })
        });
        let mut stores: Vec<_> = stores.collect();
        stores.sort_by(|a, b| a.name.cmp(&b.name));
        let settings = Settings {
            stores,
            origins: Vec::new(),
        };
        Self {
            config,
            matches,
            settings,
        }
    }

    /// The value that a file has for an option, unless the option or its variable is given.
    ///
    /// # Errors
    /// `Invalid`, with file and line, for a value that the option does not take.
    pub(crate) fn find<T>(
        &mut self,
        option: &'static str,
        variable: &'static str,
        parse: impl Fn(&str) -> Result<T>,
    ) -> Result<Option<T>> {
        let (origin, value) = match self.given(option, variable) {
            Some(origin) => (origin, None),
            None => self.in_files(option, parse)?,
        };
        self.settings.origins.push((option, origin));
        Ok(value)
    }

    /// Notes where the value of an option comes from that files do not have.
    pub(crate) fn note(&mut self, option: &'static str, variable: &'static str) {
        let origin = self.given(option, variable).unwrap_or(Origin::Default);
        self.settings.origins.push((option, origin));
    }

    fn given(&self, option: &str, variable: &'static str) -> Option<Origin> {
        match self.matches.value_source(&option.replace('-', "_"))? {
            ValueSource::CommandLine => Some(Origin::Option),
            ValueSource::EnvVariable => Some(Origin::Variable(variable)),
            _ => None,
        }
    }

    fn in_files<T>(
        &self,
        option: &str,
        parse: impl Fn(&str) -> Result<T>,
    ) -> Result<(Origin, Option<T>)> {
        for file in &self.config.files {
            let Some(entry) = file.document.defaults.get(option) else {
                continue;
            };
            let value = parse(&entry.value).map_err(|error| {
                at(entry.line, error.context(option)).context(file.path.display())
            })?;
            return Ok((origin(file, entry.line), Some(value)));
        }
        Ok((Origin::Default, None))
    }

    pub(crate) fn into_settings(self) -> Settings {
        self.settings
    }
}

fn origin(file: &File, line: usize) -> Origin {
    let path = file.path.display().to_string();
    Origin::File { path, line }
}

/// One of the values of an option.
///
/// # Errors
/// `Invalid`, naming those that there are.
pub(crate) fn choice<T: ValueEnum>(text: &str) -> Result<T> {
    T::from_str(text, false).map_err(|_| {
        let values = T::value_variants().iter();
        let names =
            values.filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned()));
        let names: Vec<_> = names.collect();
        Error::invalid(format!("expected one of {}", names.join(", ")))
    })
}

/// A value that is parsed as its option is.
///
/// # Errors
/// Those of parsing.
pub(crate) fn parsed<T: FromStr<Err = Error>>(text: &str) -> Result<T> {
    text.parse()
}

/// The store that a file chooses: an address is checked, a name must be known.
///
/// # Errors
/// `Invalid` for a name that no file defines, and for an address that is malformed.
pub(crate) fn chosen(config: &Config, text: &str) -> Result<String> {
    let known = config
        .files
        .iter()
        .any(|file| file.document.stores.contains_key(text));
    if is_name(text) && !known {
        let hint = "name it under [stores], or write an address";
        return Err(Error::invalid(format!("no store has this name: {text}")).with_hint(hint));
    }
    if !known {
        crate::opened::absolute(text)?;
    }
    Ok(text.to_owned())
}

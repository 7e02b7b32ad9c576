//! The global options, and the types of argument values.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, ValueEnum};
use esm_core::doctor::FindingId;
use esm_core::id::ObjectId;
use esm_core::transform::MaskingKey;
use esm_core::{Error, Result};

use crate::config::{Config, Finder, Settings, choice, chosen, parsed};
use crate::exit;
use crate::output::OutputFormat;
use crate::progress::ProgressMode;

/// Options that every command accepts.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// URL of the store: file:///path, sqlite:/path/file.db, memory:,
    /// postgres://user@host/database?schema=NAME, s3://bucket/prefix, gs://bucket/prefix or
    /// az://container/prefix; postgres://user@host/database for the tables of another library; or
    /// the name of a store in a configuration file.
    ///
    /// Credentials are read from the usual environment variables of the provider (AWS_…, GOOGLE_…,
    /// AZURE_STORAGE_…, PG…).
    #[arg(long, global = true, env = "ESM_STORE", value_name = "URL")]
    pub(crate) store: Option<String>,

    /// URL of another store that streams of this store have moved to, or may move to. Repeatable;
    /// the variable takes a list separated by spaces.
    #[arg(
        id = "other_store",
        long = "other-store",
        global = true,
        env = "ESM_OTHER_STORES",
        value_name = "URL"
    )]
    #[arg(value_delimiter = ' ')]
    pub(crate) other_stores: Vec<String>,

    /// Output format.
    #[arg(long, short, global = true, env = "ESM_OUTPUT", value_name = "FORMAT")]
    #[arg(value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,

    /// File with the secret from which `pseudonym` makes pseudonyms: at least 16 bytes; white space
    /// around it does not count.
    #[arg(long, global = true, env = "ESM_MASKING_KEY", value_name = "FILE")]
    pub(crate) masking_key: Option<PathBuf>,

    /// Print tables without their heading.
    #[arg(long, global = true)]
    pub(crate) no_header: bool,

    /// Progress display, on standard error.
    #[arg(long, global = true, env = "ESM_PROGRESS", value_name = "MODE")]
    #[arg(value_enum, default_value_t = ProgressMode::Auto)]
    pub(crate) progress: ProgressMode,

    /// Log filter: a level, or target=level pairs. Logs go to standard error.
    #[arg(
        long,
        global = true,
        env = "ESM_LOG",
        value_name = "FILTER",
        default_value = "warn"
    )]
    pub(crate) log: String,

    /// Log format.
    #[arg(long, global = true, env = "ESM_LOG_FORMAT", value_name = "FORMAT")]
    #[arg(value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// URL of a collector of OpenTelemetry that receives traces over HTTP, for example
    /// http://localhost:4318. Only where esm was built with the feature `otlp`.
    #[arg(long, global = true, env = "ESM_OTLP", value_name = "URL")]
    pub(crate) otlp: Option<String>,

    /// Maximum size of an event, as a line of NDJSON: bytes, or with KiB, MiB, GiB.
    #[arg(long, global = true, env = "ESM_MAX_EVENT_SIZE", value_name = "SIZE")]
    #[arg(default_value = "8MiB")]
    pub(crate) max_event_size: Size,

    /// The named stores, and where the values above come from.
    #[arg(skip)]
    pub(crate) settings: Arc<Settings>,
}

impl Global {
    /// The key of pseudonyms, if a file has one.
    ///
    /// # Errors
    /// Those of reading the file; `Invalid` for a secret that is too short.
    pub(crate) async fn masking_key(&self) -> Result<Option<MaskingKey>> {
        let Some(path) = &self.masking_key else {
            return Ok(None);
        };
        let shown = path.display();
        let secret = tokio::fs::read(path).await;
        let secret =
            secret.map_err(|e| exit::io(format_args!("reading the masking key {shown}"), e))?;
        let key = MaskingKey::new(&secret).map_err(|e| e.context(shown.to_string()))?;
        Ok(Some(key))
    }

    /// Takes values that the command line and the environment do not give from the configuration
    /// files, and replaces names of stores by their addresses.
    ///
    /// # Errors
    /// `Invalid`, with file and line, for a value that an option does not take.
    pub(crate) fn configure(&mut self, config: &Config, matches: &ArgMatches) -> Result<()> {
        let mut finder = Finder::new(config, matches);
        let store = finder.find("store", "ESM_STORE", |text| chosen(config, text))?;
        self.store = store.or(self.store.take());
        set(
            &mut self.output,
            finder.find("output", "ESM_OUTPUT", choice)?,
        );
        set(
            &mut self.progress,
            finder.find("progress", "ESM_PROGRESS", choice)?,
        );
        let any = |text: &str| Ok(text.to_owned());
        set(&mut self.log, finder.find("log", "ESM_LOG", any)?);
        let format = finder.find("log-format", "ESM_LOG_FORMAT", choice)?;
        set(&mut self.log_format, format);
        let size = finder.find("max-event-size", "ESM_MAX_EVENT_SIZE", parsed)?;
        set(&mut self.max_event_size, size);
        finder.note("other-store", "ESM_OTHER_STORES");
        finder.note("masking-key", "ESM_MASKING_KEY");
        finder.note("no-header", "");
        let settings = finder.into_settings();
        let address = |text: &String| settings.address(text).to_owned();
        self.store = self.store.as_ref().map(address);
        self.other_stores = self.other_stores.iter().map(address).collect();
        self.settings = Arc::new(settings);
        Ok(())
    }
}

fn set<T>(option: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *option = value;
    }
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Readable text.
    Text,
    /// A JSON object per line.
    Json,
}

/// Parses an object id.
///
/// # Errors
/// The message and the hint in one text: clap shows nothing else of an error.
pub(crate) fn object(text: &str) -> Result<ObjectId, String> {
    with_hint(text)
}

/// Parses the id of a finding.
///
/// # Errors
/// As [`object`].
pub(crate) fn finding(text: &str) -> Result<FindingId, String> {
    with_hint(text)
}

fn with_hint<T: FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: Error| match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    })
}

/// Parses a time.
///
/// # Errors
/// The message: clap shows nothing else of an error.
pub(crate) fn time(text: &str) -> Result<jiff::Timestamp, String> {
    let wrong = |_| format!("not a time, expected for example 2026-01-02T03:00:00Z: {text:?}");
    text.parse().map_err(wrong)
}

/// A number of bytes, written `4096`, `512KiB`, `8MiB` or `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "not a size, expected bytes or a number with KiB, MiB or GiB: {text:?}"
            ))
        };
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let factor: u64 = match text[digits.len()..].trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        match number.checked_mul(factor) {
            Some(bytes) if bytes > 0 => Ok(Self(bytes)),
            _ => Err(wrong()),
        }
    }
}

/// A duration, written `45s`, `10m`, `2h` or `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "not a duration, expected for example 45s, 10m, 2h or 30d: {text:?}"
            ))
        };
        let span: jiff::Span = text.parse().map_err(|_| wrong())?;
        let duration = span
            .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
            .map_err(|_| wrong())?;
        Duration::try_from(duration).map(Self).map_err(|_| wrong())
    }
}

/// A `key=value` pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair(pub(crate) String, pub(crate) String);

/// The pairs as a map. If a key is repeated, the last value wins.
pub(crate) fn map(pairs: &[Pair]) -> BTreeMap<String, String> {
    pairs.iter().map(|p| (p.0.clone(), p.1.clone())).collect()
}

impl FromStr for Pair {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self(key.to_owned(), value.to_owned())),
            _ => Err(Error::invalid(format!(
                "not of the form key=value: {text:?}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let size = |text: &str| text.parse::<Size>().ok().map(|s| s.0);
        assert_eq!(size("4096"), Some(4096));
        assert_eq!(size("8MiB"), Some(8 << 20));
        assert_eq!(size("1 GiB"), Some(1 << 30));
        for wrong in ["", "MiB", "0", "-1", "8MB", "99999999999GiB", "1.5MiB"] {
            assert_eq!(size(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn durations_are_read() {
        let seconds = |text: &str| text.parse::<Span>().ok().map(|s| s.0.as_secs());
        assert_eq!(seconds("45s"), Some(45));
        assert_eq!(seconds("10m"), Some(600));
        assert_eq!(seconds("30d"), Some(30 * 86_400));
        for wrong in ["", "45", "-3s", "soon"] {
            assert_eq!(seconds(wrong), None, "{wrong:?}");
        }
    }
}

//! The command line: what all commands share. Each command's own arguments stand in its file.

use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use esm_core::id::ObjectId;
use esm_core::{Error, Result};

use crate::command::Command;
use crate::output::OutputFormat;
use crate::progress::ProgressMode;

const AFTER_HELP: &str = "\
Getting started:
  export ESM_STORE=file:///tmp/esm-demo
  esm import orders.ndjson            # creates the store, one object for each source and subject
  esm list                            # which objects there are
  esm plan --all --transform v2.jq    # what a migration would do; writes nothing
  esm migrate --all --transform v2.jq # copy, transform, verify, cut over
  esm export --all > migrated.ndjson

Exit codes:
  0    done, or nothing to do
  1    failed otherwise
  2    wrong arguments or wrong input
  3    not found
  4    exists already, or changed in the meantime (also: a plan that is out of date)
  5    locked: another process is at work, or took over
  6    verification found a difference; nothing was cut over
  7    a transformation failed on an event; nothing was cut over
  8    storage does not answer, refuses, or is full
  9    stored data is corrupt
  130  stopped on request (Ctrl-C, SIGTERM); what is done is kept, `esm resume` goes on

Of several objects that fail, the first one's failure decides.";

/// Event stream management: move and transform event streams with zero downtime.
///
/// Streams live in a store: a local directory or a bucket, given by --store or ESM_STORE.
#[derive(Debug, Parser)]
#[command(name = "esm", version, after_help = AFTER_HELP, max_term_width = 100)]
#[command(propagate_version = true, infer_subcommands = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The store: file:///path, memory:, s3://bucket/prefix, gs://bucket/prefix or
    /// az://container/prefix.
    ///
    /// Credentials come from the usual environment variables of the provider (AWS_…, GOOGLE_…,
    /// AZURE_STORAGE_…).
    #[arg(long, global = true, env = "ESM_STORE", value_name = "URL")]
    pub(crate) store: Option<String>,

    /// Another store that streams of this one have moved to, or may move to; may be given several
    /// times, and as a list with spaces in the variable.
    #[arg(
        long = "other-store",
        global = true,
        env = "ESM_OTHER_STORES",
        value_name = "URL"
    )]
    #[arg(value_delimiter = ' ')]
    pub(crate) other_stores: Vec<String>,

    /// How results are printed: for people or for programs.
    #[arg(long, short, global = true, env = "ESM_OUTPUT", value_name = "FORMAT")]
    #[arg(value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,

    /// How progress is shown, on standard error.
    #[arg(long, global = true, env = "ESM_PROGRESS", value_name = "MODE")]
    #[arg(value_enum, default_value_t = ProgressMode::Auto)]
    pub(crate) progress: ProgressMode,

    /// What is logged to standard error: a level, or target=level pairs.
    #[arg(
        long,
        global = true,
        env = "ESM_LOG",
        value_name = "FILTER",
        default_value = "warn"
    )]
    pub(crate) log: String,

    /// How log lines look.
    #[arg(long, global = true, env = "ESM_LOG_FORMAT", value_name = "FORMAT")]
    #[arg(value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// The largest event that is accepted, as a line: bytes, or with KiB, MiB, GiB.
    #[arg(long, global = true, env = "ESM_MAX_EVENT_SIZE", value_name = "SIZE")]
    #[arg(default_value = "8MiB")]
    pub(crate) max_event_size: Size,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Reads an object's id, and says how to write one where it is none.
///
/// # Errors
/// The reason and the hint in one text, which is all that clap shows.
pub(crate) fn object(text: &str) -> Result<ObjectId, String> {
    text.parse().map_err(|error: Error| match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    })
}

/// A number of bytes, written `4096`, `512KiB`, `8MiB` or `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "not a size; write bytes, or a number with KiB, MiB or GiB: {text:?}"
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
                "not a duration; write it like 45s, 10m, 2h or 30d: {text:?}"
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
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

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

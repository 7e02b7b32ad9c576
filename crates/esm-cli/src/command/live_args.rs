//! Where the events go, when the cutover comes, and how fast it may go.

use clap::ValueEnum;
use esm_core::migration::{CutoverMode, CutoverOptions, Limit, PublishPhases, SettingsChange};
use esm_core::{Error, Result};
use jiff::Timestamp;

use crate::args::Span;

/// What concerns applications that go on writing meanwhile.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LiveArgs {
    /// Move the events into this store: a URL like that of --store. Documents, journal and locks
    /// stay where they are. Applications must know it before: see --other-store.
    #[arg(long, value_name = "URL", help_heading = "Cutover")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) cutover: CutoverArgs,
    /// Whose phases are published to applications.
    #[arg(long, value_enum, default_value_t = Phases::Large, help_heading = "Cutover")]
    pub(crate) phases: Phases,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// When the cutover comes, and how long it is tried.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CutoverArgs {
    /// Cut over when everything is ready, or only when `esm cutover` says so.
    #[arg(long, value_enum, default_value_t = When::Automatic, help_heading = "Cutover")]
    cutover: When,
    /// Do not cut over before this time, for example 2026-01-02T03:00:00Z.
    #[arg(
        long,
        value_name = "TIME",
        conflicts_with = "cutover",
        help_heading = "Cutover"
    )]
    cutover_after: Option<Timestamp>,
    /// Stop, with everything as it was, when it has not cut over by this time.
    #[arg(
        long,
        value_name = "TIME",
        requires = "cutover_after",
        help_heading = "Cutover"
    )]
    cutover_before: Option<Timestamp>,
    /// Stop, with everything as it was, when nobody said so within this time after it was ready.
    #[arg(long, value_name = "DURATION", help_heading = "Cutover")]
    cutover_wait: Option<Span>,
    /// How often writers may be faster than the cutover before it stops.
    #[arg(long, value_name = "NUMBER", default_value_t = CutoverOptions::default().attempts)]
    #[arg(help_heading = "Cutover")]
    cutover_attempts: u64,
    /// How long it tries to be faster than the writers before it stops.
    #[arg(long, value_name = "DURATION", help_heading = "Cutover")]
    give_up_after: Option<Span>,
}

/// When it cuts over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    /// As soon as it is ready.
    Automatic,
    /// When `esm cutover` says so; until then it keeps catching up.
    Manual,
}

/// Whose phases are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phases {
    /// Streams of 10,000 events and more.
    Large,
    /// All.
    Always,
    /// None.
    Never,
}

impl From<Phases> for PublishPhases {
    fn from(phases: Phases) -> Self {
        match phases {
            Phases::Large => Self::Large,
            Phases::Always => Self::Always,
            Phases::Never => Self::Never,
        }
    }
}

impl CutoverArgs {
    /// When the cutover comes.
    ///
    /// # Errors
    /// `Invalid` for a time to wait where nothing is waited for.
    pub(crate) fn options(&self) -> Result<CutoverOptions> {
        let max_wait = self.cutover_wait.map(|wait| wait.0);
        let mode = match (self.cutover, self.cutover_after) {
            (When::Manual, _) => CutoverMode::Manual { max_wait },
            (When::Automatic, _) if max_wait.is_some() => {
                return Err(
                    Error::invalid("--cutover-wait without --cutover manual").with_hint(
                        "it cuts over as soon as it is ready, so there is nothing to wait for",
                    ),
                );
            }
            (When::Automatic, Some(from)) => CutoverMode::At {
                from,
                until: self.cutover_before,
            },
            (When::Automatic, None) => CutoverMode::Automatic,
        };
        let mut options = CutoverOptions::default().attempts(self.cutover_attempts);
        options.mode = mode;
        options.give_up_after = self.give_up_after.map(|time| time.0);
        Ok(options)
    }
}

/// How fast it may go; each a number, or `unlimited`.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Events copied or compared in a second.
    #[arg(long, value_name = "NUMBER")]
    events_per_second: Option<Limit>,
    /// Bytes of events copied or compared in a second.
    #[arg(long, value_name = "NUMBER")]
    bytes_per_second: Option<Limit>,
    /// Requests to event stores that are under way at the same time.
    #[arg(long, value_name = "NUMBER")]
    requests_in_flight: Option<Limit>,
    /// Slow down while appends to the new streams take longer than this many milliseconds.
    #[arg(long, value_name = "MILLISECONDS")]
    target_latency_ms: Option<Limit>,
}

impl LimitArgs {
    pub(crate) fn change(&self) -> SettingsChange {
        SettingsChange {
            events_per_second: self.events_per_second,
            bytes_per_second: self.bytes_per_second,
            requests_in_flight: self.requests_in_flight,
            target_latency_ms: self.target_latency_ms,
            ..SettingsChange::default()
        }
    }
}

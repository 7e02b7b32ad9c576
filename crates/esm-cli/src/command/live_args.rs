//! The cutover, while applications continue to write.

use clap::ValueEnum;
use esm_core::migration::{CutoverMode, CutoverOptions, MigrationBuilder, PublishPhases};
use esm_core::{Error, Result};
use jiff::Timestamp;

use super::limit_args::{LimitArgs, refuse_lag};
use crate::args::{self, Span};
use crate::migration::Places;
use crate::session::{Access, Session};

/// Options that concern applications which write during the migration.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LiveArgs {
    /// Move the events into this store: a URL as for --store. Documents, journal and locks stay
    /// where they are. Applications must know the store beforehand: see --other-store.
    #[arg(long, value_name = "URL", help_heading = "Cutover")]
    to: Option<String>,
    #[command(flatten)]
    cutover: CutoverArgs,
    /// Streams whose migration phases are published to applications.
    #[arg(long, value_enum, value_name = "STREAMS", default_value_t = Phases::Large)]
    #[arg(help_heading = "Cutover")]
    phases: Phases,
    #[command(flatten)]
    limits: LimitArgs,
}

/// When the cutover happens, and how long it is attempted.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CutoverArgs {
    /// Cut over as soon as the target is ready, or only on `esm cutover`.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = When::Automatic)]
    #[arg(help_heading = "Cutover")]
    cutover: When,
    /// Earliest time of the cutover, for example 2026-01-02T03:00:00Z.
    #[arg(
        long,
        value_name = "TIME",
        value_parser = args::time,
        conflicts_with = "cutover",
        help_heading = "Cutover"
    )]
    cutover_after: Option<Timestamp>,
    /// Latest time of the cutover. After it, the migration stops with the sources still active.
    #[arg(
        long,
        value_name = "TIME",
        value_parser = args::time,
        requires = "cutover_after",
        help_heading = "Cutover"
    )]
    cutover_before: Option<Timestamp>,
    /// Maximum wait for `esm cutover` once the target is ready. After it, the migration stops with
    /// the sources still active.
    #[arg(long, value_name = "DURATION", help_heading = "Cutover")]
    cutover_wait: Option<Span>,
    /// Close attempts lost to concurrent appends before the migration stops.
    #[arg(long, value_name = "NUMBER", default_value_t = CutoverOptions::default().attempts)]
    #[arg(help_heading = "Cutover")]
    cutover_attempts: u64,
    /// How long to retry a cutover that loses to concurrent appends; defaults to unlimited.
    #[arg(long, value_name = "DURATION", help_heading = "Cutover")]
    give_up_after: Option<Span>,
}

/// When the migration cuts over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    /// As soon as the target is ready.
    Automatic,
    /// On `esm cutover`; until then the target keeps catching up.
    Manual,
}

/// Streams whose phases are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Phases {
    /// Streams of 10,000 events or more.
    Large,
    /// All streams.
    Always,
    /// No stream.
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

impl LiveArgs {
    /// Applies the options. The target store is opened as `access` allows.
    ///
    /// # Errors
    /// Those of [`CutoverArgs::options`]; those of opening the target store.
    pub(super) async fn apply(
        &self,
        builder: MigrationBuilder,
        session: &Session,
        access: Access,
    ) -> Result<MigrationBuilder> {
        let cutover = self.cutover.options()?;
        if session.layout().is_none() {
            refuse_lag(&self.limits.change())?;
        }
        let builder = builder
            .cutover(cutover)
            .phases(self.phases.into())
            .limits(self.limits.change());
        match &self.to {
            Some(address) => {
                let (store, location) = session.target_at(address, access).await?;
                Ok(Places::target(builder.to_store(store), location))
            }
            None => Ok(builder),
        }
    }
}

impl CutoverArgs {
    /// The options of the cutover.
    ///
    /// # Errors
    /// `Invalid` for --cutover-wait with an automatic cutover.
    pub(crate) fn options(&self) -> Result<CutoverOptions> {
        let mut options = CutoverOptions::default().attempts(self.cutover_attempts);
        options.mode = self.mode()?;
        options.give_up_after = self.give_up_after.map(|time| time.0);
        Ok(options)
    }

    fn mode(&self) -> Result<CutoverMode> {
        let max_wait = self.cutover_wait.map(|wait| wait.0);
        if self.cutover == When::Manual {
            return Ok(CutoverMode::Manual { max_wait });
        }
        if max_wait.is_some() {
            return Err(
                Error::invalid("--cutover-wait without --cutover manual").with_hint(
                    "an automatic cutover does not wait; add --cutover manual, or leave out \
                     --cutover-wait",
                ),
            );
        }
        Ok(match self.cutover_after {
            Some(from) => CutoverMode::At {
                from,
                until: self.cutover_before,
            },
            None => CutoverMode::Automatic,
        })
    }
}

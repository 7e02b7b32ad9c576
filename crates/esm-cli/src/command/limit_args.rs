//! Limits on the speed of a migration.

use esm_core::migration::{Limit, SettingsChange};
use esm_core::{Error, Result};

/// Each is a number, or `unlimited`.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Maximum events copied or verified per second, or `unlimited`.
    #[arg(long, value_name = "NUMBER")]
    events_per_second: Option<Limit>,
    /// Maximum bytes of events copied or verified per second, or `unlimited`.
    #[arg(long, value_name = "NUMBER")]
    bytes_per_second: Option<Limit>,
    /// Maximum concurrent requests to event stores, or `unlimited`.
    #[arg(long, value_name = "NUMBER")]
    requests_in_flight: Option<Limit>,
    /// Slow down while appends to target streams take longer than this many milliseconds.
    #[arg(long, value_name = "MILLISECONDS")]
    target_latency_ms: Option<Limit>,
    /// For the tables of another library: wait while a replica or a replication slot is behind by more
    /// than this many bytes of the write-ahead log.
    #[arg(long, value_name = "BYTES")]
    max_replication_lag: Option<Limit>,
}

impl LimitArgs {
    /// The given limits; those that are not given remain unchanged.
    pub(crate) fn change(&self) -> SettingsChange {
        SettingsChange {
            events_per_second: self.events_per_second,
            bytes_per_second: self.bytes_per_second,
            requests_in_flight: self.requests_in_flight,
            target_latency_ms: self.target_latency_ms,
            replication_lag_bytes: self.max_replication_lag,
            ..SettingsChange::default()
        }
    }
}

/// Refuses a limit that only the tables of another library have.
///
/// # Errors
/// `Unsupported`.
pub(crate) fn refuse_lag(change: &SettingsChange) -> Result<()> {
    if change.replication_lag_bytes.is_none() {
        return Ok(());
    }
    let message = "--max-replication-lag is for the tables of another library";
    Err(Error::unsupported(message).with_hint("leave it out"))
}

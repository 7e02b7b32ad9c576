//! Limits on the speed of a migration.

use esm_core::migration::{Limit, SettingsChange};

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
}

impl LimitArgs {
    /// The given limits; those that are not given remain unchanged.
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

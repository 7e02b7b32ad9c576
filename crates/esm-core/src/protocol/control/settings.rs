//! How fast and in which portions a migration works: what can be changed while it runs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::protocol::plan::{BulkOptions, CopyOptions};

/// A limit that can be taken away. As text and in JSON a number, or `unlimited`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Limit {
    /// None.
    #[default]
    Unlimited,
    /// At most this many.
    At(u64),
}

impl Limit {
    /// The number, if there is a limit.
    pub fn get(self) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::At(number) => Some(number),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::At(number) => number.fmt(f),
        }
    }
}

impl FromStr for Limit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match (text, text.parse()) {
            ("unlimited", _) => Ok(Self::Unlimited),
            (_, Ok(number)) => Ok(Self::At(number)),
            _ => Err(Error::invalid(format!(
                "a limit is a number or \"unlimited\": {text:?}"
            ))),
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unlimited => serializer.serialize_str("unlimited"),
            Self::At(number) => serializer.serialize_u64(*number),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self::At(number)),
            Written::Word(word) => word.parse().map_err(serde::de::Error::custom),
        }
    }
}

/// How fast and in which portions a migration works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Source events copied or compared in a second, over all objects.
    pub events_per_second: Limit,
    /// Bytes of source events copied or compared in a second, uncompressed, over all objects.
    pub bytes_per_second: Limit,
    /// Requests to event stores that are under way at the same time, over all objects.
    pub requests_in_flight: Limit,
    /// Copying slows down while appends to the target take longer than this, in milliseconds.
    pub target_latency_ms: Limit,
    /// Copying slows down while the appends of applications, where they are observed, take longer
    /// than this, in milliseconds.
    pub observed_latency_ms: Limit,
    /// Rewriting in place waits while a replica or a slot is behind by more than this, in bytes of the
    /// write-ahead log.
    #[serde(skip_serializing_if = "is_unlimited")]
    pub replication_lag_bytes: Limit,
    /// Most events in a target cell.
    pub cell_events: usize,
    /// Most bytes in a target cell, uncompressed.
    pub cell_bytes: u64,
    /// How many objects are worked on at the same time.
    pub concurrency: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let copy = CopyOptions::default();
        let bulk = BulkOptions::default();
        Self {
            events_per_second: Limit::Unlimited,
            bytes_per_second: Limit::Unlimited,
            requests_in_flight: Limit::Unlimited,
            target_latency_ms: Limit::Unlimited,
            observed_latency_ms: Limit::Unlimited,
            replication_lag_bytes: Limit::Unlimited,
            cell_events: copy.cell_events,
            cell_bytes: copy.cell_bytes,
            concurrency: bulk.concurrency,
        }
    }
}

impl Settings {
    /// The longest that an append to the target may take before copying slows down.
    pub fn target_latency(&self) -> Option<Duration> {
        self.target_latency_ms.get().map(Duration::from_millis)
    }

    /// The longest that an observed append may take before copying slows down.
    pub fn observed_latency(&self) -> Option<Duration> {
        self.observed_latency_ms.get().map(Duration::from_millis)
    }
}

fn is_unlimited(limit: &Limit) -> bool {
    *limit == Limit::Unlimited
}

/// What is to be changed of the [`Settings`]; what is absent stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SettingsChange {
    /// See [`Settings::events_per_second`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_per_second: Option<Limit>,
    /// See [`Settings::bytes_per_second`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<Limit>,
    /// See [`Settings::requests_in_flight`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_in_flight: Option<Limit>,
    /// See [`Settings::target_latency_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_latency_ms: Option<Limit>,
    /// See [`Settings::observed_latency_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_latency_ms: Option<Limit>,
    /// See [`Settings::replication_lag_bytes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication_lag_bytes: Option<Limit>,
    /// See [`Settings::cell_events`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell_events: Option<usize>,
    /// See [`Settings::cell_bytes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell_bytes: Option<u64>,
    /// See [`Settings::concurrency`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<usize>,
}

impl SettingsChange {
    /// The settings with this change.
    #[must_use]
    pub fn applied_to(&self, settings: Settings) -> Settings {
        Settings {
            events_per_second: self.events_per_second.unwrap_or(settings.events_per_second),
            bytes_per_second: self.bytes_per_second.unwrap_or(settings.bytes_per_second),
            requests_in_flight: self
                .requests_in_flight
                .unwrap_or(settings.requests_in_flight),
            target_latency_ms: self.target_latency_ms.unwrap_or(settings.target_latency_ms),
            observed_latency_ms: (self.observed_latency_ms).unwrap_or(settings.observed_latency_ms),
            replication_lag_bytes: (self.replication_lag_bytes)
                .unwrap_or(settings.replication_lag_bytes),
            cell_events: self.cell_events.unwrap_or(settings.cell_events),
            cell_bytes: self.cell_bytes.unwrap_or(settings.cell_bytes),
            concurrency: self.concurrency.unwrap_or(settings.concurrency),
        }
    }

    /// # Errors
    /// `Invalid`, naming what must not be zero, or that nothing is changed.
    pub fn check(&self) -> Result<()> {
        if *self == Self::default() {
            return Err(Error::invalid("nothing is to be set")
                .with_hint("name at least one of the settings"));
        }
        let limits = [
            ("events_per_second", self.events_per_second),
            ("bytes_per_second", self.bytes_per_second),
            ("requests_in_flight", self.requests_in_flight),
        ];
        let zero_limit = limits
            .iter()
            .find(|(_, limit)| *limit == Some(Limit::At(0)));
        let numbers = [
            ("cell_events", self.cell_events.map(|n| n as u64)),
            ("cell_bytes", self.cell_bytes),
            ("concurrency", self.concurrency.map(|n| n as u64)),
        ];
        let zero_number = numbers.iter().find(|(_, number)| *number == Some(0));
        let zero = (zero_limit.map(|(name, _)| name)).or(zero_number.map(|(name, _)| name));
        match zero {
            Some(name) => Err(Error::invalid(format!("{name} must not be 0"))
                .with_hint("pause the migration to stop it")),
            None => Ok(()),
        }
    }
}

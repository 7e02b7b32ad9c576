//! What each row may take: kept in a file, and checked by a test.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::Row;
use super::lab::Measured;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/latency-budget.json");

/// The most of each row, by its name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Budget(BTreeMap<String, Allowed>);

/// The most of a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Allowed {
    round_trips: f64,
    requests: f64,
    /// At the same time.
    in_flight: u64,
}

impl Allowed {
    /// What was measured, with one digit behind the point.
    fn of(measured: &Measured) -> Self {
        let rounded = |value: f64| (value * 10.0).ceil() / 10.0;
        Self {
            round_trips: rounded(measured.round_trips),
            requests: rounded(measured.requests),
            in_flight: measured.in_flight,
        }
    }
}

impl Budget {
    /// Allows what was measured.
    pub(super) fn of(rows: &[Row]) -> Self {
        let allowed = |row: &Row| (row.scenario.to_string(), Allowed::of(&row.measured));
        Self(rows.iter().map(allowed).collect())
    }

    /// Reads the file.
    #[cfg(test)]
    fn read() -> Result<Self> {
        let text = std::fs::read(Path::new(FILE)).with_context(|| FILE.to_owned())?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Writes the file.
    pub(super) fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(Path::new(FILE), text + "\n").with_context(|| FILE.to_owned())
    }

    /// What is worse than allowed; nothing if it is not.
    #[cfg(test)]
    fn excess(&self, name: &str, measured: &Measured) -> Option<String> {
        let found = Allowed::of(measured);
        let Some(allowed) = self.0.get(name) else {
            return Some(format!("{name}: no budget"));
        };
        let is_worse = found.round_trips > allowed.round_trips
            || found.requests > allowed.requests
            || found.in_flight > allowed.in_flight;
        is_worse.then(|| format!("{name}: {found:?}, allowed {allowed:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SCENARIOS, measure};
    use super::*;

    #[test]
    fn no_row_takes_more_than_its_budget() -> Result<()> {
        let budget = Budget::read()?;
        let mut excess = Vec::new();
        for scenario in SCENARIOS.iter().filter(|scenario| scenario.is_quick()) {
            let measured = measure(*scenario, false)?;
            excess.extend(budget.excess(&scenario.to_string(), &measured));
        }
        assert!(
            excess.is_empty(),
            "more than benches/latency-budget.json allows:\n{}",
            excess.join("\n")
        );
        Ok(())
    }

    #[test]
    fn every_row_has_a_budget_and_only_those() -> Result<()> {
        let named: Vec<String> = Budget::read()?.0.into_keys().collect();
        let mut rows: Vec<String> = SCENARIOS.iter().map(ToString::to_string).collect();
        rows.sort();
        assert_eq!(named, rows);
        Ok(())
    }

    #[test]
    fn what_takes_more_is_found() {
        let measured = |round_trips, requests, in_flight| Measured {
            round_trips,
            requests,
            in_flight,
        };
        let allowed = Allowed::of(&measured(4.0, 9.0, 4));
        let budget = Budget(BTreeMap::from([("row".to_owned(), allowed)]));
        assert_eq!(budget.excess("row", &measured(4.0, 9.0, 4)), None);
        assert_eq!(budget.excess("row", &measured(3.0, 8.0, 3)), None);
        let worse = [
            measured(4.5, 9.0, 4),
            measured(4.0, 10.0, 4),
            measured(4.0, 9.0, 5),
        ];
        for worse in worse {
            assert!(budget.excess("row", &worse).is_some(), "{worse:?}");
        }
        assert!(budget.excess("another", &measured(0.0, 0.0, 0)).is_some());
    }
}

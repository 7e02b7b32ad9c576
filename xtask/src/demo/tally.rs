//! How many events there are of each type: what the demo's migration is checked by, computed from
//! the sample alone.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Events counted by type and schema version, and the objects that they belong to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tally {
    counts: BTreeMap<(String, u64), usize>,
    objects: BTreeSet<String>,
}

impl Tally {
    /// Counts CloudEvents, one a line.
    pub(super) fn of(lines: &str) -> Result<Self> {
        let mut tally = Self {
            counts: BTreeMap::new(),
            objects: BTreeSet::new(),
        };
        for line in lines.lines() {
            let event: Value = serde_json::from_str(line).context("a line is no event")?;
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            let version = event["schemaversion"].as_u64().unwrap_or(1);
            *tally.counts.entry((text("type"), version)).or_default() += 1;
            tally
                .objects
                .insert(text("source") + "/" + &text("subject"));
        }
        Ok(tally)
    }

    /// What `examples/orders.jq` is to make of it.
    pub(super) fn migrated(&self) -> Self {
        let mut counts = BTreeMap::new();
        for ((event_type, version), count) in &self.counts {
            let becomes: &[(&str, u64)] = match event_type.as_str() {
                "NoteTaken" => &[],
                "OrderPlaced" => &[("OrderPlaced", 2)],
                "OrderShipped" => &[("ParcelPacked", 1), ("ParcelDispatched", 1)],
                other => &[(other, *version)],
            };
            for (event_type, version) in becomes {
                counts.insert(((*event_type).to_owned(), *version), *count);
            }
        }
        Self {
            counts,
            objects: self.objects.clone(),
        }
    }

    pub(super) fn events(&self) -> usize {
        self.counts.values().sum()
    }

    pub(super) fn objects(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn of_type(&self, event_type: &str) -> usize {
        let matching = self.counts.iter().filter(|((t, _), _)| t == event_type);
        matching.map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_splits_and_versions_are_counted() -> Result<()> {
        let before = Tally::of(
            "{\"source\":\"o\",\"subject\":\"1\",\"type\":\"OrderPlaced\",\"schemaversion\":1}\n\
             {\"source\":\"o\",\"subject\":\"1\",\"type\":\"NoteTaken\"}\n\
             {\"source\":\"o\",\"subject\":\"1\",\"type\":\"OrderShipped\"}\n",
        )?;
        let after = before.migrated();
        assert_eq!((before.events(), before.objects()), (3, 1));
        assert_eq!(after.events(), 3);
        assert_eq!(after.of_type("NoteTaken"), 0);
        assert_eq!(after.counts[&("OrderPlaced".to_owned(), 2)], 1);
        assert_eq!(after.of_type("ParcelPacked"), 1);
        Ok(())
    }
}

//! The demo's sample: the orders of a small shop, made up, the same on every machine.
//!
//! Events stand in the order in which they happened, as a shop would export them, so the orders
//! interleave.

mod dice;
mod order;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::project;
use dice::Dice;

const ORDERS: u64 = 320;

/// The path of the sample.
pub(crate) fn path() -> PathBuf {
    project::root().join("examples/orders.ndjson")
}

/// Writes the sample.
pub(crate) fn run() -> Result<()> {
    let text = text();
    fs::write(path(), &text)?;
    println!("{} events in {}", text.lines().count(), path().display());
    Ok(())
}

fn text() -> String {
    let mut dice = Dice::new(2025);
    let mut events: Vec<order::Entry> = (0..ORDERS)
        .flat_map(|index| order::life(1001 + index, &mut dice))
        .collect();
    events.sort_by_key(|event| (event.at, event.order, event.sequence));
    events.iter().fold(String::new(), |mut text, event| {
        writeln!(text, "{event}").unwrap_or_else(|_| unreachable!("a String takes every text"));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeMap;

    #[test]
    fn the_sample_that_is_checked_in_is_the_one_made_here() -> Result<()> {
        let stands = fs::read_to_string(path())?;
        assert!(stands == text(), "run `cargo xtask sample`");
        Ok(())
    }

    #[test]
    fn every_order_is_numbered_without_gaps_and_has_a_history() -> Result<()> {
        let mut next = BTreeMap::<String, u64>::new();
        let mut types = BTreeMap::<String, usize>::new();
        for line in text().lines() {
            let event: Value = serde_json::from_str(line)?;
            let subject = event["subject"].as_str().unwrap_or_default().to_owned();
            let expected = next.entry(subject).or_default();
            assert_eq!(event["sequence"], expected.to_string(), "{line}");
            *expected += 1;
            *types
                .entry(event["type"].as_str().unwrap_or_default().to_owned())
                .or_default() += 1;
        }
        assert_eq!(next.len() as u64, ORDERS);
        assert!(next.values().all(|events| *events >= 2), "{next:?}");
        assert!(types.values().all(|events| *events >= 10), "{types:?}");
        Ok(())
    }
}

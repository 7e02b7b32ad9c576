//! The count of what a transformation did.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::event::{Event, Schema};
use crate::transform::mapper::{Failure, Fate, Mapped};

/// What became of the events of a source, counted.
///
/// # Guarantees
/// 1. It [balances](Self::balances): every source event that was recorded is mapped, dropped or
///    failed, and exactly one of them.
/// 2. Its size does not grow with the number of events: at most
///    [`MAX_FAILURES`](Self::MAX_FAILURES) different failures are kept whole, at most
///    [`MAX_RULES`](Self::MAX_RULES) rules are counted by name, and schemas are named once.
/// 3. Merging the ledgers of the parts of a source, in order, gives the ledger of the whole, as
///    long as there are no more rules and no more different failures than that.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Number of source events.
    pub source: u64,
    /// Of them, those that stayed as they are.
    pub unchanged: u64,
    /// Of them, those that became one other event.
    pub changed: u64,
    /// Of them, those that became several events.
    pub split: u64,
    /// Of them, those that were left out, by rule.
    #[serde(default)]
    pub dropped: BTreeMap<String, u64>,
    /// Of them, those that could not be transformed, by rule.
    #[serde(default)]
    pub failed: BTreeMap<String, u64>,
    /// Number of events that the target gets.
    pub outputs: u64,
    /// The first of each kind of failure, with the number of events that fail like it.
    #[serde(default)]
    pub failures: Vec<Failure>,
    /// The schemas of source events that were changed or dropped ([R11](crate::protocol#r11)).
    #[serde(default)]
    pub retired: BTreeSet<Schema>,
    /// The retired schemas that outputs have all the same: old and new code's appends cannot be
    /// distinguished by them ([R11](crate::protocol#r11)).
    #[serde(default)]
    pub reused: BTreeSet<Schema>,
}

impl Ledger {
    /// Number of different failures that are kept whole.
    pub const MAX_FAILURES: usize = 100;
    /// Number of rules that are counted by name; the rest count as
    /// [`OTHER_RULES`](Self::OTHER_RULES).
    pub const MAX_RULES: usize = 256;
    /// The name under which rules beyond [`MAX_RULES`](Self::MAX_RULES) are counted.
    pub const OTHER_RULES: &str = "(other rules)";

    /// Nothing recorded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records what became of this source event.
    pub fn record(&mut self, event: &Event, mapped: &Mapped) {
        self.record_schema(&event.schema(), mapped);
    }

    /// Records what became of a source event of this schema.
    pub fn record_schema(&mut self, schema: &Schema, mapped: &Mapped) {
        self.source += 1;
        self.outputs += mapped.outputs.len() as u64;
        match &mapped.fate {
            Fate::Unchanged => self.unchanged += 1,
            Fate::Changed => self.changed += 1,
            Fate::Split => self.split += 1,
            Fate::Dropped { rule } => count(&mut self.dropped, rule, 1),
        }
        if mapped.retires() && !self.retired.contains(schema) {
            self.retired.insert(schema.clone());
        }
        if mapped.reuses(schema) && !self.reused.contains(schema) {
            self.reused.insert(schema.clone());
        }
    }

    /// Records a source event that could not be transformed.
    pub fn record_failure(&mut self, failure: Failure) {
        self.source += 1;
        count(&mut self.failed, &failure.rule, 1);
        self.add_failure(failure);
    }

    fn add_failure(&mut self, failure: Failure) {
        if let Some(kept) = self.failures.iter_mut().find(|kept| kept.is_like(&failure)) {
            kept.count += failure.count;
        } else if self.failures.len() < Self::MAX_FAILURES {
            self.failures.push(failure);
        }
    }

    /// Adds the ledger of the part that follows.
    pub fn merge(&mut self, next: &Self) {
        self.source += next.source;
        self.unchanged += next.unchanged;
        self.changed += next.changed;
        self.split += next.split;
        self.outputs += next.outputs;
        for (mine, theirs) in [
            (&mut self.dropped, &next.dropped),
            (&mut self.failed, &next.failed),
        ] {
            for (rule, times) in theirs {
                count(mine, rule, *times);
            }
        }
        for failure in &next.failures {
            self.add_failure(failure.clone());
        }
        self.retired.extend(next.retired.iter().cloned());
        self.reused.extend(next.reused.iter().cloned());
    }

    /// Number of source events that have an output.
    pub fn mapped(&self) -> u64 {
        self.unchanged + self.changed + self.split
    }

    /// Number of source events that were left out.
    pub fn dropped(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Number of source events that could not be transformed.
    pub fn failed(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Whether mapped + dropped + failed = source, and the outputs are as many as the mapped ones
    /// need. `false` says that a ledger that was read is damaged.
    pub fn balances(&self) -> bool {
        let whole = self.unchanged + self.changed;
        let outputs_fit = match self.split {
            0 => self.outputs == whole,
            split => self.outputs >= whole + 2 * split,
        };
        outputs_fit && self.mapped() + self.dropped() + self.failed() == self.source
    }
}

fn count(rules: &mut BTreeMap<String, u64>, rule: &str, times: u64) {
    if let Some(counted) = rules.get_mut(rule) {
        *counted += times;
        return;
    }
    let name = if rules.len() < Ledger::MAX_RULES {
        rule
    } else {
        Ledger::OTHER_RULES
    };
    *rules.entry(name.to_owned()).or_default() += times;
}

#[cfg(test)]
mod tests;

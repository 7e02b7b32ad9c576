//! What was tried and what was found.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde_json::{Value, json};

/// A fault of esm.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    /// Findings of one kind are counted together.
    pub(crate) kind: String,
    pub(crate) happened: String,
    pub(crate) right: String,
    /// The command that repeats it.
    pub(crate) again: String,
}

/// What one part of the attack tried and found.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) part: &'static str,
    pub(crate) rounds: u64,
    /// Other numbers worth knowing, by name.
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) findings: Vec<Finding>,
    /// What could not be tried on this machine, and why.
    pub(crate) left_out: Vec<String>,
    pub(crate) seconds: f64,
}

impl Tally {
    pub(crate) fn of(part: &'static str) -> Self {
        Self {
            part,
            ..Self::default()
        }
    }

    pub(crate) fn count(&mut self, name: &str) {
        *self.counts.entry(name.to_owned()).or_default() += 1;
    }

    /// Adds what a worker tried and found.
    pub(crate) fn add(&mut self, other: Self) {
        self.rounds += other.rounds;
        for (name, count) in other.counts {
            *self.counts.entry(name).or_default() += count;
        }
        self.findings.extend(other.findings);
        self.left_out.extend(other.left_out);
    }

    /// The first finding of each kind, and how many there are of it.
    fn kinds(&self) -> BTreeMap<&str, (&Finding, usize)> {
        let mut kinds = BTreeMap::new();
        for finding in &self.findings {
            let (_, count) = kinds.entry(&*finding.kind).or_insert((finding, 0));
            *count += 1;
        }
        kinds
    }

    pub(crate) fn to_json(&self) -> Value {
        let finding = |(kind, (first, count)): (&str, (&Finding, usize))| {
            json!({
                "kind": kind, "count": count, "happened": first.happened, "right": first.right,
                "again": first.again,
            })
        };
        json!({
            "part": self.part, "rounds": self.rounds, "counts": self.counts,
            "findings": self.kinds().into_iter().map(finding).collect::<Vec<_>>(),
            "left_out": self.left_out, "seconds": self.seconds,
        })
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (part, rounds, seconds) = (self.part, self.rounds, self.seconds);
        let findings = self.findings.len();
        write!(f, "{part:<10} {rounds:>7} {findings:>9} {seconds:>8.1}")?;
        for (name, count) in &self.counts {
            write!(f, "  {name} {count}")?;
        }
        for reason in &self.left_out {
            write!(f, "\n  left out: {reason}")?;
        }
        for (kind, (first, count)) in self.kinds() {
            write!(f, "\n  FINDING {kind} ({count})")?;
            write!(f, "\n    happened: {}", first.happened)?;
            write!(f, "\n    right:    {}", first.right)?;
            write!(f, "\n    again:    {}", first.again)?;
        }
        Ok(())
    }
}

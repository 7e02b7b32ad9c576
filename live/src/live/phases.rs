//! Which append belongs to which phase.

use std::collections::BTreeSet;

use esm_core::id::StreamId;

use super::timeline::Marks;
use crate::check::Found;
use crate::history::{Attempt, Told};

/// What happens while an append is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Nothing but other appends.
    Quiet,
    /// A plain copy of all files.
    PlainCopy,
    /// The migrator copies and verifies; no stream is closed yet.
    Migrating,
    /// From the first append that met a Close to the last one, at least until the migrator ended.
    Cutover,
    /// The migrator has ended.
    After,
}

impl Phase {
    pub(super) const ALL: [Self; 5] = [
        Self::Quiet,
        Self::PlainCopy,
        Self::Migrating,
        Self::Cutover,
        Self::After,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::PlainCopy => "a plain copy beside",
            Self::Migrating => "migrating, before the first cutover",
            Self::Cutover => "across the cutovers",
            Self::After => "after",
        }
    }
}

/// An acknowledged append, as it is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) phase: Phase,
    /// When it was sent, in nanoseconds.
    pub(super) at: u64,
    pub(super) nanoseconds: u64,
    pub(super) requests: u64,
    /// The first of its application to its object that went to the new stream.
    pub(super) redirected: bool,
}

/// A run, measured and checked.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) marks: Marks,
    pub(super) found: Found,
    /// In the order in which they were sent.
    pub(super) samples: Vec<Sample>,
    /// Appends in conflict, by phase.
    pub(super) conflicts: Vec<Phase>,
    /// When the first append went to a new stream.
    pub(super) first_cutover: u64,
}

impl Run {
    pub(super) fn new(marks: Marks, found: Found, told: Told) -> Self {
        let moved = |attempt: &&Attempt| {
            let position = attempt.acknowledged();
            position.is_some_and(|p| p.stream != StreamId::first(&attempt.object))
        };
        let first = told.attempts.iter().filter(moved).map(|a| a.invoked).min();
        let first_cutover = first.unwrap_or(marks.migrated).min(marks.migrated);
        let mut attempts: Vec<_> = told.attempts.iter().collect();
        attempts.sort_by_key(|attempt| attempt.invoked);
        let (mut samples, mut conflicts) = (Vec::new(), Vec::new());
        let mut crossed = BTreeSet::new();
        for attempt in attempts {
            let Some(phase) = marks.phase(attempt.invoked, first_cutover) else {
                continue;
            };
            if attempt.in_conflict() {
                conflicts.push(phase);
            }
            let (Some(_), Some(answered)) = (attempt.acknowledged(), &attempt.answered) else {
                continue;
            };
            let who = (attempt.batch.writer, attempt.object.clone());
            samples.push(Sample {
                phase,
                at: attempt.invoked,
                nanoseconds: answered.nanoseconds,
                requests: answered.requests,
                redirected: moved(&attempt) && crossed.insert(who),
            });
        }
        Self {
            marks,
            found,
            samples,
            conflicts,
            first_cutover,
        }
    }

    /// The samples of a phase.
    pub(super) fn of(&self, phase: Phase) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.phase == phase)
    }
}

impl Marks {
    fn phase(&self, at: u64, first_cutover: u64) -> Option<Phase> {
        let phases = [
            (self.quiet..self.copying, Phase::Quiet),
            (self.copying..self.copied, Phase::PlainCopy),
            (self.migrating..first_cutover, Phase::Migrating),
            (first_cutover..self.migrated, Phase::Cutover),
            (self.migrated..self.end, Phase::After),
        ];
        let found = phases.into_iter().find(|(range, _)| range.contains(&at));
        found.map(|(_, phase)| phase)
    }
}

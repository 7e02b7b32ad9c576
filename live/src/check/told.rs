//! What an application was told of a place, against what stands there.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};
use esm_core::event::Position;
use esm_core::id::EventId;

use super::chain::Chain;
use crate::history::{Attempt, Seen};

/// Checks each acknowledged append at its place, each conflict for its cause, and each read.
pub(super) fn check(chain: &Chain, attempts: &[&Attempt], reads: &[&[Seen]]) -> Result<()> {
    let mut owners = HashMap::new();
    for attempt in attempts {
        for index in 0..attempt.batch.count {
            owners.insert(attempt.batch.id(index)?, *attempt);
        }
        if let Some(position) = attempt.acknowledged() {
            stands(chain, attempt, position)?;
        }
    }
    for attempt in attempts.iter().filter(|attempt| attempt.in_conflict()) {
        has_cause(chain, attempt, &owners)
            .with_context(|| format!("append {:?} failed", attempt.batch))?;
    }
    for seen in reads.iter().copied().flatten() {
        let there = chain.after(&seen.position)?.map(|(event, _)| &event.id);
        ensure!(
            there == Some(&seen.id),
            "{} was read at {}, where {there:?} stands",
            seen.id,
            seen.position
        );
    }
    Ok(())
}

/// An acknowledged append stands where its application was told, as it was given.
fn stands(chain: &Chain, attempt: &Attempt, first: &Position) -> Result<()> {
    for (offset, event) in attempt.batch.events()?.into_iter().enumerate() {
        let place = Position {
            revision: first.revision.plus(offset as u64),
            ..first.clone()
        };
        let there = chain.after(&place)?;
        ensure!(
            there == Some((&event, true)),
            "{} was acknowledged at {place}, where stands {there:?}",
            event.id
        );
    }
    Ok(())
}

/// A conflict is no failure if another's append stands where this one was to stand, and had been
/// sent before the conflict was told.
fn has_cause(chain: &Chain, attempt: &Attempt, owners: &HashMap<EventId, &Attempt>) -> Result<()> {
    let Some(expected) = &attempt.expected else {
        bail!("it had no expected position, and cannot be in conflict");
    };
    let there = chain.after(expected)?;
    let (event, by_application) = there
        .with_context(|| format!("nothing stands at {expected}, so nothing is in conflict"))?;
    ensure!(
        by_application,
        "at {expected} stands {}, which no application put there",
        event.id
    );
    let owner = owners
        .get(&event.id)
        .with_context(|| format!("nobody appended {}", event.id))?;
    let told = attempt.answered.as_ref().map_or(0, |answered| answered.at);
    ensure!(
        owner.batch != attempt.batch && owner.invoked <= told,
        "{} stands at {expected}, and is no reason for a conflict",
        event.id
    );
    Ok(())
}

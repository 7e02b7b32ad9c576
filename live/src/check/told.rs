//! Checks the responses to appends against what is stored at the positions that they name.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};
use esm_core::event::{Event, Position};
use esm_core::id::EventId;

use super::Images;
use super::chain::Chain;
use crate::history::Attempt;

/// Checks each acknowledged append at its place, and each conflict for its cause.
pub(super) fn check_appends(
    chain: &Chain,
    images: Images<'_>,
    attempts: &[&Attempt],
) -> Result<()> {
    let mut owners = HashMap::new();
    for attempt in attempts {
        let events = attempt.batch.events()?;
        if let Some(position) = attempt.acknowledged() {
            match chain.of(position)?.way() {
                Some(way) => stand(chain, &images.all(way, &events)?, position)?,
                None => stand(chain, &events, position)?,
            }
        }
        for event in &events {
            let possible = images.possible(event)?.into_iter().flatten();
            owners.extend(possible.map(|image| (image.id, *attempt)));
        }
    }
    for attempt in attempts.iter().filter(|attempt| attempt.in_conflict()) {
        has_cause(chain, attempt, &owners)
            .with_context(|| format!("append {:?} failed", attempt.batch))?;
    }
    Ok(())
}

/// Checks that acknowledged events are stored at the acknowledged positions.
fn stand(chain: &Chain, events: &[Event], first: &Position) -> Result<()> {
    for (offset, event) in events.iter().enumerate() {
        let place = Position {
            revision: first.revision.plus(offset as u64),
            ..first.clone()
        };
        let there = chain.after(&place)?;
        ensure!(
            there == Some((event, true)),
            "{} was acknowledged at {place}, where {there:?} is stored",
            event.id
        );
    }
    Ok(())
}

/// Checks that a conflict has a cause: another append is stored at the expected position, and was
/// sent before the conflict was returned.
fn has_cause(chain: &Chain, attempt: &Attempt, owners: &HashMap<EventId, &Attempt>) -> Result<()> {
    let Some(expected) = &attempt.expected else {
        bail!("it had no expected position, and cannot be in conflict");
    };
    let there = chain.after(expected)?;
    let (event, by_application) = there
        .with_context(|| format!("nothing is stored at {expected}, so nothing is in conflict"))?;
    ensure!(
        by_application,
        "at {expected} is {}, which no application appended there",
        event.id
    );
    let owner = owners
        .get(&event.id)
        .with_context(|| format!("nobody appended {}", event.id))?;
    let told = attempt.answered.as_ref().map_or(0, |answered| answered.at);
    ensure!(
        owner.batch != attempt.batch && owner.invoked <= told,
        "{} is stored at {expected}, and is no cause of the conflict",
        event.id
    );
    Ok(())
}

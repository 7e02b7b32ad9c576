//! Prefixes of histories, transformed without a storage.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use esm_core::clock::Randomness as _;
use esm_core::event::{Event, Revision};
use esm_core::id::ObjectId;
use esm_core::transform::Mapper;

use super::World;
use crate::SeededRandomness;

/// Of a longer history this many prefixes are checked, not every one.
const MOST: usize = 256;

/// Checks the transformer and compares the folds of every prefix, including the empty one. Returns
/// the number of prefixes.
pub(super) fn check(world: &World) -> Result<u64, String> {
    let mapper = Mapper::new(Arc::clone(&world.transformer)).checking_determinism();
    let mut ids = HashSet::new();
    let mut checked = 0;
    for (object, events) in &world.objects {
        for event in events {
            if !ids.insert(&event.id) {
                return Err(format!("two old events have one id: {}", event.id));
            }
        }
        let images = images(&mapper, object, events)?;
        let (mut new, mut next) = (Vec::new(), 0);
        for count in beginnings(events.len(), world.seed) {
            new.extend(images[next..count].iter().flatten().cloned());
            next = count;
            let compared = world.folds.compare(&events[..count], &new);
            compared.map_err(|what| format!("{object}, its first {count} events: {what}"))?;
            checked += 1;
        }
    }
    Ok(checked)
}

/// The images of each event.
fn images(mapper: &Mapper, object: &ObjectId, events: &[Event]) -> Result<Vec<Vec<Event>>, String> {
    let mut ids = HashSet::new();
    let mut images = Vec::new();
    for (revision, event) in (0..).map(Revision).zip(events) {
        let map = |revision| {
            let mapped = mapper.map(object, revision, event);
            mapped.map_err(|failure| failure.to_string())
        };
        let outputs = map(revision)?.outputs;
        if outputs != map(Revision::START)?.outputs {
            return Err(format!(
                "the transformation depends on the revision, which an application that appends \
                 does not know: {}",
                event.id
            ));
        }
        for output in &outputs {
            if !ids.insert(output.id.clone()) {
                let (id, of) = (&output.id, &event.id);
                return Err(format!("an output of {of} has the id of another: {id}"));
            }
        }
        images.push(outputs);
    }
    Ok(images)
}

/// Returns the lengths of the prefixes, in order.
fn beginnings(length: usize, seed: u64) -> BTreeSet<usize> {
    if length < MOST {
        return (0..=length).collect();
    }
    let randomness = SeededRandomness::new(seed);
    let random = (0..MOST).map(|_| (randomness.draw() % length as u128) as usize);
    random.chain([0, 1, length]).collect()
}

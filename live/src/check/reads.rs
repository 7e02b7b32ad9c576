//! What applications read and loaded on the way.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use esm_core::RollingHash;
use esm_core::event::{Event, Position};
use esm_core::id::StreamId;

use super::chain::{Chain, Link};
use super::{Images, Way};
use crate::history::{Loaded, Seen};

/// Checks that every event that was read is stored where it was read.
pub(super) fn check_reads<'a>(
    chain: &Chain,
    reads: impl Iterator<Item = &'a [Seen]>,
) -> Result<()> {
    for seen in reads.flatten() {
        let there = chain.after(&seen.position)?.map(|(event, _)| &event.id);
        ensure!(
            there == Some(&seen.id),
            "{} was read at {}, where {there:?} is stored",
            seen.id,
            seen.position
        );
    }
    Ok(())
}

/// What was loaded with a position is the state at that position: made of the events before it; of
/// those of a stream that was closed while it was read, and what came since (R14); or, where a
/// migration let its target be read, of the images of the events before it (R15).
pub(super) fn check_loads<'a>(
    chain: &Chain,
    images: Images<'_>,
    loads: impl Iterator<Item = &'a Loaded>,
) -> Result<()> {
    let states = states(chain, images)?;
    for loaded in loads {
        let Position { stream, revision } = &loaded.position;
        let there = states.get(&(stream, revision.0));
        let state = State(loaded.events, loaded.hash);
        ensure!(
            there.is_some_and(|there| there.contains(&state)),
            "what was loaded at {} is not the state there: {} events",
            loaded.position,
            loaded.events
        );
    }
    Ok(())
}

/// How many events, and all their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State(u64, RollingHash);

impl State {
    fn begin() -> Self {
        Self(0, RollingHash::new())
    }

    fn add(&mut self, event: &Event) {
        self.0 += 1;
        self.1.add(event);
    }
}

/// The states that an application may build from the events before each position.
fn states<'a>(
    chain: &'a Chain,
    images: Images<'_>,
) -> Result<BTreeMap<(&'a StreamId, u64), Vec<State>>> {
    let mut states = BTreeMap::<_, Vec<State>>::new();
    let mut at = |link: &'a Link, revision: usize, state: State| {
        let there = states.entry((&link.stream, revision as u64));
        there.or_default().push(state);
    };
    let links = chain.links();
    for (begun, link) in links.iter().enumerate() {
        // of the target of the next migration, which is one forward: those back publish nothing
        let mut state = State::begin();
        at(link, 0, state);
        for (revision, event) in link.events.iter().enumerate() {
            for image in images.of(Way::Up, event)? {
                state.add(&image);
            }
            at(link, revision + 1, state);
        }

        let mut state = State::begin();
        for (number, link) in links.iter().enumerate().skip(begun) {
            let first = if number == begun { 0 } else { link.copied };
            for revision in first..=link.events.len() {
                at(link, revision, state);
                if let Some(event) = link.events.get(revision) {
                    state.add(event);
                }
            }
        }
    }
    Ok(states)
}

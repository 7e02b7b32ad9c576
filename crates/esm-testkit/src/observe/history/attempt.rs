//! One attempt to append, and the place of its events.

use std::collections::BTreeMap;

use esm_core::event::{Event, Revision};
use esm_core::id::EventId;

#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) events: Vec<Event>,
    pub(super) begun: u64,
    /// The outcome that the writer got, and when; unknown until then.
    pub(super) answer: Option<(Answer, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Acknowledged { at: Option<Revision> },
    Failed,
    Ambiguous,
}

/// The place of an attempt's events, which is right.
pub(super) enum Place {
    Standing(Standing),
    Dropped(Dropped),
    /// They were never appended.
    Nowhere,
}

/// An attempt whose events are in the stream.
pub(super) struct Standing {
    pub(super) id: EventId,
    pub(super) first: usize,
    pub(super) count: usize,
    /// The fewest and the most events that it can have had in an earlier stream.
    pub(super) sizes: (u64, u64),
    pub(super) begun: u64,
    pub(super) acknowledged: Option<Acknowledged>,
}

/// When an attempt was acknowledged, and the revision if the writer got one.
#[derive(Clone, Copy)]
pub(super) struct Acknowledged {
    pub(super) moment: u64,
    pub(super) at: Option<Revision>,
}

/// An attempt whose events a transformation may have dropped.
pub(super) struct Dropped {
    /// The most events that it can have had in an earlier stream.
    pub(super) most: u64,
    pub(super) begun: u64,
}

impl Attempt {
    /// Returns the place of this attempt's events.
    ///
    /// # Errors
    /// When they are where they must not be, or missing where they must be.
    pub(super) fn place(
        &self,
        found: &[Event],
        places: &BTreeMap<&EventId, usize>,
        images: &impl Fn(&Event) -> Result<Vec<Vec<Event>>, String>,
    ) -> Result<Place, String> {
        let Some(id) = self.events.first().map(|event| event.id.clone()) else {
            return Ok(Place::Nowhere);
        };
        let ways = self.ways(images)?;
        let stands = |wanted: &[Event]| {
            let first = *places.get(&wanted.first()?.id)?;
            let there = found.get(first..first + wanted.len())?;
            (there == wanted).then_some((first, wanted.len()))
        };
        let answer = self.answer.map_or(Answer::Ambiguous, |(answer, _)| answer);
        let (first, count) = match (ways.iter().find_map(|way| stands(way)), answer) {
            (Some(_), Answer::Failed) => return Err(format!("a failed event is stored: {id}")),
            (None, Answer::Failed) => return Ok(Place::Nowhere),
            (Some(place), _) => place,
            (None, _) if ways.iter().any(Vec::is_empty) => {
                let (most, begun) = (sizes(&ways).1, self.begun);
                return Ok(Place::Dropped(Dropped { most, begun }));
            }
            (None, Answer::Acknowledged { .. }) => {
                return Err(format!("an acknowledged event is lost or changed: {id}"));
            }
            (None, Answer::Ambiguous) => return Ok(Place::Nowhere),
        };
        Ok(Place::Standing(Standing {
            id,
            first,
            count,
            sizes: sizes(&ways),
            begun: self.begun,
            acknowledged: self.acknowledged(),
        }))
    }

    /// The images that the events may have, together.
    fn ways(
        &self,
        images: &impl Fn(&Event) -> Result<Vec<Vec<Event>>, String>,
    ) -> Result<Vec<Vec<Event>>, String> {
        let mut ways = Vec::<Vec<Event>>::new();
        for event in &self.events {
            for (way, image) in images(event)?.into_iter().enumerate() {
                ways.resize_with(ways.len().max(way + 1), Vec::new);
                ways[way].extend(image);
            }
        }
        Ok(ways)
    }

    fn acknowledged(&self) -> Option<Acknowledged> {
        match self.answer {
            Some((Answer::Acknowledged { at }, moment)) => Some(Acknowledged { moment, at }),
            _ => None,
        }
    }
}

fn sizes(ways: &[Vec<Event>]) -> (u64, u64) {
    let sizes = || ways.iter().map(|way| way.len() as u64);
    (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0))
}

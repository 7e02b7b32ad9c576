//! Compares the outcomes that writers got with the events that are stored.

mod attempt;
mod order;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use esm_core::event::{Event, Revision};
use esm_core::id::{EventId, ObjectId};
use esm_core::transform::Mapper;

use attempt::{Answer, Attempt, Place};

/// The appends that writers attempted, and their outcomes. A handle: clones are the same history.
///
/// Event ids must be unique over the whole history; that makes the check linear.
///
/// ```
/// use esm_testkit::event;
/// use esm_testkit::observe::History;
///
/// let history = History::new();
/// history.begin(vec![event("e1", "Paid")]).acknowledged();
/// assert!(history.check(&[event("e1", "Paid")]).is_ok());
/// assert!(history.check(&[]).is_err());
/// ```
#[derive(Debug, Clone, Default)]
pub struct History(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Grows with every beginning and every outcome: the real-time order.
    moment: u64,
    attempts: Vec<Attempt>,
}

/// An attempt to append that has begun. Without an outcome it counts as ambiguous.
///
/// ```
/// use esm_testkit::event;
/// use esm_testkit::observe::History;
///
/// let (lost, refused) = (event("lost", "Paid"), event("refused", "Paid"));
/// let history = History::new();
/// history.begin(vec![lost.clone()]).ambiguous();
/// history.begin(vec![refused.clone()]).failed();
/// assert!(history.check(&[]).is_ok() && history.check(&[lost]).is_ok());
/// assert!(history.check(&[refused]).is_err());
/// ```
#[derive(Debug)]
#[must_use]
pub struct Attempted {
    history: History,
    index: usize,
}

impl Attempted {
    /// Records that the append was acknowledged.
    pub fn acknowledged(self) {
        self.history
            .answer(self.index, Answer::Acknowledged { at: None });
    }

    /// Records that the append was acknowledged, and the revision of its first event in the stream
    /// that holds it: the router returns it as the revision of `Appended::first`.
    ///
    /// ```
    /// use esm_core::event::Revision;
    /// use esm_testkit::event;
    /// use esm_testkit::observe::History;
    ///
    /// let (history, events) = (History::new(), [event("e0", "Paid"), event("e1", "Paid")]);
    /// for (revision, event) in (0..).zip(&events) {
    ///     let attempted = history.begin(vec![event.clone()]);
    ///     attempted.acknowledged_at(Revision(revision));
    /// }
    /// assert!(history.check(&events).is_ok());
    /// ```
    pub fn acknowledged_at(self, first: Revision) {
        let at = Some(first);
        self.history.answer(self.index, Answer::Acknowledged { at });
    }

    /// Records that the append certainly did not happen.
    pub fn failed(self) {
        self.history.answer(self.index, Answer::Failed);
    }

    /// Records that the outcome is unknown.
    pub fn ambiguous(self) {
        self.history.answer(self.index, Answer::Ambiguous);
    }
}

impl History {
    /// Returns an empty history.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a writer begins to append these events, in one call.
    pub fn begin(&self, events: Vec<Event>) -> Attempted {
        let mut state = self.lock();
        state.moment += 1;
        let begun = state.moment;
        state.attempts.push(Attempt {
            events,
            begun,
            answer: None,
        });
        Attempted {
            history: self.clone(),
            index: state.attempts.len() - 1,
        }
    }

    fn answer(&self, index: usize, answer: Answer) {
        let mut state = self.lock();
        state.moment += 1;
        let moment = state.moment;
        state.attempts[index].answer = Some((answer, moment));
    }

    /// Returns the acknowledged events, in the order in which their appends began. Where the
    /// writers append one after the other, that is their order in the stream.
    pub fn acknowledged(&self) -> Vec<Event> {
        let state = self.lock();
        let acknowledged = state.attempts.iter().filter(|attempt| {
            let answer = attempt.answer.map(|(answer, _)| answer);
            matches!(answer, Some(Answer::Acknowledged { .. }))
        });
        acknowledged
            .flat_map(|attempt| attempt.events.iter().cloned())
            .collect()
    }

    /// Returns the number of attempts that certainly did not happen.
    pub fn failures(&self) -> u64 {
        let state = self.lock();
        let answers = state.attempts.iter().filter_map(|attempt| attempt.answer);
        answers
            .filter(|(answer, _)| *answer == Answer::Failed)
            .count() as u64
    }

    /// Checks the stored events against the outcomes that writers got, where no event was
    /// transformed.
    ///
    /// # Errors
    /// As [`check_transformed`](Self::check_transformed).
    pub fn check(&self, found: &[Event]) -> Result<(), String> {
        self.check_images(found, |event| Ok(vec![vec![event.clone()]]))
    }

    /// Checks the stored events against the outcomes that writers got:
    ///
    /// - Every acknowledged event, or its image, is stored exactly once ([I1](esm_core::protocol#i1)).
    /// - Every ambiguous one is stored at most once, whole ([I2](esm_core::protocol#i2)), a failed one never.
    /// - Events of one append follow one another in their order. An append that was acknowledged
    ///   before another began precedes it ([I3](esm_core::protocol#i3)).
    /// - A [revision](Attempted::acknowledged_at) is the number of events before it.
    /// - Nothing else is stored.
    ///
    /// A revision may be of the stream before the migration, or of the one after it. So where
    /// events before it may have been dropped or split, every number is right that they can have
    /// had. Where none was, only one number is.
    ///
    /// An event that was appended after the cutover is stored as it is, so both forms are accepted.
    ///
    /// # Errors
    /// The violation, for people.
    pub fn check_transformed(
        &self,
        found: &[Event],
        object: &ObjectId,
        mapper: &Mapper,
    ) -> Result<(), String> {
        self.check_images(found, |event| {
            // an image may not depend on the revision, which a writer cannot know beforehand
            let mapped = mapper.map(object, Revision::START, event);
            let mapped = mapped.map_err(|failure| failure.to_string())?;
            Ok(vec![vec![event.clone()], mapped.outputs])
        })
    }

    /// As [`check_transformed`](Self::check_transformed), where an event may have one of several
    /// images. `images` returns them for an event, in the same order for every event, because the
    /// events of one append were all transformed in the same way.
    ///
    /// # Errors
    /// The violation, for people.
    pub fn check_images(
        &self,
        found: &[Event],
        images: impl Fn(&Event) -> Result<Vec<Vec<Event>>, String>,
    ) -> Result<(), String> {
        let mut places = BTreeMap::<&EventId, usize>::new();
        for (place, event) in found.iter().enumerate() {
            if places.insert(&event.id, place).is_some() {
                return Err(format!("event is stored twice: {}", event.id));
            }
        }
        let state = self.lock();
        let (mut standing, mut dropped) = (Vec::new(), Vec::new());
        for attempt in &state.attempts {
            match attempt.place(found, &places, &images)? {
                Place::Standing(there) => standing.push(there),
                Place::Dropped(gone) => dropped.push(gone),
                Place::Nowhere => {}
            }
        }
        standing.sort_by_key(|standing| standing.first);
        let accounted: usize = standing.iter().map(|standing| standing.count).sum();
        if accounted != found.len() {
            let extra = found.len() - accounted;
            return Err(format!("{extra} events are stored that no writer appended"));
        }
        order::in_real_time(&standing)?;
        order::as_told(&standing, &dropped)
    }
}

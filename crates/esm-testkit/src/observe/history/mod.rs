//! What writers were told, against what is there.

mod attempt;
mod order;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use esm_core::event::{Event, Revision};
use esm_core::id::{EventId, ObjectId};
use esm_core::transform::Mapper;

use attempt::{Answer, Attempt, Place};

/// What writers tried to append, and what they were told. A handle: clones are the same history.
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
    /// Grows with every beginning and every answer: the real-time order.
    moment: u64,
    attempts: Vec<Attempt>,
}

/// An attempt to append that has begun. One that is never answered counts as ambiguous.
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
    /// The writer was told that it succeeded.
    pub fn acknowledged(self) {
        self.history
            .answer(self.index, Answer::Acknowledged { at: None });
    }

    /// The writer was told that it succeeded, and that its first event has this revision in the
    /// stream that holds it: of the router, the revision of `Appended::first`.
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

    /// The writer was told that it certainly did not happen.
    pub fn failed(self) {
        self.history.answer(self.index, Answer::Failed);
    }

    /// The writer was told that nobody knows.
    pub fn ambiguous(self) {
        self.history.answer(self.index, Answer::Ambiguous);
    }
}

impl History {
    /// Nothing was tried.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A writer begins to append these events, in one call.
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

    /// The events that writers were told are appended, in the order in which they began to append
    /// them: where one appends after the other, as they stand.
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

    /// Number of attempts that certainly did not happen.
    pub fn failures(&self) -> u64 {
        let state = self.lock();
        let answers = state.attempts.iter().filter_map(|attempt| attempt.answer);
        answers
            .filter(|(answer, _)| *answer == Answer::Failed)
            .count() as u64
    }

    /// Checks what is there against what writers were told, where no event was transformed.
    ///
    /// # Errors
    /// As [`check_transformed`](Self::check_transformed).
    pub fn check(&self, found: &[Event]) -> Result<(), String> {
        self.check_images(found, |event| Ok(vec![vec![event.clone()]]))
    }

    /// Checks what is there against what writers were told:
    ///
    /// - every acknowledged event, or its image, stands exactly once (I1);
    /// - every ambiguous one at most once, whole (I2), a failed one never;
    /// - events of one append stand together, in their order, and an append that was acknowledged
    ///   before another began stands before it (I3);
    /// - a revision that was [told](Attempted::acknowledged_at) is the number of events before it;
    /// - nothing else is there.
    ///
    /// Who was told a revision may have been told it of the stream before the migration, or of the
    /// one after it. So where events before it may have been dropped or split, any number is right
    /// that they can have been; where none was, only the one.
    ///
    /// An event that was appended after the cutover stands as it is; so both are accepted.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check_transformed(
        &self,
        found: &[Event],
        object: &ObjectId,
        mapper: &Mapper,
    ) -> Result<(), String> {
        self.check_images(found, |event| {
            // an image may not depend on the revision: a writer cannot know it beforehand
            let mapped = mapper.map(object, Revision::START, event);
            let mapped = mapped.map_err(|failure| failure.to_string())?;
            Ok(vec![vec![event.clone()], mapped.outputs])
        })
    }

    /// As [`check_transformed`](Self::check_transformed), where an event may have become any of
    /// several: `images` gives them for an event, for every event in the same order, because the
    /// events of one append all went the same way.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check_images(
        &self,
        found: &[Event],
        images: impl Fn(&Event) -> Result<Vec<Vec<Event>>, String>,
    ) -> Result<(), String> {
        let mut places = BTreeMap::<&EventId, usize>::new();
        for (place, event) in found.iter().enumerate() {
            if places.insert(&event.id, place).is_some() {
                return Err(format!("event stands twice: {}", event.id));
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
            return Err(format!("{extra} events stand there that nobody appended"));
        }
        order::in_real_time(&standing)?;
        order::as_told(&standing, &dropped)
    }
}

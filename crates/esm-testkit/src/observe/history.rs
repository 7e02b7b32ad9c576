//! What writers were told, against what is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use esm_core::event::{Event, Revision};
use esm_core::id::{EventId, ObjectId};
use esm_core::transform::Mapper;

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

#[derive(Debug)]
struct Attempt {
    events: Vec<Event>,
    begun: u64,
    /// What the writer was told, and when; unknown until then.
    answer: Option<(Answer, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Acknowledged,
    Failed,
    Ambiguous,
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
        self.history.answer(self.index, Answer::Acknowledged);
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
            answer == Some(Answer::Acknowledged)
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
    /// - events of one append stand together, in their order, and an append that was answered
    ///   before another began stands before it (I3);
    /// - nothing else is there.
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
        let mut standing = Vec::new();
        for attempt in &state.attempts {
            standing.extend(attempt.place(found, &places, &images)?);
        }
        standing.sort_by_key(|standing| standing.first);
        let accounted: usize = standing.iter().map(|standing| standing.count).sum();
        if accounted != found.len() {
            let extra = found.len() - accounted;
            return Err(format!("{extra} events stand there that nobody appended"));
        }
        in_order(&standing)
    }
}

/// An attempt whose events stand there.
struct Standing {
    first: usize,
    count: usize,
    begun: u64,
    answered: Option<u64>,
    id: EventId,
}

impl Attempt {
    /// Where this attempt's events stand; nothing if they rightly do not.
    fn place(
        &self,
        found: &[Event],
        places: &BTreeMap<&EventId, usize>,
        images: &impl Fn(&Event) -> Result<Vec<Vec<Event>>, String>,
    ) -> Result<Option<Standing>, String> {
        let Some(id) = self.events.first().map(|event| event.id.clone()) else {
            return Ok(None);
        };
        let mut ways = Vec::<Vec<Event>>::new();
        for event in &self.events {
            for (way, image) in images(event)?.into_iter().enumerate() {
                ways.resize_with(ways.len().max(way + 1), Vec::new);
                ways[way].extend(image);
            }
        }
        let stands = |wanted: &[Event]| {
            let first = *places.get(&wanted.first()?.id)?;
            let there = found.get(first..first + wanted.len())?;
            (there == wanted).then_some((first, wanted.len()))
        };
        let place = ways.iter().find_map(|images| stands(images));
        let answer = self.answer.map_or(Answer::Ambiguous, |(answer, _)| answer);
        let (first, count) = match (place, answer) {
            (Some(_), Answer::Failed) => return Err(format!("a failed event stands there: {id}")),
            (Some(place), _) => place,
            (None, Answer::Acknowledged) if !ways.iter().any(Vec::is_empty) => {
                return Err(format!("an acknowledged event is lost or changed: {id}"));
            }
            (None, _) => return Ok(None),
        };
        let answered = self.answer.map(|(_, moment)| moment);
        let begun = self.begun;
        Ok(Some(Standing {
            first,
            count,
            begun,
            answered,
            id,
        }))
    }
}

/// I3: who was answered before another began stands before it.
fn in_order(standing: &[Standing]) -> Result<(), String> {
    let mut latest: Option<&Standing> = None;
    for attempt in standing {
        if let (Some(before), Some(answered)) = (latest, attempt.answered)
            && answered < before.begun
        {
            return Err(format!(
                "events are out of order: {} was acknowledged before {} was begun, and stands after it",
                attempt.id, before.id
            ));
        }
        if latest.is_none_or(|before| before.begun < attempt.begun) {
            latest = Some(attempt);
        }
    }
    Ok(())
}

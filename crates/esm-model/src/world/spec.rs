//! What the object must be: the specification that the streams are compared with.

use super::{Event, Held};
use crate::scope::{Kind, Scope};

/// The object's events as they must be readable. Follows every write as soon as it takes effect;
/// nobody in the world can see it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spec {
    /// The events.
    pub events: Vec<Event>,
    /// How often they have changed, but for migrations, which only change their form.
    pub changes: u8,
    /// For each forward migration that was not undone: the events before it, and how many there
    /// were of them afterwards.
    before: Vec<(Vec<Event>, usize)>,
}

impl Spec {
    /// An object with these events.
    pub fn new(events: Vec<Event>) -> Self {
        Self {
            events,
            changes: 0,
            before: Vec::new(),
        }
    }

    /// An application's append.
    pub fn appended(&mut self, events: &[Event]) {
        self.events.extend_from_slice(events);
        self.changes += 1;
    }

    /// A cutover.
    pub fn cut_over(&mut self, scope: &Scope, kind: Kind) {
        match kind {
            Kind::Forward => {
                let image = transformed(scope, &self.events);
                let before = std::mem::replace(&mut self.events, image);
                self.before.push((before, self.events.len()));
            }
            Kind::Reverse => {
                let (mut events, migrated) = self.before.pop().unwrap_or_default();
                let since = self.events.iter().skip(migrated);
                events.extend(since.map(|event| event.transformed_back()));
                self.events = events;
            }
            Kind::Restore(count) => {
                self.events = backup(count);
                self.before.clear();
                self.changes += 1;
            }
        }
    }
}

/// What a forward migration makes of these events, if they are all.
pub fn transformed(scope: &Scope, events: &[Event]) -> Vec<Event> {
    let mut held = None;
    let mut image: Vec<_> = events
        .iter()
        .flat_map(|event| step(scope, *event, &mut held))
        .collect();
    image.extend(held.map(Event::alone));
    image
}

/// What a forward migration makes of the next event.
pub fn step(scope: &Scope, event: Event, held: &mut Held) -> Vec<Event> {
    event.transformed(scope.shapes[usize::from(event.root)], held)
}

/// The events of a backup.
pub fn backup(count: u8) -> Vec<Event> {
    (0..count).map(Event::appended).collect()
}

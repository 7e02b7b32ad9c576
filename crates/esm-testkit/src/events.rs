//! Events made by hand, and their ids.

use std::fmt::Display;

use esm_core::event::Event;
use esm_core::id::{EventId, EventType};
use serde_json::json;

/// Returns an event of this id and type. Its JSON payload contains the id, so events of different
/// ids differ. For another payload write `Event { payload: …, ..event("e1", "Placed") }`.
///
/// ```
/// use esm_testkit::event;
///
/// let placed = event("e1", "Placed");
/// assert_eq!(placed.schema().to_string(), "Placed v1");
/// assert_eq!(placed.payload, r#"{"id":"e1"}"#);
/// ```
///
/// # Panics
/// When the id or the type is not valid.
pub fn event(id: impl AsRef<str>, event_type: impl AsRef<str>) -> Event {
    let id = EventId::new(id).unwrap_or_else(|error| panic!("{error}"));
    let event_type = EventType::new(event_type).unwrap_or_else(|error| panic!("{error}"));
    let payload = json!({ "id": id.as_str() }).to_string();
    Event::new(id, event_type, payload)
}

/// Returns an [`event`] of each of these types, in order. Their ids are this prefix and a number.
///
/// ```
/// use esm_testkit::{event, events};
///
/// let cells = events("e", ["Placed", "Paid"]).map(|event| vec![event]);
/// assert!(cells.eq([[event("e0", "Placed")], [event("e1", "Paid")]]));
/// ```
///
/// # Panics
/// As [`event`], when the events are taken.
pub fn events<T: AsRef<str>>(
    prefix: impl Display,
    types: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = Event> {
    let numbered = (0_u32..).zip(types);
    numbered.map(move |(number, event_type)| event(format!("{prefix}{number}"), event_type))
}

/// Returns the ids of events as text, to be compared with literals.
///
/// ```
/// use esm_testkit::{events, ids};
///
/// let appended: Vec<_> = events("e", ["Placed", "Paid"]).collect();
/// assert_eq!(ids(&appended), ["e0", "e1"]);
/// ```
pub fn ids<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<String> {
    let ids = events.into_iter().map(|event| event.id.to_string());
    ids.collect()
}

//! What applications append: the events of a small shop, each with a number of its own.

use anyhow::Result;
use clap::ValueEnum;
use esm_core::event::{Event, SchemaVersion};
use esm_core::id::{EventId, EventType, ObjectId};
use serde::{Deserialize, Serialize};

/// The edition of the application's code: which schemas it knows.
///
/// The transformation makes the new schemas out of the old ones. What it changes, drops or splits
/// is retired in the streams that it made, and refused there, unless the application has the
/// transformation registered (R11). So a part of the applications gets the new code before the
/// migration begins, and the others register the transformation and keep the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Edition {
    /// Writes schemas that the transformation changes, drops and splits, and some that it keeps.
    Old,
    /// Writes what the transformation makes, and what it keeps.
    New,
}

impl Edition {
    /// Its name on command lines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }

    /// The edition that is called so.
    pub(crate) fn from_name(name: &str) -> Result<Self> {
        Self::from_str(name, false).map_err(anyhow::Error::msg)
    }
}

/// The events of one append. Everything else of them follows from these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// The application.
    pub(crate) writer: u32,
    /// The append: no application uses a number twice.
    pub(crate) number: u64,
    /// How many events.
    pub(crate) count: u32,
    /// By which code.
    pub(crate) edition: Edition,
}

impl Batch {
    /// The events.
    pub(crate) fn events(&self) -> Result<Vec<Event>> {
        (0..self.count).map(|index| self.event(index)).collect()
    }

    /// The id of one of them.
    pub(crate) fn id(&self, index: u32) -> Result<EventId> {
        let Self { writer, number, .. } = self;
        Ok(EventId::new(format!("{writer}-{number}-{index}"))?)
    }

    fn event(&self, index: u32) -> Result<Event> {
        let n = self.number * 7 + u64::from(self.writer) * 3 + u64::from(index);
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let (event_type, version, data) = match (self.edition, mixed % 6) {
            (Edition::Old, 0) => ("OrderPlaced", 1, placed("customer", mixed)),
            (Edition::New, 0) => ("OrderPlaced", 2, placed("customer_name", mixed)),
            (Edition::Old, 1) => ("NoteTaken", 1, note(mixed)),
            (Edition::Old, 2) => (
                "OrderShipped",
                1,
                format!("{{{},{}}}", carrier(mixed), weight(mixed)),
            ),
            (Edition::New, 1) => ("ParcelPacked", 1, format!("{{{}}}", weight(mixed))),
            (Edition::New, 2) => ("ParcelDispatched", 1, format!("{{{}}}", carrier(mixed))),
            (_, 3) => ("PaymentReceived", 1, payment(mixed)),
            _ => ("ItemAdded", 1, item(mixed)),
        };
        let mut event = Event::new(self.id(index)?, EventType::new(event_type)?, data);
        event.schema_version = SchemaVersion(version);
        let (hour, minute, second) = (n / 3600 % 24, n / 60 % 60, n % 60);
        event.time = Some(format!("2025-03-03T{hour:02}:{minute:02}:{second:02}Z"));
        Ok(event)
    }
}

/// The objects that are written to.
pub(crate) fn objects(count: u32) -> Result<Vec<ObjectId>> {
    let object = |key| Ok(format!("order/{key}").parse()?);
    (1..=count).map(object).collect()
}

fn placed(customer: &str, n: u64) -> String {
    let (name, cents) = (n % 9_973, n % 100_000);
    format!(
        r#"{{"channel":"web","currency":"EUR","{customer}":"customer-{name}","amount_cents":{cents},"comment":"the {name} of {cents}"}}"#
    )
}

fn note(n: u64) -> String {
    format!(
        r#"{{"by":"support-{}","text":"called about {n}, is in a hurry"}}"#,
        n % 7
    )
}

fn carrier(n: u64) -> String {
    format!(r#""carrier":"PostNow","tracking":"{n:014}""#)
}

fn weight(n: u64) -> String {
    format!(r#""weight_grams":{}"#, n % 20_000)
}

fn payment(n: u64) -> String {
    format!(
        r#"{{"amount_cents":{},"method":"card","reference":"{n:016x}"}}"#,
        n % 100_000
    )
}

fn item(n: u64) -> String {
    let (article, cents) = (n % 331, n % 9_000);
    format!(
        r#"{{"article":"ART-{article:04}","name":"Paper filters, {article}","price_cents":{cents},"quantity":2}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use esm_core::event::Revision;
    use esm_core::transform::{Fate, Mapper};

    fn fates(edition: Edition) -> Vec<Fate> {
        let mapper = Mapper::new(crate::transformation::up().unwrap());
        let object: ObjectId = "order/1".parse().unwrap();
        let batch = Batch {
            writer: 1,
            number: 1,
            count: 200,
            edition,
        };
        let events = batch.events().unwrap();
        let map = |event| mapper.map(&object, Revision::START, event).unwrap().fate;
        events.iter().map(map).collect()
    }

    #[test]
    fn old_code_writes_what_is_changed_split_dropped_and_kept() {
        let fates = fates(Edition::Old);
        let dropped = |fate: &Fate| matches!(fate, Fate::Dropped { .. });
        assert!(fates.iter().any(dropped));
        for fate in [Fate::Changed, Fate::Split, Fate::Unchanged] {
            assert!(fates.contains(&fate), "{fate:?}");
        }
    }

    #[test]
    fn what_new_code_writes_is_left_as_it_is() {
        assert!(
            fates(Edition::New)
                .iter()
                .all(|fate| *fate == Fate::Unchanged)
        );
    }
}

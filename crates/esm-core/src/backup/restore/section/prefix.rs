//! The beginning of a section, up to the point until which it is restored.

use jiff::Timestamp;

use crate::RollingHash;
use crate::backup::restore::request::RestoreUntil;
use crate::error::{Error, Result};
use crate::event::{Event, Revision};
use crate::store::SectionSummary;

/// Takes the events of a section, and keeps those that are to be restored, in constant memory.
#[derive(Debug)]
pub(in crate::backup::restore) struct Prefix {
    until: Option<RestoreUntil>,
    events: Revision,
    hash: RollingHash,
    ended: bool,
}

impl Prefix {
    /// Keeps all events without a point.
    pub(in crate::backup::restore) fn new(until: Option<RestoreUntil>) -> Self {
        Self {
            until,
            events: Revision::START,
            hash: RollingHash::new(),
            ended: false,
        }
    }

    /// Takes the section's next events, and returns those that are kept.
    ///
    /// # Errors
    /// `Invalid` for an event whose time decides and cannot be compared.
    pub(in crate::backup::restore) fn keep(
        &mut self,
        mut events: Vec<Event>,
    ) -> Result<Vec<Event>> {
        let Some(until) = self.until else {
            return Ok(events);
        };
        let mut kept = 0;
        for event in &events {
            self.ended = self.ended || !reaches(until, self.events, event)?;
            if self.ended {
                break;
            }
            self.hash.add(event);
            self.events = self.events.plus(1);
            kept += 1;
        }
        events.truncate(kept);
        Ok(events)
    }

    /// What was kept, of a section with this end.
    ///
    /// # Errors
    /// `NotFound` where nothing was, or the section does not reach the revision.
    pub(in crate::backup::restore) fn summary(
        &self,
        end: SectionSummary,
    ) -> Result<SectionSummary> {
        match self.until {
            None => return Ok(end),
            Some(RestoreUntil::Revision(until)) if self.events <= until => {
                return Err(Error::not_found(format!(
                    "the backup holds {} events of it, none at revision {until}",
                    end.events
                )));
            }
            Some(RestoreUntil::Time(time)) if self.events == Revision::START => {
                return Err(Error::not_found(format!("it has no event until {time}")));
            }
            Some(_) => {}
        }
        Ok(SectionSummary {
            events: self.events.0,
            hash: self.hash.to_string(),
        })
    }
}

/// Whether an event is restored, if all before it are.
fn reaches(until: RestoreUntil, revision: Revision, event: &Event) -> Result<bool> {
    let latest = match until {
        RestoreUntil::Revision(last) => return Ok(revision <= last),
        RestoreUntil::Time(latest) => latest,
    };
    let incomparable = |what: &str| {
        let message = format!("the event at revision {revision} has {what}");
        Error::invalid(message).with_hint("restore it until a revision")
    };
    let time = event.time.as_ref();
    let time = time.ok_or_else(|| incomparable("no time"))?;
    let time: Timestamp = time.parse().map_err(|e| {
        incomparable(&format!("a time that cannot be compared: {time}")).with_source(e)
    })?;
    Ok(time <= latest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::id::{EventId, EventType};

    fn event(time: Option<&str>) -> Event {
        Event {
            time: time.map(str::to_owned),
            ..Event::new(
                EventId::new("id").unwrap(),
                EventType::new("T").unwrap(),
                "{}",
            )
        }
    }

    fn summary(events: &[Event]) -> SectionSummary {
        SectionSummary {
            events: events.len() as u64,
            hash: RollingHash::of(events).to_string(),
        }
    }

    /// What is kept of events that come in pieces of two.
    fn kept(events: &[Event], until: RestoreUntil) -> Result<SectionSummary> {
        let mut prefix = Prefix::new(Some(until));
        let mut all = Vec::new();
        for piece in events.chunks(2) {
            all.extend(prefix.keep(piece.to_vec())?);
        }
        let found = prefix.summary(summary(events))?;
        assert_eq!(found, summary(&all));
        assert_eq!(all, events[..all.len()]);
        Ok(found)
    }

    #[test]
    fn a_revision_is_restored_itself_and_must_be_there() {
        let events = vec![event(None); 5];
        for last in 0..5 {
            let found = kept(&events, RestoreUntil::Revision(Revision(last))).unwrap();
            assert_eq!(found.events, last + 1);
        }
        let beyond = kept(&events, RestoreUntil::Revision(Revision(5))).unwrap_err();
        assert_eq!(*beyond.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_time_ends_at_the_first_later_event_whatever_follows() {
        let times = [
            "2026-01-01T00:00:00Z",
            "2026-01-01T02:00:00+01:00",
            "2026-01-01T03:00:00.000000001Z",
            "2026-01-01T02:00:00Z",
        ];
        let events: Vec<_> = times.map(|time| event(Some(time))).into();
        let until = |time: &str| kept(&events, RestoreUntil::Time(time.parse().unwrap()));
        for (time, count) in [
            ("2026-01-01T00:00:00Z", 1),
            ("2026-01-01T00:59:59Z", 1),
            ("2026-01-01T01:00:00Z", 2),
            ("2026-01-01T03:00:00Z", 2),
            ("2026-01-01T03:00:01Z", 4),
        ] {
            assert_eq!(until(time).unwrap().events, count, "{time}");
        }
        let before = until("2025-12-31T23:59:59Z").unwrap_err();
        assert_eq!(*before.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn an_event_without_a_time_is_refused_only_where_it_decides() {
        let early = event(Some("2026-01-01T00:00:00Z"));
        let late = event(Some("2026-01-03T00:00:00Z"));
        let until = RestoreUntil::Time("2026-01-02T00:00:00Z".parse().unwrap());
        let after = [early.clone(), late.clone(), event(None)];
        assert_eq!(kept(&after, until).unwrap().events, 1);
        for unknown in [event(None), event(Some("noon"))] {
            let error = kept(&[early.clone(), unknown, late.clone()], until).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Invalid, "{error}");
            assert!(error.to_string().contains("revision 1"), "{error}");
        }
    }
}

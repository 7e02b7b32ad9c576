use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::*;
use crate::backup::restore::fill::UNKNOWN;
use crate::id::{CommitId, Fingerprint, MigrationId, StoreId, StreamId, StreamRef};
use crate::store::{
    Append, Capabilities, CellKind, EventStore, Fence, Page, PageLimit, StoreLimits,
};

/// Events of the section.
const SECTION: Revision = Revision(7);
/// Events of the source that the section is to replace.
const SOURCE: Revision = Revision(9);

/// A store that nothing is read from: the decision is pure.
#[derive(Debug)]
struct Untouched;

fn touched<T>() -> Result<T> {
    Err(Error::unsupported("a decision reads no store"))
}

#[async_trait]
impl EventStore for Untouched {
    fn id(&self) -> StoreId {
        StoreId::from_uuid(Uuid::nil())
    }

    fn limits(&self) -> StoreLimits {
        StoreLimits::default()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn tail(&self, _: &StreamId) -> Result<Tail> {
        touched()
    }

    async fn read(&self, _: &StreamId, _: ReadFrom, _: PageLimit) -> Result<Page> {
        touched()
    }

    async fn append(&self, _: &StreamId, _: &Tail, _: Append) -> Result<Tail> {
        touched()
    }

    async fn close(&self, _: &StreamId, _: &Tail, _: CommitId, _: Close) -> Result<Tail> {
        touched()
    }

    async fn fence(&self, _: &StreamId, _: &Tail, _: CommitId, _: Fence) -> Result<Tail> {
        touched()
    }

    async fn discard(&self, _: &StreamId) -> Result<()> {
        touched()
    }
}

fn attempt() -> Attempt {
    let store: Arc<dyn EventStore> = Arc::new(Untouched);
    let stream = |name| StreamRef::new(store.id(), StreamId::new(name).unwrap());
    Attempt {
        object: "order/1".parse().unwrap(),
        migration: MigrationId::from_uuid(Uuid::nil()),
        fingerprint: Fingerprint::new("restore").unwrap(),
        source: stream("source"),
        target: stream("target"),
        source_store: Arc::clone(&store),
        target_store: store,
        generation: 0,
        number: 0,
        has_fences: false,
        retired: BTreeSet::new(),
        accepted: BTreeSet::new(),
        originals: None,
        continues: false,
    }
}

/// A tail after one data cell with this many events.
fn tail(events: Revision, kind: CellKind) -> Tail {
    let commit = CommitId::from_uuid(Uuid::nil());
    Tail::after(Tail::default().next_header(commit, events.0, kind))
}

fn data(cursor: Option<Revision>) -> CellKind {
    CellKind::Data {
        origin: None,
        cursor,
    }
}

/// What is seen of a target that holds this many events of the section, and of the source.
fn sight(attempt: &Attempt, copied: Revision) -> Sight {
    Sight {
        target_tail: tail(copied, data(Some(copied))),
        origin: Some(attempt.origin()),
        source_tail: tail(SOURCE, data(None)),
        fenced: false,
    }
}

fn decided(copied: Revision, events: Revision, verified: Option<Revision>) -> Action {
    let attempt = attempt();
    let verified = verified.map(|events| Verified {
        source_events: events,
        target_events: events,
    });
    decide(&attempt, &sight(&attempt, copied), events, verified).unwrap()
}

#[test]
fn the_section_says_how_many_events_there_are_to_copy_not_the_source() {
    let half = Revision(3);
    assert_eq!(decided(half, SECTION, None), Action::Copy { from: half });
    assert_eq!(
        decided(SECTION, SECTION, None),
        Action::Verify { to: SECTION }
    );
    let close = Action::Close {
        source_events: SECTION,
        target_events: SECTION,
    };
    assert_eq!(decided(SECTION, SECTION, Some(SECTION)), close);
    // the decision of a migration would copy what the source has beyond that
    let from = SECTION;
    assert_eq!(decided(from, SOURCE, Some(SECTION)), Action::Copy { from });
}

#[test]
fn a_section_whose_end_is_not_reached_is_copied_whatever_was_verified() {
    for copied in [Revision(3), SECTION, SOURCE] {
        let expected = Action::Copy { from: copied };
        assert_eq!(decided(copied, UNKNOWN, Some(copied)), expected);
    }
}

#[test]
fn a_larger_section_than_the_source_is_no_later_state_of_it() {
    let more = SOURCE.plus(4);
    assert_eq!(decided(more, more, None), Action::Verify { to: more });
}

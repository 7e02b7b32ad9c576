//! Records: a list of bodies for every key.

use bytes::Bytes;
use esm_core::ErrorKind;
use esm_core::id::MigrationId;
use esm_core::store::{Record, RecordCollection, RecordKey, Records as _};
use esm_testkit::environment;
use esm_testkit::memory::MemoryRecords;
use futures::TryStreamExt as _;
use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use super::models::at_once;

const KEYS: usize = 5;

/// Keys of which three are listed as documents, two of them of one name, and one as a journal.
fn key(number: usize) -> RecordKey {
    let migration = MigrationId::from_uuid(environment(1).uuid_v4());
    let object = |name: &str| name.parse().expect("a valid id");
    match number {
        0 => RecordKey::Document(object("order/1")),
        1 => RecordKey::Document(object("order/2")),
        2 => RecordKey::Document(object("cart/1")),
        3 => RecordKey::Journal(migration),
        _ => RecordKey::Index,
    }
}

fn collections() -> [(RecordCollection, &'static [usize]); 4] {
    let of = |name: &str| RecordCollection::Documents(Some(name.parse().expect("a valid name")));
    [
        (RecordCollection::Documents(None), &[0, 1, 2]),
        (of("order"), &[0, 1]),
        (of("nothing"), &[]),
        (RecordCollection::Journals, &[3]),
    ]
}

#[derive(Debug, Clone)]
pub(crate) struct Put {
    key: usize,
    number: u64,
    body: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    versions: [Vec<Vec<u8>>; KEYS],
    /// Whether the last put was to succeed.
    put: bool,
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Put;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Put> {
        let lengths = state.versions.clone().map(|bodies| bodies.len() as u64);
        // few bodies: an equal one is no reason to take a number twice
        (0..KEYS, select(vec![-2, -1, 0, 0, 0, 1]), 0_u8..3)
            .prop_map(move |(key, off, body)| Put {
                key,
                number: lengths[key].saturating_add_signed(off),
                body: vec![body; body.into()],
            })
            .boxed()
    }

    fn apply(mut state: Self, put: &Put) -> Self {
        let versions = &mut state.versions[put.key];
        state.put = put.number == versions.len() as u64;
        if state.put {
            versions.push(put.body.clone());
        }
        state
    }
}

#[derive(Debug)]
pub(crate) struct Versions(MemoryRecords);

impl StateMachineTest for Versions {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &Model) -> Self {
        Self(MemoryRecords::new())
    }

    fn apply(records: Self, after: &Model, put: Put) -> Self {
        let body = Bytes::from(put.body);
        let answer = at_once(records.0.put(&key(put.key), put.number, body));
        let found = answer.map_err(|error| error.kind().clone());
        let conflict = ErrorKind::Conflict { actual: None };
        assert_eq!(found, after.put.then_some(()).ok_or(conflict));
        records
    }

    fn check_invariants(records: &Self, model: &Model) {
        for (number, bodies) in model.versions.iter().enumerate() {
            let bodies: Vec<_> = bodies.iter().cloned().map(Bytes::from).collect();
            records.check_versions(&key(number), &bodies);
        }
        for (collection, keys) in collections() {
            let written = keys.iter().filter(|key| !model.versions[**key].is_empty());
            let mut wanted: Vec<_> = written.map(|number| key(*number)).collect();
            wanted.sort();
            let listed: Vec<_> = at_once(records.0.list(collection).try_collect()).expect("a list");
            assert_eq!(listed, wanted);
        }
    }
}

impl Versions {
    fn check_versions(&self, key: &RecordKey, bodies: &[Bytes]) {
        let record = |number: u64| {
            let body = bodies.get(usize::try_from(number).ok()?)?.clone();
            Some(Record { number, body })
        };
        let end = bodies.len() as u64;
        for number in (0..end + 2).chain([u64::MAX]) {
            let found = at_once(self.0.get(key, number)).expect("it can be read");
            assert_eq!(found, record(number));
        }
        let newest = at_once(self.0.latest(key)).expect("it can be read");
        assert_eq!(newest, end.checked_sub(1).and_then(record));
        assert_eq!(self.0.snapshot(key), bodies);
    }
}

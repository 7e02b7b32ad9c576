//! Events and cells of every shape, for property tests.

use std::collections::BTreeSet;

use esm_core::event::{Event, Metadata, MetadataValue, Revision, Schema, SchemaVersion};
use esm_core::id::{
    CommitId, EventId, EventType, Fingerprint, MigrationId, ObjectId, ObjectKey, ObjectName,
    StoreId, StreamId, StreamRef,
};
use esm_core::store::{
    Cell, CellEvent, CellHeader, CellKind, Close, Fence, LastCell, Origin, Restores,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

/// Text without control characters, as names and ids are.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9-]{1,12}", "\\PC{1,12}"]
        .prop_filter("a name has no control character", |s| {
            !s.is_empty() && !s.chars().any(char::is_control)
        })
}

/// Any text: quotes, escapes, control characters, beyond the basic plane.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just(String::new()),
        Just("\u{0}\"\\\n\r\t\u{2028}\u{1f6d2}\u{feff}".to_owned()),
    ]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let key = prop_oneof![
        Just("source".to_owned()),
        Just("subject".to_owned()),
        Just("dataschema".to_owned()),
        "[A-Za-z0-9_.-]{1,10}",
    ];
    let value = prop_oneof![
        any::<bool>().prop_map(MetadataValue::Boolean),
        any::<i64>().prop_map(MetadataValue::Integer),
        text().prop_map(MetadataValue::Text),
        // what the object of the tests implies
        Just(MetadataValue::from("order")),
        Just(MetadataValue::from("7")),
    ];
    btree_map(key, value, 0..4).prop_map(|map| {
        let mut metadata = Metadata::new();
        for (key, value) in map {
            if !Metadata::RESERVED.contains(&key.as_str()) {
                metadata.insert(key, value).unwrap();
            }
        }
        metadata
    })
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let json = prop_oneof![
        Just("{}"),
        Just("null"),
        Just("0"),
        Just("\"text\""),
        Just(" {\"a\": 1}"),
        Just("{\"a\":1}\n"),
        Just("{\n\"a\":1}"),
        Just("[1,\r2]"),
        Just("{\"a\":1,\"a\":2}"),
        Just("1.500e+10"),
        Just("\"\\ud800\""),
        Just("[[[[[[]]]]]]"),
        Just("{\"a\":"),
        Just("nul"),
    ];
    prop_oneof![
        json.prop_map(|s| s.as_bytes().to_vec()),
        vec(any::<u8>(), 0..40),
        text().prop_map(String::into_bytes),
        text().prop_map(|s| serde_json::to_vec(&s).unwrap()),
        Just(
            b"[".repeat(300)
                .into_iter()
                .chain(b"]".repeat(300))
                .collect()
        ),
    ]
}

fn content_type() -> impl Strategy<Value = Option<String>> {
    let known = prop_oneof![
        Just("application/json"),
        Just("application/cloudevents+json; charset=utf-8"),
        Just("text/plain"),
        Just("application/xml"),
        Just("application/octet-stream"),
        Just(""),
    ];
    option::of(prop_oneof![known.prop_map(str::to_owned), text()])
}

/// Any event.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    let version = prop_oneof![Just(1), any::<u32>()];
    (
        name(),
        name(),
        version,
        content_type(),
        option::of(text()),
        metadata(),
        payload(),
    )
        .prop_map(
            |(id, event_type, version, content_type, time, metadata, payload)| Event {
                id: EventId::new(id).unwrap(),
                event_type: EventType::new(event_type).unwrap(),
                schema_version: SchemaVersion(version),
                content_type,
                time,
                metadata,
                payload: payload.into(),
            },
        )
}

/// `order/7`, or any object.
pub(crate) fn object() -> impl Strategy<Value = ObjectId> {
    let any_object = (name(), name()).prop_map(|(name, key)| {
        let name = ObjectName::new(name.replace('/', "-")).unwrap();
        ObjectId::new(name, ObjectKey::new(key).unwrap())
    });
    prop_oneof![Just("order/7".parse().unwrap()), any_object]
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

/// A stream of any store.
pub(crate) fn stream() -> impl Strategy<Value = StreamRef> {
    (uuid(), name()).prop_map(|(store, stream)| {
        StreamRef::new(StoreId::from_uuid(store), StreamId::new(stream).unwrap())
    })
}

fn origin() -> impl Strategy<Value = Origin> {
    let schema = (name(), any::<u32>()).prop_map(|(event_type, version)| Schema {
        event_type: EventType::new(event_type).unwrap(),
        version: SchemaVersion(version),
    });
    (
        stream(),
        uuid(),
        any::<u64>(),
        name(),
        btree_set(schema, 0..3),
        any::<bool>(),
        option::of(restores()),
    )
        .prop_map(
            |(source, migration, attempt, fingerprint, retired, accepts, restores): (
                _,
                _,
                _,
                _,
                BTreeSet<_>,
                bool,
                _,
            )| {
                Origin {
                    accepted: retired.iter().filter(|_| accepts).cloned().collect(),
                    source,
                    migration: MigrationId::from_uuid(migration),
                    attempt,
                    fingerprint: Fingerprint::new(fingerprint).unwrap(),
                    retired,
                    restores,
                }
            },
        )
}

fn restores() -> impl Strategy<Value = Box<Restores>> {
    (stream(), uuid(), revision(), revision(), name()).prop_map(
        |(originals, migration, events, source_from, down)| {
            Box::new(Restores {
                migration: MigrationId::from_uuid(migration),
                originals,
                events,
                source_from,
                down: Fingerprint::new(down).unwrap(),
            })
        },
    )
}

fn revision() -> impl Strategy<Value = Revision> {
    prop_oneof![0_u64..6, Just(u64::MAX - 1), Just(u64::MAX), any::<u64>()].prop_map(Revision)
}

fn cell_event() -> impl Strategy<Value = CellEvent> {
    (event(), option::weighted(0.8, revision())).prop_map(|(event, source_revision)| CellEvent {
        event,
        source_revision,
    })
}

fn last_cell() -> impl Strategy<Value = LastCell> {
    let numbers = (any::<u64>(), option::of(any::<u64>()));
    (numbers, uuid()).prop_map(|((seq, control), commit)| LastCell {
        seq,
        commit: CommitId::from_uuid(commit),
        control,
    })
}

fn kind() -> impl Strategy<Value = CellKind> {
    let data = (option::of(origin()), option::of(revision()))
        .prop_map(|(origin, cursor)| CellKind::Data { origin, cursor });
    let close = (
        option::of(stream()),
        revision(),
        revision(),
        uuid(),
        any::<bool>(),
        option::of(last_cell()),
    )
        .prop_map(
            |(target, events, target_events, migration, continues, target_last)| {
                CellKind::Close(Close {
                    target,
                    events,
                    target_events,
                    migration: MigrationId::from_uuid(migration),
                    continues,
                    target_last,
                })
            },
        );
    let fence = (name(), uuid()).prop_map(|(target, migration)| {
        CellKind::Fence(Fence {
            target: StreamId::new(target).unwrap(),
            migration: MigrationId::from_uuid(migration),
        })
    });
    prop_oneof![3 => data, 1 => close, 1 => fence, 1 => Just(CellKind::Tombstone)]
}

/// Any cell that does not contradict itself.
pub(crate) fn cell() -> impl Strategy<Value = Cell> {
    let numbers = (0..u64::MAX, 0..u64::MAX / 2, option::of(any::<u64>()));
    let commits = (uuid(), option::of(uuid()));
    (numbers, commits, kind(), vec(cell_event(), 0..8)).prop_map(
        |((seq, first, control), (commit, previous), kind, mut events)| {
            let count = match kind {
                CellKind::Data { .. } | CellKind::Tombstone => events.len() as u64,
                CellKind::Close(_) | CellKind::Fence(_) => 0,
            };
            if !matches!(kind, CellKind::Data { .. }) {
                events.clear();
            }
            let header = CellHeader {
                seq,
                first_revision: Revision(first),
                count,
                commit: CommitId::from_uuid(commit),
                previous: previous.map(CommitId::from_uuid),
                last_control: control.filter(|control| *control < seq),
                kind,
            };
            Cell { header, events }
        },
    )
}

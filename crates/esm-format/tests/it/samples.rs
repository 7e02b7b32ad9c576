//! One fixed cell of each kind and a backup, with every field set somewhere.

use esm_core::event::{Event, MetadataValue, Revision, Schema, SchemaVersion};
use esm_core::id::{BackupId, CommitId, Fingerprint, MigrationId, StoreId, StreamId, StreamRef};
use esm_core::object::ObjectDocument;
use esm_core::store::{
    BackupContent, BackupDraft, BackupKind, BackupSection, BackupSettings, Cell, CellEvent,
    CellHeader, CellKind, Close, Compression, Fence, Origin,
};
use uuid::Uuid;

fn commit(n: u128) -> CommitId {
    CommitId::from_uuid(Uuid::from_u128(n))
}

fn migration() -> MigrationId {
    MigrationId::from_uuid(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001))
}

pub(crate) fn stream(name: &str) -> StreamRef {
    let store = StoreId::from_uuid(Uuid::from_u128(7));
    StreamRef::new(store, StreamId::new(name).unwrap())
}

/// The stream that the sample cells belong to.
pub(crate) fn stream_id() -> StreamId {
    stream("order-7.aaaa").stream
}

fn event(id: &str, payload: &[u8]) -> Event {
    let mut event = Event::new(
        id.parse().unwrap(),
        "OrderPlaced".parse().unwrap(),
        payload.to_vec(),
    );
    event.time = Some("2026-01-02T03:04:05.678+02:00".to_owned());
    event
}

/// Events with every kind of payload and metadata.
pub(crate) fn events() -> Vec<Event> {
    let plain = event(
        "order/7/0",
        r#"{"total":12.50,"customer":"Zoë"}"#.as_bytes(),
    );
    let mut rich = event("order/7/1", b"[]");
    rich.schema_version = SchemaVersion(2);
    rich.content_type = None;
    rich.time = None;
    for (key, value) in [
        ("traceparent", MetadataValue::from("00-ab-cd-01")),
        ("retries", MetadataValue::Integer(-3)),
        ("manual", MetadataValue::Boolean(true)),
        ("source", MetadataValue::from("urn:shop")),
        ("subject", MetadataValue::from("7")),
    ] {
        rich.metadata.insert(key, value).unwrap();
    }
    let mut text = event("order/7/2", "line 1\nline 2 \u{1f6d2}".as_bytes());
    text.content_type = Some("text/plain; charset=utf-8".to_owned());
    let mut binary = event("order/7/3", &[0, 0xff, 0x80, b'\n']);
    binary.content_type = Some("image/png".to_owned());
    let pretty = event("order/7/4", b"{\n  \"a\": 1\n}\n");
    let empty = event("order/7/5", b"");
    vec![plain, rich, text, binary, pretty, empty]
}

fn header(seq: u64, first: u64, count: u64, kind: CellKind) -> CellHeader {
    CellHeader {
        seq,
        first_revision: Revision(first),
        count,
        commit: commit(u128::from(seq) + 100),
        previous: seq.checked_sub(1).map(|seq| commit(u128::from(seq) + 100)),
        last_control: None,
        kind,
    }
}

/// The first cell of a migration's target, its body stored as it is.
pub(crate) fn origin_cell() -> Cell {
    let retired = Schema {
        event_type: "OrderPlaced".parse().unwrap(),
        version: SchemaVersion(1),
    };
    let origin = Origin {
        source: stream("order-7.aaaa"),
        migration: migration(),
        attempt: 1,
        fingerprint: Fingerprint::new("jq:abc").unwrap(),
        retired: [retired].into(),
        accepted: Default::default(),
        restores: None,
    };
    let kind = CellKind::Data {
        origin: Some(origin),
        cursor: Some(Revision(0)),
    };
    Cell {
        header: header(0, 0, 0, kind),
        events: Vec::new(),
    }
}

/// As [`origin_cell`], with a retired schema that is accepted as it is.
pub(crate) fn accepting_cell() -> Cell {
    let mut cell = origin_cell();
    if let CellKind::Data {
        origin: Some(origin),
        ..
    } = &mut cell.header.kind
    {
        origin.accepted = origin.retired.clone();
    }
    cell
}

/// A cell that an application wrote: one small event.
pub(crate) fn small_cell() -> Cell {
    let kind = CellKind::Data {
        origin: None,
        cursor: None,
    };
    let event = Event::new("1".parse().unwrap(), "T".parse().unwrap(), "{}");
    Cell {
        header: header(1, 0, 1, kind),
        events: vec![event.into()],
    }
}

/// A cell that a copier wrote, compressed, with every kind of run of source revisions.
pub(crate) fn copied_cell() -> Cell {
    let sources = [Some(4), Some(5), Some(5), Some(5), Some(9), None];
    let events: Vec<_> = events()
        .into_iter()
        .zip(sources)
        .map(|(event, source)| CellEvent {
            event,
            source_revision: source.map(Revision),
        })
        .collect();
    let kind = CellKind::Data {
        origin: None,
        cursor: Some(Revision(10)),
    };
    Cell {
        header: header(2, 1, events.len() as u64, kind),
        events,
    }
}

pub(crate) fn close_cell() -> Cell {
    let close = Close {
        target: Some(stream("order-7-v2.bbbb")),
        events: Revision(7),
        target_events: Revision(9),
        migration: migration(),
        continues: true,
        target_last: None,
    };
    let header = header(4, 7, 0, CellKind::Close(close));
    Cell {
        header: CellHeader {
            last_control: Some(3),
            ..header
        },
        events: Vec::new(),
    }
}

pub(crate) fn fence_cell() -> Cell {
    let fence = Fence {
        target: StreamId::new("order-7-v2.cccc").unwrap(),
        migration: migration(),
    };
    Cell {
        header: header(3, 7, 0, CellKind::Fence(fence)),
        events: Vec::new(),
    }
}

pub(crate) fn tombstone_cell() -> Cell {
    let copied = copied_cell().header;
    Cell {
        header: CellHeader {
            kind: CellKind::Tombstone,
            ..copied
        },
        events: Vec::new(),
    }
}

pub(crate) fn draft() -> BackupDraft {
    BackupDraft {
        id: BackupId::new("order-7-before").unwrap(),
        kind: BackupKind::Backup,
        migration: Some(migration()),
        created_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        settings: BackupSettings {
            content: BackupContent { documents: true },
            compression: Compression::Zstd { level: 3 },
            keep_until: Some("2027-01-02T03:04:05Z".parse().unwrap()),
            tags: [("reason".to_owned(), "audit".to_owned())].into(),
        },
    }
}

/// Two sections: one with a document and events, one with neither.
pub(crate) fn sections() -> Vec<(BackupSection, Vec<Event>)> {
    let created = "2025-06-07T08:09:10Z".parse().unwrap();
    let object = |text: &str| text.parse::<esm_core::id::ObjectId>().unwrap();
    let full = BackupSection {
        object: object("order/7"),
        stream: stream("order-7.aaaa"),
        document: Some(ObjectDocument::new(
            object("order/7"),
            stream("order-7.aaaa"),
            created,
        )),
    };
    let bare = BackupSection {
        object: object("order/8/b"),
        stream: stream("order-8.aaaa"),
        document: None,
    };
    vec![(full, events()), (bare, Vec::new())]
}

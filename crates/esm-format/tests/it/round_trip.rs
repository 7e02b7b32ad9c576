//! Whatever goes in comes out: events as lines, cells and backups.

use crate::{samples, strategies};
use bytes::Bytes;
use esm_core::RollingHash;
use esm_core::event::{Event, Revision};
use esm_core::id::{BackupId, ObjectId, StreamRef};
use esm_core::store::{
    BackupDraft, BackupItem, BackupKind, BackupManifest, BackupSection, BackupSettings, CellEvent,
    SectionSummary,
};
use esm_format::backup::{BackupDecoder, BackupEncoder, decode_manifest, encode_manifest};
use esm_format::{cell, cloudevent};
use proptest::collection::vec;
use proptest::prelude::*;

fn line(event: &Event, attributes: &cloudevent::Attributes<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    cloudevent::encode(event, attributes, &mut line);
    line
}

type Section = (ObjectId, StreamRef, Vec<Event>);

async fn write_backup(sections: &[Section]) -> (BackupManifest, Vec<u8>, Vec<u8>) {
    let draft = BackupDraft {
        id: BackupId::new("b").unwrap(),
        kind: BackupKind::Archive,
        migration: None,
        created_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        settings: BackupSettings::default(),
    };
    let mut encoder = BackupEncoder::new(draft, Vec::new(), Vec::new()).unwrap();
    for (object, stream, events) in sections {
        let section = BackupSection {
            object: object.clone(),
            stream: stream.clone(),
            document: None,
        };
        encoder.section(section).await.unwrap();
        for piece in events.chunks(3) {
            encoder.events(piece).await.unwrap();
        }
        encoder.end(summary(events)).await.unwrap();
    }
    encoder.finish().await.unwrap()
}

fn summary(events: &[Event]) -> SectionSummary {
    SectionSummary {
        events: events.len() as u64,
        hash: RollingHash::of(events).to_string(),
    }
}

async fn read_backup(
    manifest: BackupManifest,
    events: &[u8],
    sections: &[u8],
) -> esm_core::Result<Vec<Section>> {
    let mut decoder = BackupDecoder::new(manifest, events, sections)?;
    let mut found = Vec::new();
    while let Some(item) = decoder.next().await? {
        match item {
            BackupItem::Section(s) => found.push((s.object, s.stream, Vec::new())),
            BackupItem::Events(events) => found.last_mut().unwrap().2.extend(events),
            BackupItem::End(end) => assert_eq!(end, summary(&found.last().unwrap().2)),
        }
    }
    Ok(found)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(future)
}

proptest! {
    #[test]
    fn an_event_as_a_line(event in strategies::event(), object in strategies::object(), at: u64) {
        let revision = Revision(at);
        let attributes = cloudevent::Attributes::of(&object, revision);
        let line = line(&event, &attributes);
        prop_assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
        prop_assert_eq!(line.len() as u64, cloudevent::encoded_len(&event, &attributes));
        let own_kind = ["source", "subject"].iter().any(|key| {
            let own = event.metadata.get(key);
            own.is_some_and(|v| !matches!(v, esm_core::event::MetadataValue::Text(_)))
        });
        if own_kind {
            // CloudEvents has only text there; cells and backups keep it all the same
            prop_assert!(cloudevent::decode(&line).is_err());
            return Ok(());
        }
        let decoded = cloudevent::decode(&line).unwrap();
        prop_assert_eq!(decoded.sequence, Some(revision));
        let mut expected = event;
        for (key, implied) in [("source", object.name().as_str()), ("subject", object.key().as_str())] {
            if expected.metadata.get(key) == Some(&implied.into()) {
                expected.metadata.remove(key);
            }
        }
        prop_assert_eq!(decoded.into_event_of(&object), expected);
    }

    #[test]
    fn a_cell(written in strategies::cell()) {
        let bytes = cell::encode(&written, &samples::stream_id()).unwrap();
        prop_assert_eq!(&cell::decode(&bytes, &samples::stream_id()).unwrap(), &written);
        prop_assert_eq!(cell::decode_header(&bytes, &samples::stream_id()).unwrap(), written.header);
    }

    #[test]
    fn a_backup(sections in vec((strategies::object(), strategies::stream(), vec(strategies::event(), 0..6)), 0..4)) {
        let found = block_on(async {
            let (manifest, events, list) = write_backup(&sections).await;
            let stored = encode_manifest(&manifest).unwrap();
            assert_eq!(decode_manifest(&stored).unwrap(), manifest);
            read_backup(manifest, &events, &list).await.unwrap()
        });
        prop_assert_eq!(found, sections);
    }

    #[test]
    fn a_damaged_cell_is_an_error_or_equal(
        written in strategies::cell(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = cell::encode(&written, &samples::stream_id()).unwrap().to_vec();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(read) = cell::decode(&bytes, &samples::stream_id()) {
            prop_assert_eq!(&read, &written);
        }
        if let Ok(read) = cell::decode_header(&bytes, &samples::stream_id()) {
            prop_assert_eq!(read, written.header);
        }
    }

    #[test]
    fn a_damaged_line_is_an_error_or_an_event_that_can_be_written(
        event in strategies::event(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let object = "order/7".parse().unwrap();
        let mut bytes = line(&event, &cloudevent::Attributes::of(&object, Revision(0)));
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(decoded) = cloudevent::decode(&bytes) {
            let event = decoded.into_event_of(&object);
            let again = line(&event, &cloudevent::Attributes::of(&object, Revision(0)));
            prop_assert_eq!(cloudevent::decode(&again).unwrap().into_event_of(&object), event);
        }
    }

    #[test]
    fn any_bytes_are_no_cell_and_no_panic(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(cell::decode(&bytes, &samples::stream_id()).is_err());
        let mut behind_the_magic = b"{\"esm_cell\":1,".to_vec();
        behind_the_magic.extend_from_slice(&bytes);
        prop_assert!(cell::decode(&behind_the_magic, &samples::stream_id()).is_err());
    }
}

#[test]
fn a_store_can_tell_the_size_of_events_before_it_writes_them() {
    let mut event = Event::new("1".parse().unwrap(), "T".parse().unwrap(), "{\"a\":1}");
    let one = cell::uncompressed_size(&[CellEvent::from(event.clone())]);
    event.payload = Bytes::from_static(b"{\"a\":12}");
    let two = [CellEvent::from(event.clone()), CellEvent::from(event)];
    assert_eq!(cell::uncompressed_size(&two), 2 * (one + 1));
}

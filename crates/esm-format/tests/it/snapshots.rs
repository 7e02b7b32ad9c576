//! Every version of every durable format stays readable, from the bytes that it wrote.
//!
//! `ESM_WRITE_SNAPSHOTS=1 cargo test -p esm-format --test it` writes files that are absent.
//! One that exists is never replaced: a change of a format is a new version in a new folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::samples;
use esm_core::RollingHash;
use esm_core::event::Revision;
use esm_core::store::{BackupItem, Cell, SectionSummary};
use esm_format::backup::{
    BackupDecoder, BackupEncoder, EVENTS_FILE, MANIFEST_FILE, SECTIONS_FILE, decode_manifest,
    encode_manifest,
};
use esm_format::{cell, cloudevent};

fn path(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    tests.join("snapshots").join("v1").join(name)
}

/// The bytes that this version of the format wrote.
fn snapshot(name: &str, written_now: &[u8]) -> Vec<u8> {
    let path = path(name);
    if !path.exists() && std::env::var_os("ESM_WRITE_SNAPSHOTS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, written_now).unwrap();
    }
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Checks the bytes that the first version wrote, and those of the present one, which differ by one
/// field: the stream that the cell belongs to.
fn check_cell(name: &str, sample: &Cell, reproducible: bool) {
    let stream = samples::stream_id();
    let written = cell::encode(sample, &stream).unwrap();
    let unnamed = fs::read(path(name)).unwrap();
    let named = snapshot(&format!("{name}-of-stream"), &written);
    for stored in [&unnamed, &named] {
        assert_eq!(&cell::decode(stored, &stream).unwrap(), sample, "{name}");
        assert_eq!(
            cell::decode_header(stored, &stream).unwrap(),
            sample.header,
            "{name}"
        );
    }
    if reproducible {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text(&written), text(&named), "{name}: writing has changed");
        let field = format!(",\"stream\":\"{stream}\"");
        let named = text(&named);
        let (before, behind) = named.rsplit_once(&field).unwrap();
        let without = format!("{before}{behind}");
        assert_eq!(covered(&without), covered(&text(&unnamed)), "{name}");
    }
}

/// The first line up to its checksum.
fn covered(cell: &str) -> &str {
    let line = cell.lines().next().unwrap();
    &line[..line.rfind(",\"crc32\"").unwrap()]
}

#[test]
fn cells() {
    check_cell("cell-origin", &samples::origin_cell(), true);
    check_cell("cell-origin-accepting", &samples::accepting_cell(), true);
    check_cell("cell-small", &samples::small_cell(), true);
    check_cell("cell-close", &samples::close_cell(), true);
    check_cell("cell-fence", &samples::fence_cell(), true);
    check_cell("cell-tombstone", &samples::tombstone_cell(), true);
    // other versions of zstd may compress to other bytes
    check_cell("cell-copied", &samples::copied_cell(), false);
}

#[test]
fn lines() {
    let object = "order/7".parse().unwrap();
    let mut written = Vec::new();
    for (revision, event) in (0..).zip(samples::events()) {
        let place = cloudevent::Attributes::of(&object, Revision(revision));
        cloudevent::encode(&event, &place, &mut written);
        written.push(b'\n');
    }
    let stored = String::from_utf8(snapshot("events.ndjson", &written)).unwrap();
    assert_eq!(
        String::from_utf8(written).unwrap(),
        stored,
        "writing has changed"
    );
    for (revision, (line, mut event)) in (0..).zip(stored.lines().zip(samples::events())) {
        let decoded = cloudevent::decode(line.as_bytes()).unwrap();
        assert_eq!(decoded.sequence, Some(Revision(revision)));
        // what the object implies is not kept
        if event.metadata.get("subject") == Some(&"7".into()) {
            event.metadata.remove("subject");
        }
        assert_eq!(decoded.into_event_of(&object), event);
    }
}

#[tokio::test]
async fn backups() {
    let mut encoder = BackupEncoder::new(samples::draft(), Vec::new(), Vec::new()).unwrap();
    let mut expected = Vec::new();
    for (section, events) in samples::sections() {
        let summary = SectionSummary {
            events: events.len() as u64,
            hash: RollingHash::of(&events).to_string(),
        };
        encoder.section(section.clone()).await.unwrap();
        encoder.events(&events).await.unwrap();
        encoder.end(summary.clone()).await.unwrap();
        expected.push(BackupItem::Section(Box::new(section)));
        if !events.is_empty() {
            expected.push(BackupItem::Events(events));
        }
        expected.push(BackupItem::End(summary));
    }
    let (manifest, events, sections) = encoder.finish().await.unwrap();
    let events = snapshot(EVENTS_FILE, &events);
    let sections = snapshot(SECTIONS_FILE, &sections);
    let stored = snapshot(MANIFEST_FILE, &encode_manifest(&manifest).unwrap());

    let stored = decode_manifest(&stored).unwrap();
    assert_eq!(
        (&stored.settings, stored.events),
        (&manifest.settings, manifest.events)
    );
    let mut decoder = BackupDecoder::new(stored, &events[..], &sections[..]).unwrap();
    let mut found = Vec::new();
    while let Some(item) = decoder.next().await.unwrap() {
        found.push(item);
    }
    assert_eq!(found, expected);
}

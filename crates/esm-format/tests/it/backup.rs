//! What is wrong with a backup is said, and in which file.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::samples;
use esm_core::RollingHash;
use esm_core::store::{BackupDraft, BackupManifest, Compression, NewerBackup, SectionSummary};
use esm_core::{Error, ErrorKind};
use esm_format::backup::{BackupDecoder, BackupEncoder, decode_manifest, encode_manifest};
use tokio::io::AsyncWrite;

#[derive(Debug, Clone)]
struct Backup {
    manifest: BackupManifest,
    events: Vec<u8>,
    sections: Vec<u8>,
}

fn encoder(draft: BackupDraft) -> BackupEncoder<Vec<u8>, Vec<u8>> {
    BackupEncoder::new(draft, Vec::new(), Vec::new()).unwrap()
}

async fn written() -> Backup {
    let mut encoder = encoder(samples::draft());
    for (section, events) in samples::sections() {
        let summary = summary(events.len() as u64);
        encoder.section(section).await.unwrap();
        encoder.events(&events).await.unwrap();
        encoder.end(summary).await.unwrap();
    }
    let (manifest, events, sections) = encoder.finish().await.unwrap();
    Backup {
        manifest,
        events,
        sections,
    }
}

fn summary(events: u64) -> SectionSummary {
    SectionSummary {
        events,
        hash: RollingHash::new().to_string(),
    }
}

async fn read(backup: &Backup) -> Result<(), Error> {
    let (events, sections) = (&backup.events[..], &backup.sections[..]);
    let mut decoder = BackupDecoder::new(backup.manifest.clone(), events, sections)?;
    while decoder.next().await?.is_some() {}
    assert!(decoder.next().await?.is_none(), "the end stays the end");
    Ok(())
}

async fn corrupt(backup: &Backup) -> String {
    let error = read(backup).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Corrupt, "{error}");
    error.to_string()
}

/// The backup with one file unpacked, changed and packed again, sizes and checksums made right.
async fn rewritten(events: impl Fn(&str) -> String, sections: impl Fn(&str) -> String) -> Backup {
    let mut backup = written().await;
    let repack = |file: &mut Vec<u8>, change: &dyn Fn(&str) -> String| {
        let text = String::from_utf8(zstd::decode_all(&file[..]).unwrap()).unwrap();
        let text = change(&text);
        *file = zstd::encode_all(text.as_bytes(), 3).unwrap();
        text.len() as u64
    };
    let uncompressed_bytes = repack(&mut backup.events, &events);
    repack(&mut backup.sections, &sections);
    let hash = |file: &[u8]| blake3::hash(file).to_hex().to_string();
    let sums = &mut backup.manifest.checksums;
    sums.uncompressed_bytes = uncompressed_bytes;
    sums.stored_bytes = backup.events.len() as u64;
    sums.stored_blake3 = hash(&backup.events);
    sums.sections_bytes = backup.sections.len() as u64;
    sums.sections_blake3 = hash(&backup.sections);
    backup
}

fn same(text: &str) -> String {
    text.to_owned()
}

#[tokio::test]
async fn a_backup_that_is_rewritten_as_it_was_is_read() {
    read(&rewritten(same, same).await).await.unwrap();
}

#[tokio::test]
async fn damage_and_cuts_are_named_by_file() {
    let good = written().await;
    for at in 0..good.events.len() {
        let mut bad = good.clone();
        bad.events[at] ^= 0x10;
        assert!(corrupt(&bad).await.starts_with("events.ndjson.zst"), "{at}");
        let mut bad = good.clone();
        bad.events.truncate(at);
        assert!(corrupt(&bad).await.starts_with("events.ndjson.zst"), "{at}");
    }
    for at in 0..good.sections.len() {
        let mut bad = good.clone();
        bad.sections[at] ^= 0x10;
        assert!(
            corrupt(&bad).await.starts_with("sections.ndjson.zst"),
            "{at}"
        );
        let mut bad = good.clone();
        bad.sections.truncate(at);
        let message = corrupt(&bad).await;
        // without any section, it is the events that are in no section
        let expected = [
            "sections.ndjson.zst",
            "events.ndjson.zst: line 1: it belongs to no section",
        ];
        assert!(
            expected.iter().any(|e| message.starts_with(e)),
            "{at}: {message}"
        );
    }
}

#[tokio::test]
async fn another_checksum_or_count_than_the_manifest_says_is_corrupt() {
    let good = written().await;
    let change = |change: &dyn Fn(&mut BackupManifest)| {
        let mut bad = good.clone();
        change(&mut bad.manifest);
        bad
    };
    let zero = "0".repeat(64);
    for (bad, message) in [
        (
            change(&|m| m.checksums.stored_blake3 = zero.clone()),
            "events.ndjson.zst has another checksum than the manifest says".to_owned(),
        ),
        (
            change(&|m| m.checksums.sections_blake3 = zero.clone()),
            "sections.ndjson.zst has another checksum than the manifest says".to_owned(),
        ),
        (
            change(&|m| m.checksums.stored_bytes += 1),
            format!(
                "events.ndjson.zst has {} bytes instead of {}, as the manifest says",
                good.events.len(),
                good.events.len() + 1
            ),
        ),
        (
            change(&|m| m.events = 7),
            "backup has 6 events instead of 7, as its manifest says".to_owned(),
        ),
        (
            change(&|m| m.sections = 1),
            "backup has 2 sections instead of 1, as its manifest says".to_owned(),
        ),
        (
            change(&|m| m.checksums.uncompressed_bytes = 100),
            "events.ndjson.zst: line 1: longer than 100 bytes".to_owned(),
        ),
    ] {
        assert_eq!(corrupt(&bad).await, message);
    }
}

#[tokio::test]
async fn events_must_stand_at_their_places() {
    let bad = rewritten(
        |text| text.replacen(r#""sequence":"0""#, r#""sequence":"1""#, 1),
        same,
    );
    assert_eq!(
        corrupt(&bad.await).await,
        "events.ndjson.zst: line 1: its sequence is not 0"
    );

    let bad = rewritten(
        |text| text.replacen(r#""subject":"7""#, r#""subject":"8""#, 1),
        same,
    );
    let message = "events.ndjson.zst: line 1: it is not an event of order/7";
    assert_eq!(corrupt(&bad.await).await, message);

    let bad = rewritten(|text| text.replacen(r#""id":"#, r#""di":"#, 1), same);
    let message = "events.ndjson.zst: line 1: attribute is missing: id";
    assert_eq!(corrupt(&bad.await).await, message);

    let without_last = |text: &str| {
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        lines[..lines.len() - 1].concat()
    };
    let bad = rewritten(without_last, same).await;
    let message = "events.ndjson.zst ends before event 5 of 6 of order/7";
    assert_eq!(corrupt(&bad).await, message);

    let with_another = |text: &str| format!("{text}{}", text.lines().next().unwrap());
    let bad = rewritten(with_another, same).await;
    let message = "events.ndjson.zst: line 7: it belongs to no section";
    assert_eq!(corrupt(&bad).await, message);

    let bad = rewritten(same, |text| text.replacen("\"object\"", "\"thing\"", 1)).await;
    let message = corrupt(&bad).await;
    assert!(
        message.starts_with("sections.ndjson.zst: line 1: missing field `object`"),
        "{message}"
    );
}

#[tokio::test]
async fn a_manifest_of_a_newer_format_is_refused_even_if_nothing_else_is_known_of_it() {
    let expected = "backup has the newer format 9; this version reads up to 1";
    let error = decode_manifest(br#"{"format":9}"#).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (&ErrorKind::Corrupt, expected.to_owned())
    );
    assert!(NewerBackup::caused(&error.context("backup 1")));
    let mut backup = written().await;
    backup.manifest.format = 9;
    assert_eq!(corrupt(&backup).await, expected);

    let cut = encode_manifest(&written().await.manifest).unwrap();
    let error = decode_manifest(&cut[..cut.len() / 2]).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Corrupt);
    assert!(!NewerBackup::caused(&error));
    assert!(
        error
            .to_string()
            .starts_with("manifest.json cannot be read: "),
        "{error}"
    );
}

#[tokio::test]
async fn items_out_of_order_are_refused() {
    let invalid = |result: Result<(), Error>| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Invalid);
        error.to_string()
    };
    let (section, events) = samples::sections().swap_remove(0);
    let mut writer = encoder(samples::draft());
    assert_eq!(
        invalid(writer.events(&events).await),
        "event is outside a section of the backup: order/7/0"
    );
    assert_eq!(
        invalid(writer.end(summary(0)).await),
        "no section of the backup has begun"
    );
    writer.section(section.clone()).await.unwrap();
    assert_eq!(
        invalid(writer.section(section.clone()).await),
        "section of the backup is out of order, the one before has not ended: order/7"
    );
    writer.events(&events).await.unwrap();
    assert_eq!(
        invalid(writer.end(summary(5)).await),
        "section counts 5 events, but 6 were added: order/7"
    );
    let mut writer = encoder(samples::draft());
    writer.section(section).await.unwrap();
    assert_eq!(
        invalid(writer.finish().await.map(drop)),
        "section of the backup is out of order, it has not ended: order/7"
    );
}

#[test]
fn a_level_that_zstd_does_not_have_is_refused() {
    for level in [0, 20, -1] {
        let mut draft = samples::draft();
        draft.settings.compression = Compression::Zstd { level };
        let error = BackupEncoder::new(draft, Vec::new(), Vec::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("zstd level is not 1 to 19: {level}")
        );
    }
}

/// Has no room.
#[derive(Debug)]
struct Full;

impl AsyncWrite for Full {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::StorageFull.into()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_the_writer_fails_with_is_passed_on() {
    let encoder = BackupEncoder::new(samples::draft(), Full, Vec::new()).unwrap();
    let error = encoder.finish().await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::StorageFull);
}

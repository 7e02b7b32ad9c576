//! The suite of backup providers: see [`backup_conformance!`](crate::backup_conformance).
//!
//! ```
//! # struct Mine(esm_testkit::memory::MemoryBackups);
//! # #[async_trait::async_trait]
//! # impl esm_testkit::conformance::BackupHarness for Mine {
//! #     async fn open(&self) -> std::sync::Arc<dyn esm_core::store::BackupProvider> {
//! #         std::sync::Arc::new(self.0.clone())
//! #     }
//! #     async fn corrupt(&self, id: &esm_core::id::BackupId) -> bool {
//! #         self.0.corrupt(id)
//! #     }
//! #     async fn truncate(&self, id: &esm_core::id::BackupId) -> bool {
//! #         self.0.truncate(id)
//! #     }
//! # }
//! use esm_testkit::conformance::{backup, run_case};
//! use esm_testkit::memory::MemoryBackups;
//!
//! // `Mine` is a `BackupHarness`: its documentation shows one
//! for case in backup::CASES {
//!     let mine = Mine(MemoryBackups::new());
//!     let verdict = run_case(async { (case.run)(&mine).await });
//!     verdict.unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
//! }
//! ```

mod damage;
mod restoring;

use esm_core::ErrorKind;
use esm_core::RollingHash;
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{BackupId, ObjectId, StoreId, StreamId, StreamRef};
use esm_core::object::ObjectDocument;
use esm_core::store::{
    BackupContent, BackupDraft, BackupItem, BackupKind, BackupManifest, BackupProvider,
    BackupSection, BackupSettings, BackupWriter, SectionSummary,
};
use futures::TryStreamExt as _;

use super::fixtures::{event, migration, odd_events, present};
use super::verdict::{ensure, ensure_eq, ensure_err};
use super::{BackupHarness, Failure, Verdict};

pub use damage::*;
pub use restoring::*;

crate::__backup_cases!(__conformance_table!(dyn BackupHarness));

/// The list of cases, handed to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __backup_cases {
    ($then:ident!($($arguments:tt)*)) => {
        $crate::$then! { ($($arguments)*) [
            what_was_written_is_read
            a_manifest_counts_and_keeps_the_draft
            an_empty_backup_is_a_backup
            a_large_backup_is_read
            nothing_is_seen_before_the_end
            a_dropped_writer_leaves_no_backup
            a_name_is_used_once
            one_of_two_writers_wins
            a_missing_backup_is_not_found
            all_backups_are_listed_once
            a_deleted_backup_is_gone
            corruption_is_noticed
            a_missing_end_is_noticed
            a_changed_retention_is_noticed
            a_restore_brings_back_what_was_backed_up
            a_damaged_backup_replaces_nothing
            odd_backup_names_do_not_collide
        ] }
    };
}

/// One `#[test]` per case of the backup providers' suite, each with its own harness.
///
/// Takes an expression that makes a [`BackupHarness`]; it may await.
///
/// ```
/// # struct Mine(esm_testkit::memory::MemoryBackups);
/// # #[async_trait::async_trait]
/// # impl esm_testkit::conformance::BackupHarness for Mine {
/// #     async fn open(&self) -> std::sync::Arc<dyn esm_core::store::BackupProvider> {
/// #         std::sync::Arc::new(self.0.clone())
/// #     }
/// #     async fn corrupt(&self, id: &esm_core::id::BackupId) -> bool {
/// #         self.0.corrupt(id)
/// #     }
/// #     async fn truncate(&self, id: &esm_core::id::BackupId) -> bool {
/// #         self.0.truncate(id)
/// #     }
/// # }
/// use esm_testkit::memory::MemoryBackups;
///
/// // `Mine` is a `BackupHarness`: its documentation shows one
/// esm_testkit::backup_conformance!(Mine(MemoryBackups::new()));
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! backup_conformance {
    ($harness:expr) => {
        $crate::__backup_cases!(__conformance_tests!(backup, $harness));
    };
}

/// The events of a section of a backup, however they were divided.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Section {
    begin: BackupSection,
    events: Vec<Event>,
    end: SectionSummary,
}

fn section(number: u64, events: Vec<Event>) -> Result<Section, Failure> {
    let object: ObjectId = format!("order/é {number}").parse()?;
    let store = StoreId::from_uuid(Environment::system().uuid_v4());
    let stream = StreamRef::new(store, StreamId::first(&object));
    let created_at = Environment::system().clock.now();
    let document = ObjectDocument::new(object.clone(), stream.clone(), created_at);
    let end = SectionSummary {
        events: events.len() as u64,
        hash: RollingHash::of(&events).to_string(),
    };
    let begin = BackupSection {
        object,
        stream,
        document: number.is_multiple_of(2).then_some(document),
    };
    Ok(Section { begin, events, end })
}

fn sections() -> Result<Vec<Section>, Failure> {
    let many = (0..100).map(event).collect::<Result<_, _>>()?;
    Ok(vec![
        section(0, odd_events()?)?,
        section(1, Vec::new())?,
        section(2, many)?,
        section(3, Vec::new())?,
    ])
}

fn id(text: &str) -> Result<BackupId, Failure> {
    Ok(BackupId::new(text)?)
}

fn draft(id: &BackupId) -> BackupDraft {
    let clock = Environment::system().clock;
    BackupDraft {
        id: id.clone(),
        kind: BackupKind::Archive,
        migration: Some(migration()),
        created_at: clock.now(),
        settings: BackupSettings {
            content: BackupContent { documents: true },
            keep_until: Some(clock.now()),
            tags: [("why é".to_owned(), "\"quoted\"\n".to_owned())].into(),
            ..BackupSettings::default()
        },
    }
}

/// Writes the sections, the events a few at a time.
async fn write(writer: &mut dyn BackupWriter, sections: &[Section]) -> Verdict {
    for section in sections {
        writer.section(section.begin.clone()).await?;
        for events in section.events.chunks(7) {
            writer.events(events).await?;
        }
        writer.end(section.end.clone()).await?;
    }
    Ok(())
}

async fn make(
    provider: &dyn BackupProvider,
    id: &BackupId,
    sections: &[Section],
) -> Result<BackupManifest, Failure> {
    let mut writer = provider.create(draft(id)).await?;
    write(&mut *writer, sections).await?;
    Ok(writer.finish().await?)
}

async fn read(provider: &dyn BackupProvider, id: &BackupId) -> esm_core::Result<Vec<Section>> {
    let mut reader = provider.open(id).await?;
    let (mut sections, mut open) = (Vec::new(), None);
    while let Some(item) = reader.next().await? {
        open = match (item, open) {
            (BackupItem::Section(begin), None) => Some((*begin, Vec::new())),
            (BackupItem::Events(more), Some((begin, mut events))) => {
                events.extend(more);
                Some((begin, events))
            }
            (BackupItem::End(end), Some((begin, events))) => {
                sections.push(Section { begin, events, end });
                None
            }
            (item, open) => {
                let message = format!("items are out of order: {item:?} after {open:?}");
                return Err(esm_core::Error::invalid(message));
            }
        };
    }
    match open {
        None => Ok(sections),
        Some(_) => Err(esm_core::Error::invalid("the last section has no end")),
    }
}

/// Guarantee 3, for sections with, without and with odd events.
pub async fn what_was_written_is_read(harness: &dyn BackupHarness) -> Verdict {
    let (id, wanted) = (id("backup")?, sections()?);
    make(&*harness.open().await, &id, &wanted).await?;
    let found = read(&*harness.open().await, &id).await?;
    ensure_eq!(found.len(), wanted.len(), "number of sections");
    for (found, wanted) in found.iter().zip(&wanted) {
        ensure_eq!(found, wanted, "section");
    }
    Ok(())
}

/// The manifest has the requested settings and the actual counts, wherever it is read.
pub async fn a_manifest_counts_and_keeps_the_draft(harness: &dyn BackupHarness) -> Verdict {
    let (provider, id, sections) = (harness.open().await, id("backup")?, sections()?);
    let draft = draft(&id);
    let mut writer = provider.create(draft.clone()).await?;
    write(&mut *writer, &sections).await?;
    let manifest = writer.finish().await?;
    let kept = BackupDraft {
        id: manifest.id.clone(),
        kind: manifest.kind,
        migration: manifest.migration,
        created_at: manifest.created_at,
        settings: manifest.settings.clone(),
    };
    ensure_eq!(kept, draft, "draft in the manifest");
    let events = sections.iter().map(|s| s.events.len() as u64).sum::<u64>();
    ensure_eq!(
        (manifest.sections, manifest.events),
        (4, events),
        "sections and events"
    );
    let first = Some(&sections[0].begin.object);
    ensure_eq!(manifest.first_object.as_ref(), first, "first object");
    let payloads = sections
        .iter()
        .flat_map(|s| &s.events)
        .map(|e| e.payload.len() as u64);
    let uncompressed = manifest.checksums.uncompressed_bytes;
    ensure!(
        uncompressed >= payloads.sum::<u64>(),
        "too few bytes: {uncompressed}"
    );
    let other = harness.open().await;
    ensure_eq!(other.manifest(&id).await?, manifest, "manifest read again");
    ensure_eq!(
        *other.open(&id).await?.manifest(),
        manifest,
        "manifest of the reader"
    );
    Ok(())
}

/// A backup without sections.
pub async fn an_empty_backup_is_a_backup(harness: &dyn BackupHarness) -> Verdict {
    let (provider, id) = (harness.open().await, id("empty")?);
    let manifest = make(&*provider, &id, &[]).await?;
    ensure_eq!(
        (manifest.sections, manifest.events),
        (0, 0),
        "sections and events"
    );
    ensure_eq!(read(&*provider, &id).await?, [], "sections");
    Ok(())
}

/// Guarantee 3, for more than a buffer holds.
pub async fn a_large_backup_is_read(harness: &dyn BackupHarness) -> Verdict {
    let (provider, id) = (harness.open().await, id("large")?);
    let mut events = Vec::new();
    for number in 0..20_000_u64 {
        let mut event = event(number)?;
        let filler = blake3::hash(&number.to_le_bytes()).to_hex();
        event.payload = format!("{{\"filler\":\"{filler}{filler}\"}}").into();
        events.push(event);
    }
    let wanted = [section(0, events)?, section(1, vec![event(0)?])?];
    let manifest = make(&*provider, &id, &wanted).await?;
    ensure_eq!(manifest.events, 20_001, "number of events");
    let found = read(&*harness.open().await, &id).await?;
    ensure!(found == wanted, "a large backup has changed");
    Ok(())
}

async fn ensure_missing(provider: &dyn BackupProvider, id: &BackupId, when: &str) -> Verdict {
    let manifest = provider.manifest(id).await;
    ensure_err!(manifest, ErrorKind::NotFound, "the manifest {when}");
    let reader = provider.open(id).await.map(drop);
    ensure_err!(reader, ErrorKind::NotFound, "a reader {when}");
    let listed: Vec<_> = provider.list().try_collect().await?;
    ensure_eq!(listed, [], "backups {when}");
    Ok(())
}

/// Guarantee 1.
pub async fn nothing_is_seen_before_the_end(harness: &dyn BackupHarness) -> Verdict {
    let (provider, other, id) = (harness.open().await, harness.open().await, id("late")?);
    let mut writer = provider.create(draft(&id)).await?;
    ensure_missing(&*other, &id, "after the beginning").await?;
    write(&mut *writer, &sections()?).await?;
    ensure_missing(&*other, &id, "before the end").await?;
    let manifest = writer.finish().await?;
    ensure_eq!(
        other.manifest(&id).await?,
        manifest,
        "manifest after the end"
    );
    Ok(())
}

/// Guarantee 1: a backup whose writer crashed does not exist, and its name is free.
pub async fn a_dropped_writer_leaves_no_backup(harness: &dyn BackupHarness) -> Verdict {
    let (provider, id, sections) = (harness.open().await, id("crashed")?, sections()?);
    let mut writer = provider.create(draft(&id)).await?;
    write(&mut *writer, &sections).await?;
    drop(writer);
    let other = harness.open().await;
    ensure_missing(&*other, &id, "after a crash").await?;
    make(&*other, &id, &sections[..2]).await?;
    ensure_eq!(
        read(&*provider, &id).await?,
        &sections[..2],
        "sections of the second try"
    );
    Ok(())
}

/// Guarantee 2: the second is refused at its beginning or its end, and the first stays as it is.
pub async fn a_name_is_used_once(harness: &dyn BackupHarness) -> Verdict {
    let (provider, id, wanted) = (harness.open().await, id("taken")?, sections()?);
    let manifest = make(&*provider, &id, &wanted).await?;
    let other = harness.open().await;
    let second = match other.create(draft(&id)).await {
        Err(error) => Err(error),
        Ok(mut writer) => {
            write(&mut *writer, &[section(9, vec![event(9)?])?]).await?;
            writer.finish().await
        }
    };
    ensure_err!(
        second,
        ErrorKind::AlreadyExists,
        "a second backup of the name"
    );
    ensure_eq!(
        provider.manifest(&id).await?,
        manifest,
        "manifest of the first"
    );
    ensure!(
        read(&*other, &id).await? == wanted,
        "the first backup has changed"
    );
    Ok(())
}

/// Guarantee 2, when both have begun before either ends.
pub async fn one_of_two_writers_wins(harness: &dyn BackupHarness) -> Verdict {
    let (one, two, id) = (harness.open().await, harness.open().await, id("contested")?);
    let contents = [
        section(1, vec![event(1)?])?,
        section(2, vec![event(2)?, event(3)?])?,
    ];
    let mut writers = Vec::new();
    for provider in [&one, &two] {
        // the writer that began second may be refused at once
        if let Ok(writer) = provider.create(draft(&id)).await {
            writers.push(writer);
        }
    }
    for (writer, content) in writers.iter_mut().zip(&contents) {
        write(&mut **writer, std::slice::from_ref(content)).await?;
    }
    let mut won = Vec::new();
    for (writer, content) in writers.into_iter().zip(&contents) {
        match writer.finish().await {
            Ok(manifest) => won.push((manifest, content)),
            Err(error) => {
                let refused = *error.kind() == ErrorKind::AlreadyExists;
                ensure!(
                    refused,
                    "a loser got another error than AlreadyExists: {error:?}"
                );
            }
        }
    }
    ensure_eq!(won.len(), 1, "winners of two");
    let (manifest, content) = &won[0];
    ensure_eq!(
        one.manifest(&id).await?,
        *manifest,
        "manifest of the winner"
    );
    ensure_eq!(
        read(&*two, &id).await?,
        std::slice::from_ref(*content),
        "winner's content"
    );
    Ok(())
}

/// Reading a backup that was never written fails with `NotFound`.
pub async fn a_missing_backup_is_not_found(harness: &dyn BackupHarness) -> Verdict {
    ensure_missing(&*harness.open().await, &id("missing")?, "of nothing").await
}

/// Lists each finished backup once.
pub async fn all_backups_are_listed_once(harness: &dyn BackupHarness) -> Verdict {
    let (provider, sections) = (harness.open().await, sections()?);
    let mut wanted = Vec::new();
    for number in 0..12 {
        let name = id(&format!("backup {number}"))?;
        wanted.push(make(&*provider, &name, &sections[1..3]).await?);
    }
    let mut unfinished = provider.create(draft(&id("unfinished")?)).await?;
    write(&mut *unfinished, &sections[1..2]).await?;
    let mut listed: Vec<_> = harness.open().await.list().try_collect().await?;
    listed.sort_by(|a, b| a.id.cmp(&b.id));
    wanted.sort_by(|a, b| a.id.cmp(&b.id));
    ensure_eq!(listed, wanted, "manifests");
    Ok(())
}

/// A deletion removes one backup, and may be repeated.
pub async fn a_deleted_backup_is_gone(harness: &dyn BackupHarness) -> Verdict {
    let (provider, other) = (harness.open().await, harness.open().await);
    let (gone, kept) = (id("backup")?, id("backup 2")?);
    make(&*provider, &gone, &sections()?).await?;
    other.delete(&gone).await?;
    ensure_missing(&*provider, &gone, "after its deletion").await?;
    provider.delete(&gone).await?;
    let manifest = make(&*provider, &kept, &sections()?).await?;
    provider.delete(&gone).await?;
    ensure_eq!(
        provider.manifest(&kept).await?,
        manifest,
        "manifest of another"
    );
    let judged = BackupManifest {
        events: manifest.events + 1,
        ..manifest.clone()
    };
    let deleted = provider.delete_unchanged(&judged).await?;
    ensure!(!deleted, "another of the same name was deleted");
    read(&*provider, &kept).await?;
    ensure!(
        provider.delete_unchanged(&manifest).await?,
        "it was not deleted"
    );
    ensure_missing(&*provider, &kept, "after its deletion").await?;
    let again = provider.delete_unchanged(&manifest).await?;
    ensure!(!again, "it was deleted twice");
    Ok(())
}

/// Every valid name works, and no two names are one backup.
pub async fn odd_backup_names_do_not_collide(harness: &dyn BackupHarness) -> Verdict {
    let provider = harness.open().await;
    let names: Vec<_> = super::fixtures::odd_names()
        .into_iter()
        .filter_map(|name| BackupId::new(name).ok())
        .collect();
    for (number, name) in (0..).zip(&names) {
        make(&*provider, name, &[section(number, vec![event(number)?])?]).await?;
    }
    for (number, name) in (0..).zip(&names) {
        let found = read(&*provider, name).await?;
        let first = present(found.first(), "the section")?;
        ensure_eq!(first.events, [event(number)?], "events of {name:?}");
    }
    Ok(())
}

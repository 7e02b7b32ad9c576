//! Broken backup providers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use esm_core::event::Event;
use esm_core::id::BackupId;
use esm_core::store::{
    BackupDraft, BackupItem, BackupManifest, BackupProvider, BackupReader, BackupSection,
    BackupWriter, SectionSummary,
};
use esm_core::{Error, ErrorKind, Result};
use esm_testkit::conformance::{BackupHarness, backup};
use esm_testkit::memory::MemoryBackups;
use futures::StreamExt as _;
use futures::stream::BoxStream;

use super::judge::{assert_rejected, rejected_by};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    OverwritesBackups,
    IsSeenBeforeTheEnd,
    DropsTheLastEvents,
    LosesDocuments,
    LosesEmptySections,
    ChecksNoChecksum,
    ChangesBytes,
    LosesTags,
    ForgetsWhatItHolds,
    ForgetsHowLongToKeep,
    CountsWrongly,
    ListsTwice,
    DeletesNothing,
    FoldsCaseOfNames,
    RefusesEmptyBackups,
    LosesWhatIsFarBehind,
    TakesTheNameAtTheBeginning,
    IsAwayWhenAskedForNothing,
    TakesWhatIsThereForAll,
    ReadsOnWhereTheLastReaderStopped,
    TakesDamageForAFailureThatPasses,
    TrustsItsManifests,
    StopsListingAtDamage,
}

#[derive(Debug, Clone)]
struct Broken {
    inner: MemoryBackups,
    begun: Arc<Mutex<BTreeSet<BackupId>>>,
    /// What this process has read.
    read: Arc<Mutex<BTreeSet<BackupId>>>,
    defect: Defect,
}

impl Broken {
    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn id(&self, id: &BackupId) -> BackupId {
        if self.has(Defect::FoldsCaseOfNames) {
            BackupId::new(id.as_str().to_lowercase()).expect("it is still a name")
        } else {
            id.clone()
        }
    }
}

#[async_trait]
impl BackupProvider for Broken {
    fn name(&self) -> &str {
        "broken"
    }

    async fn create(&self, mut draft: BackupDraft) -> Result<Box<dyn BackupWriter>> {
        draft.id = self.id(&draft.id);
        match self.defect {
            Defect::OverwritesBackups => self.inner.delete(&draft.id).await?,
            Defect::TakesTheNameAtTheBeginning => {
                let mut begun = self.begun.lock().expect("nobody panics here");
                if !begun.insert(draft.id.clone()) {
                    return Err(Error::new(
                        ErrorKind::AlreadyExists,
                        "somebody has begun it",
                    ));
                }
            }
            Defect::LosesTags => draft.settings.tags.clear(),
            Defect::ForgetsWhatItHolds => draft.settings.content = Default::default(),
            Defect::ForgetsHowLongToKeep => draft.settings.keep_until = None,
            Defect::IsSeenBeforeTheEnd => {
                let early = self.inner.create(draft.clone()).await?;
                early.finish().await?;
            }
            _ => {}
        }
        let mut scratch = draft.clone();
        if self.has(Defect::IsSeenBeforeTheEnd) {
            scratch.id = BackupId::new(format!("{}~", draft.id))?;
        }
        let inner = self.inner.create(scratch).await?;
        Ok(Box::new(Writer {
            inner,
            broken: self.clone(),
            section: None,
            events: 0,
        }))
    }

    async fn manifest(&self, id: &BackupId) -> Result<BackupManifest> {
        let manifest = self.inner.manifest(&self.id(id)).await;
        if self.has(Defect::TrustsItsManifests)
            && let Some(stored) = self.inner.stored_manifest(id)
        {
            return Ok(stored);
        }
        if self.has(Defect::IsAwayWhenAskedForNothing) {
            manifest.map_err(|_| Error::new(ErrorKind::Unavailable, "no answer"))
        } else {
            manifest
        }
    }

    async fn open(&self, id: &BackupId) -> Result<Box<dyn BackupReader>> {
        let mut inner = self.inner.open(&self.id(id)).await?;
        let first = self
            .read
            .lock()
            .expect("nobody panics here")
            .insert(id.clone());
        if self.has(Defect::ReadsOnWhereTheLastReaderStopped) && !first {
            while inner.next().await?.is_some() {}
        }
        Ok(Box::new(Reader {
            inner,
            sections: 0,
            defect: self.defect,
        }))
    }

    fn list(&self) -> BoxStream<'_, Result<BackupManifest>> {
        if self.has(Defect::ListsTwice) {
            self.inner.list().chain(self.inner.list()).boxed()
        } else if self.has(Defect::StopsListingAtDamage) {
            let until_damage = |stopped: &mut bool, found: Result<BackupManifest>| {
                let item = (!*stopped).then_some(found);
                *stopped = matches!(item, Some(Err(_)));
                std::future::ready(item)
            };
            self.inner.list().scan(false, until_damage).boxed()
        } else {
            self.inner.list()
        }
    }

    async fn delete(&self, id: &BackupId) -> Result<()> {
        if self.has(Defect::DeletesNothing) {
            Ok(())
        } else {
            self.inner.delete(&self.id(id)).await
        }
    }
}

#[derive(Debug)]
struct Writer {
    inner: Box<dyn BackupWriter>,
    broken: Broken,
    /// A section that is only begun when it turns out to have events.
    section: Option<BackupSection>,
    /// How many there were so far.
    events: usize,
}

#[async_trait]
impl BackupWriter for Writer {
    async fn section(&mut self, mut section: BackupSection) -> Result<()> {
        match self.broken.defect {
            Defect::LosesEmptySections => {
                self.section = Some(section);
                return Ok(());
            }
            Defect::LosesDocuments => section.document = None,
            _ => {}
        }
        self.inner.section(section).await
    }

    async fn events(&mut self, events: &[Event]) -> Result<()> {
        if let Some(section) = self.section.take() {
            self.inner.section(section).await?;
        }
        self.events += events.len();
        match self.broken.defect {
            Defect::LosesWhatIsFarBehind if self.events > 10_000 => Ok(()),
            Defect::DropsTheLastEvents if events.len() < 7 => Ok(()),
            Defect::ChangesBytes => {
                let lossy = |event: &Event| Event {
                    payload: String::from_utf8_lossy(&event.payload).into_owned().into(),
                    ..event.clone()
                };
                let events: Vec<_> = events.iter().map(lossy).collect();
                self.inner.events(&events).await
            }
            _ => self.inner.events(events).await,
        }
    }

    async fn end(&mut self, summary: SectionSummary) -> Result<()> {
        match self.section.take() {
            Some(_) => Ok(()),
            None => self.inner.end(summary).await,
        }
    }

    async fn finish(self: Box<Self>) -> Result<BackupManifest> {
        if self.broken.has(Defect::OverwritesBackups) {
            for id in self.broken.inner.ids() {
                self.broken.inner.delete(&id).await?;
            }
        }
        let mut manifest = self.inner.finish().await?;
        if self.broken.has(Defect::CountsWrongly) {
            manifest.events += 1;
        }
        if self.broken.has(Defect::RefusesEmptyBackups) && manifest.sections == 0 {
            return Err(Error::invalid("there is nothing in it"));
        }
        Ok(manifest)
    }
}

#[derive(Debug)]
struct Reader {
    inner: Box<dyn BackupReader>,
    /// How many have begun.
    sections: u64,
    defect: Defect,
}

#[async_trait]
impl BackupReader for Reader {
    fn manifest(&self) -> &BackupManifest {
        self.inner.manifest()
    }

    async fn next(&mut self) -> Result<Option<BackupItem>> {
        let item = self.inner.next().await;
        self.sections += u64::from(matches!(item, Ok(Some(BackupItem::Section(_)))));
        let short = self.sections < self.manifest().sections;
        match (item, self.defect) {
            (Err(_), Defect::ChecksNoChecksum) => Ok(None),
            (Err(_), Defect::TakesWhatIsThereForAll) if short => Ok(None),
            // a caller that gets this retries without end
            (Err(_), Defect::TakesDamageForAFailureThatPasses) => {
                Err(Error::new(ErrorKind::Unavailable, "no answer"))
            }
            (item, _) => item,
        }
    }
}

struct Harness(Broken);

impl Harness {
    fn boxed(defect: Defect) -> Box<dyn BackupHarness> {
        Box::new(Self(Broken {
            inner: MemoryBackups::new(),
            begun: Arc::default(),
            read: Arc::default(),
            defect,
        }))
    }
}

#[async_trait]
impl BackupHarness for Harness {
    async fn open(&self) -> Arc<dyn BackupProvider> {
        Arc::new(Broken {
            read: Arc::default(),
            ..self.0.clone()
        })
    }

    async fn corrupt(&self, id: &BackupId) -> bool {
        self.0.inner.corrupt(id)
    }

    async fn truncate(&self, id: &BackupId) -> bool {
        self.0.inner.truncate(id)
    }

    async fn change_retention(&self, id: &BackupId) -> bool {
        self.0.inner.change_retention(id)
    }
}

#[test]
fn every_defect_is_rejected_by_its_case() {
    let defects = [
        (Defect::OverwritesBackups, "a_name_is_used_once"),
        (Defect::OverwritesBackups, "one_of_two_writers_wins"),
        (Defect::IsSeenBeforeTheEnd, "nothing_is_seen_before_the_end"),
        (Defect::DropsTheLastEvents, "what_was_written_is_read"),
        (Defect::LosesDocuments, "what_was_written_is_read"),
        (Defect::LosesEmptySections, "what_was_written_is_read"),
        (Defect::ChecksNoChecksum, "corruption_is_noticed"),
        (Defect::ChangesBytes, "what_was_written_is_read"),
        (Defect::LosesTags, "a_manifest_counts_and_keeps_the_draft"),
        (
            Defect::ForgetsWhatItHolds,
            "a_manifest_counts_and_keeps_the_draft",
        ),
        (
            Defect::ForgetsHowLongToKeep,
            "a_manifest_counts_and_keeps_the_draft",
        ),
        (
            Defect::CountsWrongly,
            "a_manifest_counts_and_keeps_the_draft",
        ),
        (Defect::ListsTwice, "all_backups_are_listed_once"),
        (Defect::DeletesNothing, "a_deleted_backup_is_gone"),
        (Defect::FoldsCaseOfNames, "odd_backup_names_do_not_collide"),
        (Defect::RefusesEmptyBackups, "an_empty_backup_is_a_backup"),
        (Defect::LosesWhatIsFarBehind, "a_large_backup_is_read"),
        (
            Defect::TakesTheNameAtTheBeginning,
            "a_dropped_writer_leaves_no_backup",
        ),
        (
            Defect::IsAwayWhenAskedForNothing,
            "a_missing_backup_is_not_found",
        ),
        (Defect::TakesWhatIsThereForAll, "a_missing_end_is_noticed"),
        (
            Defect::TakesDamageForAFailureThatPasses,
            "a_damaged_backup_replaces_nothing",
        ),
        (Defect::TrustsItsManifests, "a_changed_retention_is_noticed"),
        (
            Defect::StopsListingAtDamage,
            "a_changed_retention_is_noticed",
        ),
        (
            Defect::ReadsOnWhereTheLastReaderStopped,
            "a_restore_brings_back_what_was_backed_up",
        ),
    ];
    assert_rejected(backup::CASES, &defects, Harness::boxed);
}

#[test]
fn without_a_defect_every_case_passes() {
    let harness = || Harness::boxed(Defect::None);
    assert_eq!(rejected_by(backup::CASES, harness), [""; 0]);
}

//! A backup into streams, section by section.

use futures::FutureExt as _;

use crate::backup::checked::CheckedReader;
use crate::backup::progress::Watch;
use crate::backup::restore::place::{Found, Place};
use crate::backup::restore::request::{
    RestoreOptions, RestoreTarget, Restored, RestoredAll, concerns_one,
};
use crate::backup::restore::section::{Prefix, SectionEvents, SectionRun, undo};
use crate::backup::restore::supervisor::Restoring;
use crate::backup::{BackupService, BackupStage, Monitor};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BackupId, ObjectId};
use crate::protocol::decisions::Undone;
use crate::store::{BackupItem, BackupSection};

/// Which sections are restored, and where.
type Choice<'a> = &'a (dyn Fn(&BackupSection) -> Option<RestoreTarget> + Send + Sync);

impl BackupService {
    /// Restores one object of a backup ([R19](crate::protocol#r19)).
    ///
    /// Reads the whole backup and verifies its counts and hashes before anything is written. Then
    /// writes the object's events to a fresh stream, reads that again and compares it with the
    /// section's hash. One atomic write makes it take its place.
    ///
    /// # Guarantees
    /// 1. Never onto a live stream. No reader sees a restored event before all of them are written
    ///    and verified ([I9](crate::protocol#i9)).
    /// 2. The events are those of the backup, byte for byte, at their revisions in it; all of them, or
    ///    those [until](RestoreOptions::until) a point.
    /// 3. No acknowledged event is lost: what was appended to the replaced stream until the cutover
    ///    stays in it, closed and readable. [`Restored::replaced`] counts what is not in the
    ///    restored one.
    /// 4. A position in the replaced stream is not valid in the restored one and is never
    ///    translated: an append that expects it fails with `Conflict`, a read with `Closed`. Reload.
    /// 5. If a migration wrote the backed-up stream, the schemas that it retired stay retired
    ///    ([R11](crate::protocol#r11)), as long as that stream can be read. A migration that the
    ///    object had before may be run on the restored stream again.
    /// 6. Safe with concurrent writers, migrations and other restores, without any lock.
    ///
    /// # Idempotence
    /// May be repeated after any error or crash: it resumes where it stopped. After the cutover it
    /// only reports the result. To restore the same backup once more, see
    /// [`RestoreOptions::again`].
    ///
    /// # Errors
    /// - `NotFound` for an unknown backup; for an object that is not in it; for a fresh stream of an
    ///   object that does not exist.
    /// - `AlreadyExists` for a new object that exists, or whose first stream has events.
    /// - `Corrupt` for a damaged backup, naming it and the section; nothing was written.
    /// - `Fenced` when another migration or restore cut over first; `Stuck` when concurrent appends
    ///   won every attempt to cut over. The restore was undone.
    /// - `TooLarge` for an event over the store's limit; `Deleted`, `UnknownStore` and the others of
    ///   loading the object; those of store, records and provider.
    ///
    /// After a retryable error and after `Cancelled` the fresh stream is kept, to be resumed;
    /// [`abandon_restore`](Self::abandon_restore) removes it. After any other error the restore is
    /// undone: the fresh stream is fenced off and discarded ([R17](crate::protocol#r17)).
    ///
    /// # Cancel safety
    /// A dropped future is a crash, and is resumed by doing the same again.
    pub async fn restore(
        &self,
        id: &BackupId,
        object: &ObjectId,
        target: RestoreTarget,
        options: RestoreOptions,
    ) -> Result<Restored> {
        let choice = choose_object(object, target);
        let watch = self.watch(BackupStage::Verifying);
        let restored = self.restore_one(id, object, &choice, options, &watch).await;
        watch.end(restored).await
    }

    /// Restores every section of a backup for which `choose` returns a target, as
    /// [`restore`](Self::restore) does.
    ///
    /// Reads the backup twice, and uses constant memory, however many sections there are. `choose` is
    /// called more than once for each section and must return the same every time. No two sections
    /// may have the same target.
    ///
    /// # Errors
    /// As [`restore`](Self::restore). Before anything is written: those of a damaged backup, of
    /// existing new objects and of missing ones, unless it [keeps going](RestoreOptions::keep_going).
    /// Later the first error ends it: what was restored by then stays, and a repetition finds it done.
    pub async fn restore_each(
        &self,
        id: &BackupId,
        choose: impl Fn(&BackupSection) -> Option<RestoreTarget> + Send + Sync,
        options: RestoreOptions,
    ) -> Result<RestoredAll> {
        let watch = self.watch(BackupStage::Verifying);
        let mut all = RestoredAll::default();
        let run = async {
            self.check(id, &choose, &options, &watch).await?;
            let each = |object, restored: Result<Restored>| match restored {
                Ok(restored) => {
                    all.add(&restored);
                    Ok(())
                }
                Err(error) if options.keep_going && concerns_one(&error) => {
                    all.fail(object, error);
                    Ok(())
                }
                Err(error) => Err(error),
            };
            self.restore_chosen(id, &choose, &options, &watch, each)
                .await
        };
        let run = run.await;
        watch.end(run).await?;
        Ok(all)
    }

    /// Checks what [`restore_each`](Self::restore_each) checks before it writes, and returns the number
    /// of chosen sections. Reads the whole backup, and writes nothing.
    ///
    /// # Errors
    /// As [`restore_each`](Self::restore_each), before anything is written.
    pub async fn check_restore(
        &self,
        id: &BackupId,
        choose: impl Fn(&BackupSection) -> Option<RestoreTarget> + Send + Sync,
        options: RestoreOptions,
    ) -> Result<u64> {
        let watch = self.watch(BackupStage::Verifying);
        let checked = self.check(id, &choose, &options, &watch).await;
        watch.end(checked).await
    }

    /// Undoes an unfinished restore that was begun with the same arguments: fences its stream off, so
    /// that not even a paused run can cut over to it, and discards it.
    ///
    /// # Errors
    /// `AlreadyExists` when the restore has cut over; `Unsupported` when the store cannot fence the
    /// stream off, which is then kept; as [`restore`](Self::restore) otherwise.
    ///
    /// # Idempotence
    /// May be repeated.
    pub async fn abandon_restore(
        &self,
        id: &BackupId,
        object: &ObjectId,
        target: RestoreTarget,
        options: RestoreOptions,
    ) -> Result<()> {
        let choice = choose_object(object, target);
        let mut reader = CheckedReader::open(&*self.provider, id).await?;
        let mut found = 0;
        while let Some(item) = reader.next().await? {
            let BackupItem::Section(section) = item else {
                continue;
            };
            let Some(target) = choice(&section) else {
                continue;
            };
            found += 1;
            let manifest = reader.manifest();
            match Place::find(self, manifest, &section, &target, &options).await? {
                Found::Begin(place) => match undo(self, &place).await? {
                    Undone::RolledBack | Undone::Superseded => {}
                    Undone::Abandoned => return Err(kept(&place)),
                    Undone::TooLate => return Err(too_late(object)),
                },
                Found::Cut(_) => return Err(too_late(object)),
            }
        }
        if found == 0 {
            return Err(not_in(id, object));
        }
        Ok(())
    }

    async fn restore_one(
        &self,
        id: &BackupId,
        object: &ObjectId,
        choice: Choice<'_>,
        options: RestoreOptions,
        watch: &Watch,
    ) -> Result<Restored> {
        match self.check(id, choice, &options, watch).await? {
            1 => {}
            0 => return Err(not_in(id, object)),
            several => {
                let message = format!("backup {id} holds {several} streams of {object}");
                return Err(Error::invalid(message).with_hint("choose one of its sections"));
            }
        }
        let mut one = None;
        let each = |_, restored: Result<Restored>| {
            one = Some(restored?);
            Ok(())
        };
        self.restore_chosen(id, choice, &options, watch, each)
            .await?;
        one.ok_or_else(|| not_in(id, object))
    }

    /// Reads the whole backup and checks every target, before anything is written. Returns the number
    /// of chosen sections.
    async fn check(
        &self,
        id: &BackupId,
        choice: Choice<'_>,
        options: &RestoreOptions,
        watch: &Watch,
    ) -> Result<u64> {
        let mut reader = CheckedReader::open(&*self.provider, id).await?;
        watch.stage(BackupStage::Verifying, id, Some(reader.manifest().events));
        let (mut chosen, mut open) = (0, None);
        while let Some(item) = reader.next().await? {
            watch.check()?;
            match item {
                BackupItem::Section(section) => {
                    watch.section(&section.object);
                    open = None;
                    if let Some(target) = choice(&section) {
                        chosen += 1;
                        let manifest = reader.manifest();
                        let found = Place::find(self, manifest, &section, &target, options).await;
                        open = Some((section.object, Prefix::new(options.until)));
                        match found {
                            // it is found again, and reported, when its turn comes
                            Err(error) if options.keep_going && concerns_one(&error) => {}
                            found => drop(found?),
                        }
                    }
                }
                BackupItem::Events(events) => {
                    watch.passed(events.len() as u64);
                    if let Some((object, prefix)) = &mut open {
                        let kept = prefix.keep(events);
                        kept.map_err(|e| e.context(format_args!("restoring {object}")))?;
                    }
                }
                BackupItem::End(end) => {
                    if let Some((object, prefix)) = open.take() {
                        match prefix.summary(end) {
                            Err(error) if options.keep_going && concerns_one(&error) => {}
                            found => drop(
                                found.map_err(|e| e.context(format_args!("restoring {object}")))?,
                            ),
                        }
                    }
                }
            }
        }
        Ok(chosen)
    }

    async fn restore_chosen(
        &self,
        id: &BackupId,
        choice: Choice<'_>,
        options: &RestoreOptions,
        watch: &Watch,
        mut each: impl FnMut(ObjectId, Result<Restored>) -> Result<()> + Send,
    ) -> Result<()> {
        let mut reader = CheckedReader::open(&*self.provider, id).await?;
        let manifest = reader.manifest().clone();
        watch.stage(BackupStage::Restoring, id, Some(manifest.events));
        let restoring = Restoring::new(self, Some(watch), *options);
        let cutover = restoring.cutover();
        while let Some(item) = reader.next().await? {
            watch.check()?;
            let BackupItem::Section(section) = item else {
                continue;
            };
            let Some(target) = choice(&section) else {
                continue;
            };
            watch.section(&section.object);
            let found = Place::find(self, &manifest, &section, &target, options).await;
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    each(section.object.clone(), Err(error))?;
                    continue;
                }
            };
            let run = SectionRun {
                service: self,
                cutover: &cutover,
                manifest: &manifest,
                section: &section,
                creates: matches!(target, RestoreTarget::NewObject(_)),
            };
            let mut events = SectionEvents::new(&mut reader, watch, options.until);
            // boxed, so that the future of the whole backup stays small
            let restored = run.run(found, &mut events).boxed().await;
            each(section.object.clone(), restored)?;
        }
        Ok(())
    }
}

fn choose_object(
    object: &ObjectId,
    target: RestoreTarget,
) -> impl Fn(&BackupSection) -> Option<RestoreTarget> + Send + Sync + '_ {
    move |section| (section.object == *object).then(|| target.clone())
}

fn not_in(id: &BackupId, object: &ObjectId) -> Error {
    Error::not_found(format!("backup {id} does not hold object {object}"))
        .with_hint("list the sections of the backup to see what it holds")
}

fn kept(place: &Place) -> Error {
    let target = &place.attempt.target;
    let message =
        format!("this store cannot fence a stream, so the unfinished one is kept: {target}");
    Error::unsupported(message).with_hint("restore again to finish it")
}

fn too_late(object: &ObjectId) -> Error {
    let message = format!("the restore has cut over, so it can only be completed: {object}");
    Error::new(ErrorKind::AlreadyExists, message).with_hint("restore again to finish it")
}

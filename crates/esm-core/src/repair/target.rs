//! Removing the target of an attempt that is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream;

use crate::backoff::BackOff;
use crate::backup::{Monitor, Subject as Section, fresh_id, write_verified};
use crate::doctor::{Finding, Subject};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BackupId, ObjectId, StreamRef};
use crate::object::{KnownStream, owner};
use crate::repair::proof::{
    Content, Copied, Word, content, document_without, is_gone, source_is_whole, word,
};
use crate::repair::service::{End, Mended, Repair, unexpected};
use crate::store::{
    BackupDraft, BackupKind, BackupProvider, BackupSettings, EventStore, Fence, Origin, Tail,
};

/// Fences lost to concurrent appends before giving up.
const FENCE: BackOff = BackOff::constant(64, Duration::from_millis(20));
/// Copies of a target that grows meanwhile.
const COPIES: u32 = 3;
/// Streams that are read at the same time for a copy.
const READERS: usize = 1;

/// A target that only copiers wrote to, and its source.
struct Leftover<'a> {
    object: &'a ObjectId,
    target: &'a StreamRef,
    store: &'a Arc<dyn EventStore>,
    source: &'a Arc<dyn EventStore>,
    copied: &'a Copied,
}

impl Leftover<'_> {
    fn origin(&self) -> &Origin {
        &self.copied.origin
    }

    /// What the source says of the target.
    async fn word(&self) -> Result<(Word, Tail)> {
        let stream = &self.origin().source;
        word(self.source, stream, &self.target.stream).await
    }
}

impl Repair {
    /// Removes a target that its source can never be closed to. A source that is open is fenced first
    /// ([R17](crate::protocol#r17)).
    pub(super) async fn remove_target(&self, finding: &Finding) -> Result<Mended> {
        let subject = &finding.subject;
        let (Subject::Stream(target) | Subject::StreamOf { stream: target, .. }) = subject else {
            return Err(unexpected("a stream"));
        };
        let store = self.stores.of(target)?;
        let copied = match content(store, target).await? {
            Content::Copied(copied) => copied,
            Content::Absent if is_gone(store, target, finding.cell).await? => {
                return Ok(Mended::nothing("the stream is gone"));
            }
            Content::Absent => return self.remove_rest(subject).await,
            Content::Other(why) => return Ok(Mended::left(why)),
        };
        let Some(object) = owner::object_of(&self.stores, &copied.origin.source).await? else {
            return Ok(Mended::left("nothing says of which object it is"));
        };
        let source = self.stores.of(&copied.origin.source)?;
        let left = Leftover {
            object: &object,
            target,
            store,
            source,
            copied: &copied,
        };
        self.unless_locked(&object, async {
            let document = document_without(&self.documents, &object, &target.stream).await?;
            let document = match document {
                Ok(document) => document,
                Err(why) => return Ok(Mended::left(why)),
            };
            match source_is_whole(&self.stores, &document, &copied).await? {
                Ok(()) => self.remove(&left).await,
                Err(why) => Ok(Mended::left(why)),
            }
        })
        .await
    }

    async fn remove(&self, left: &Leftover<'_>) -> Result<Mended> {
        let (target, origin) = (left.target, left.origin());
        if let Some(why) = self.refused(left).await? {
            return Ok(Mended::left(why));
        }
        let Some(backups) = &self.backups else {
            return Ok(Mended::left("there are no backups to keep its events in"));
        };
        let what = format!(
            "remove the stream after copying it to an archive: {} was never closed to it",
            origin.source.stream
        );
        if let Some(plan) = self.only_plan(&what) {
            return Ok(plan);
        }
        if let Some(why) = self.exclude(left).await? {
            return Ok(Mended::left(why));
        }
        let copy = match self.keep_all(backups, left).await {
            Ok(Some(copy)) => copy,
            Ok(None) => return Ok(Mended::left("a process writes to it still: try again")),
            Err(error) if error.is_damage() => {
                return Ok(Mended::left(format!("it changed meanwhile: {error}")));
            }
            Err(error) => return Err(error),
        };
        self.refuse_cancelled()?;
        left.store.discard(&target.stream).await?;
        let done = format!("removed the stream; its events are in archive {copy}");
        Ok(Mended {
            copy: Some(copy),
            ..Mended::done(done)
        })
    }

    /// Why a target cannot be removed now.
    async fn refused(&self, left: &Leftover<'_>) -> Result<Option<String>> {
        let origin = left.origin();
        match left.word().await?.0 {
            Word::Fenced | Word::Superseded => {}
            Word::ClosedToIt => return Ok(Some("its source was closed to it".to_owned())),
            Word::Open if origin.restored_from().is_some() => {
                return Ok(Some(
                    "a restore may continue with it: repeat that".to_owned(),
                ));
            }
            Word::Open => match self.end_of(origin.migration).await? {
                End::Undone | End::Unknown if left.source.capabilities().fence || self.is_dry() => {
                }
                End::Undone | End::Unknown => {
                    return Ok(Some("the store cannot fence its source".to_owned()));
                }
                End::Completed => {
                    let why = format!(
                        "migration {} was completed, and its source is open: a Close may be lost",
                        origin.migration
                    );
                    return Ok(Some(why));
                }
                End::AtWork => {
                    return Ok(Some(format!("migration {} is not over", origin.migration)));
                }
            },
        }
        let can_discard = left.store.capabilities().discard || self.is_dry();
        Ok((!can_discard).then(|| "the store cannot remove a stream".to_owned()))
    }

    /// Makes sure that the source can never be closed to the target, and returns why not.
    ///
    /// # Errors
    /// `Stuck`; those of the store.
    async fn exclude(&self, left: &Leftover<'_>) -> Result<Option<String>> {
        let mut back_off = FENCE;
        loop {
            self.refuse_cancelled()?;
            let tail = match left.word().await? {
                (Word::Fenced | Word::Superseded, _) => return Ok(None),
                (Word::ClosedToIt, _) => {
                    return Ok(Some("its source was closed to it".to_owned()));
                }
                (Word::Open, tail) => tail,
            };
            let (retry, failed) = match self.fence(left, &tail).await {
                // the next look reads the Fence back
                Ok(()) => (back_off.retry_at_once(), None),
                Err(error) if is_settled_by_looking(&error) => {
                    (back_off.pause(&self.environment).await, Some(error))
                }
                Err(error) => return Err(error),
            };
            if !retry {
                return Err(not_fenced(left, failed));
            }
        }
    }

    /// Fences the source at the tail by which it is open: a Fence that came meanwhile is not repeated.
    async fn fence(&self, left: &Leftover<'_>, tail: &Tail) -> Result<()> {
        let fence = Fence {
            target: left.target.stream.clone(),
            migration: left.origin().migration,
        };
        let stream = &left.origin().source.stream;
        let commit = self.environment.commit_id();
        left.source
            .fence(stream, tail, commit, fence)
            .await
            .map(drop)
    }

    /// Copies the target to an archive, until nothing was appended meanwhile: a copier that has not met
    /// the Fence may continue. `None` if that happened each time.
    async fn keep_all(
        &self,
        backups: &Arc<dyn BackupProvider>,
        left: &Leftover<'_>,
    ) -> Result<Option<BackupId>> {
        for _ in 0..COPIES {
            let before = left.store.tail(&left.target.stream).await?;
            let copy = self.keep(backups, left).await?;
            if left.store.tail(&left.target.stream).await? == before {
                return Ok(Some(copy));
            }
        }
        Ok(None)
    }

    /// Copies the target to an archive, and reads that again.
    async fn keep(
        &self,
        backups: &Arc<dyn BackupProvider>,
        left: &Leftover<'_>,
    ) -> Result<BackupId> {
        let now = self.environment.clock.now();
        // rules that keep backups of objects do not count archives
        let (kind, migration) = (BackupKind::Archive, Some(left.origin().migration));
        let tags = BTreeMap::from([
            ("removed-by".to_owned(), "repair".to_owned()),
            ("stream".to_owned(), left.target.stream.to_string()),
        ]);
        let draft = BackupDraft {
            id: fresh_id(&self.environment, kind, now, migration)?,
            kind,
            migration,
            created_at: now,
            settings: BackupSettings {
                tags,
                ..BackupSettings::default()
            },
        };
        let section = Section {
            stream: KnownStream::new(left.object, left.target).with_events(left.copied.events),
            document: None,
        };
        let sections = stream::iter([Ok(section)]);
        let written =
            write_verified(&**backups, draft, &self.stores, sections, READERS, self).await?;
        Ok(written.id)
    }
}

/// Whether the next look settles a failure: a Fence that lost to a concurrent write, or whose outcome
/// is not known.
fn is_settled_by_looking(error: &Error) -> bool {
    error.is_retryable() || matches!(error.kind(), ErrorKind::Closed(_))
}

fn not_fenced(left: &Leftover<'_>, last: Option<Error>) -> Error {
    let message = format!(
        "the source could not be fenced, so the target is kept: {} to {}",
        left.origin().source,
        left.target
    );
    let error = Error::new(ErrorKind::Stuck, message)
        .with_hint("a concurrent append won every time; repair it when there are fewer writers");
    match last {
        Some(source) => error.with_source(source),
        None => error,
    }
}

impl Monitor for Repair {
    fn check(&self) -> Result<()> {
        self.refuse_cancelled()
    }
}

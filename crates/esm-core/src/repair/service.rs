//! The handle that callers use.

use std::sync::Arc;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::clock::Environment;
use crate::doctor::{Finding, FindingKind};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BackupId, MigrationId, ObjectId};
use crate::migration::lock::scope::lock_name;
use crate::migration::{MigrationService, MigrationStatus, Scope};
use crate::object::Documents;
use crate::store::{BackupProvider, LockInfo, LockProvider, Records, Stores};

/// What became of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Mended {
    /// What became of it.
    pub outcome: Outcome,
    /// What was done, or why nothing was, in words.
    pub what: String,
    /// The archive that holds the events that were removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<BackupId>,
}

impl Mended {
    fn new(outcome: Outcome, what: impl Into<String>) -> Self {
        Self {
            outcome,
            what: what.into(),
            copy: None,
        }
    }

    /// There is nothing to mend.
    pub(super) fn nothing(why: impl Into<String>) -> Self {
        Self::new(Outcome::Nothing, why)
    }

    /// It was left as it is.
    pub(super) fn left(why: impl Into<String>) -> Self {
        Self::new(Outcome::Left, why)
    }

    /// It was mended.
    pub(super) fn done(what: impl Into<String>) -> Self {
        Self::new(Outcome::Mended, what)
    }
}

/// Whether a finding was mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It was mended.
    Mended,
    /// It would be mended; nothing was written, because it is a dry run.
    WouldMend,
    /// There is nothing to mend any more.
    Nothing,
    /// It was left as it is, because it is not proven what is right.
    Left,
}

/// When a kind of finding is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Offer {
    /// Always: what is right follows from the streams.
    Safe,
    /// If somebody asks for this finding, who knows that nobody is at work on it.
    Named,
}

/// Mends findings of a [`Doctor`](crate::doctor::Doctor).
///
/// A handle: clones are the same repair, and cheap.
///
/// # Guarantees
/// 1. What is right is never changed: each finding is checked again, and each write is conditional
///    on what was seen. What cannot be proven is left as it is, with the reason.
/// 2. No stream is removed that a Close leads to, that a document names, that an application wrote to
///    ([R22](crate::protocol#r22)), or that has more than its source. Its source is fenced before
///    ([R17](crate::protocol#r17)), and its events are kept in an archive. What a paused process writes to
///    a target after that is removed without a copy: copies of events that the source has.
/// 3. No decision rests on a clock. A lock is broken only if its process has certainly ended.
/// 4. Safe beside everything else. No lock is taken. A finding of an object whose lock is held is left.
///
/// # Example
/// ```
/// # use esm_core::doctor::{Doctor, Observed};
/// use esm_core::migration::Scope;
/// use esm_core::repair::{Offer, Repair};
///
/// # async fn example(doctor: Doctor, repair: Repair) -> esm_core::Result<()> {
/// let mut findings = Vec::new();
/// doctor
///     .examine(&Scope::All, |observed| {
///         if let Observed::Finding(finding) = observed
///             && Repair::offers(finding.kind) == Some(Offer::Safe)
///         {
///             findings.push(finding);
///         }
///     })
///     .await?;
/// for finding in findings {
///     let mended = repair.mend(&finding).await?;
///     println!("{}: {}", finding.subject, mended.what);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Repair {
    pub(super) stores: Stores,
    pub(super) records: Arc<dyn Records>,
    pub(super) locks: Arc<dyn LockProvider>,
    pub(super) backups: Option<Arc<dyn BackupProvider>>,
    pub(super) environment: Environment,
    pub(super) documents: Documents,
    pub(super) cancel: CancellationToken,
    migrations: MigrationService,
    is_dry: bool,
}

impl Repair {
    /// Mends what is in these stores and records.
    pub fn new(
        stores: impl Into<Stores>,
        records: Arc<dyn Records>,
        locks: Arc<dyn LockProvider>,
    ) -> Self {
        let (stores, environment) = (stores.into(), Environment::system());
        let (own, of_locks) = (Arc::clone(&records), Arc::clone(&locks));
        Self {
            documents: Documents::new(Arc::clone(&records)),
            migrations: MigrationService::new(stores.clone(), own, of_locks),
            cancel: CancellationToken::new(),
            stores,
            records,
            locks,
            backups: None,
            environment,
            is_dry: false,
        }
    }

    /// Mends these backups too, and keeps there what is removed. Without them no stream is removed.
    #[must_use]
    pub fn with_backups(mut self, backups: Arc<dyn BackupProvider>) -> Self {
        self.backups = Some(backups);
        self
    }

    /// Sets the clock and the source of ids. Defaults to those of the system.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.migrations = self.migrations.with_environment(environment.clone());
        self.environment = environment;
        self
    }

    /// Stops a repair, with `Cancelled`, when the token is cancelled.
    #[must_use]
    pub fn cancel_on(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }

    /// Checks the findings and writes nothing.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.stores = self.stores.read_only();
        self.is_dry = true;
        self
    }

    /// When findings of this kind are mended here; `None` if never. Then it has to be decided which
    /// backup is restored, or whether a migration is resumed or rolled back: the finding says how.
    pub fn offers(kind: FindingKind) -> Option<Offer> {
        match kind {
            FindingKind::FencedTarget
            | FindingKind::SupersededTarget
            | FindingKind::OrphanedTarget
            | FindingKind::DocumentBehind
            | FindingKind::MissingDocument
            | FindingKind::DeadLock
            | FindingKind::IndexLeftover
            | FindingKind::PhaseLeftover => Some(Offer::Safe),
            // an import may be at work; a manifest says what to put back
            FindingKind::StreamWithoutDocument | FindingKind::BackupWithoutFiles => {
                Some(Offer::Named)
            }
            _ => None,
        }
    }

    /// Mends a finding.
    ///
    /// # Errors
    /// - `Unsupported` for a kind that is not [offered](Self::offers).
    /// - `Stuck` where writers won every time.
    /// - `Cancelled`; those of the stores.
    ///
    /// # Idempotence
    /// May be repeated after any error or crash.
    pub async fn mend(&self, finding: &Finding) -> Result<Mended> {
        match self.attempt(finding).await {
            // another esm, or a person, has to decide first
            Err(error) if matches!(error.kind(), ErrorKind::Deleted | ErrorKind::UnknownStore) => {
                Ok(Mended::left(error.to_string()))
            }
            mended => mended,
        }
    }

    async fn attempt(&self, finding: &Finding) -> Result<Mended> {
        let subject = &finding.subject;
        match finding.kind {
            FindingKind::FencedTarget
            | FindingKind::SupersededTarget
            | FindingKind::OrphanedTarget => self.remove_target(finding).await,
            FindingKind::DocumentBehind => self.correct_document(subject).await,
            FindingKind::MissingDocument | FindingKind::StreamWithoutDocument => {
                self.rebuild_document(subject).await
            }
            FindingKind::DeadLock => self.break_lock(subject).await,
            FindingKind::IndexLeftover => self.delist(subject).await,
            FindingKind::PhaseLeftover => self.end_phase(subject).await,
            FindingKind::BackupWithoutFiles => self.remove_manifest(subject).await,
            kind => {
                let message = format!("a finding of this kind is not repaired: {kind}");
                let hint = "do what the doctor names as its remedy";
                Err(Error::unsupported(message).with_hint(hint))
            }
        }
    }

    /// Whether nothing is written: then stores do not say what they can write.
    pub(super) fn is_dry(&self) -> bool {
        self.is_dry
    }

    /// In a dry run, what would be done; otherwise nothing, and it is to be done.
    pub(super) fn only_plan(&self, what: &str) -> Option<Mended> {
        self.is_dry.then(|| Mended::new(Outcome::WouldMend, what))
    }

    /// Does work on an object, unless a process holds its lock: that one is left alone.
    ///
    /// Nothing rests on it, as each write is conditional. So none is acquired: that would stop a migration
    /// of many objects, and the newest acquisition of a lock says which migration was the last.
    ///
    /// # Errors
    /// Those of the locks and of the work.
    pub(super) async fn unless_locked(
        &self,
        object: &ObjectId,
        work: impl Future<Output = Result<Mended>> + Send,
    ) -> Result<Mended> {
        let name = lock_name(&Scope::Objects(vec![object.clone()]))?;
        match self.locks.inspect(&name).await?.filter(|lock| lock.held) {
            Some(lock) => Ok(Mended::left(format!(
                "{} holds the lock of {object}, and may work on it",
                lock.holder
            ))),
            None => work.await,
        }
    }

    /// How a migration has ended, if nobody continues it.
    pub(super) async fn end_of(&self, migration: MigrationId) -> Result<End> {
        let status = match self.migrations.status(migration).await {
            Ok(state) if state.damage.is_none() => Some(state.status),
            Ok(_) if self.migrations.is_newer(migration).await? => return Ok(End::AtWork),
            Err(error) if *error.kind() != ErrorKind::NotFound => return Err(error),
            _ => None,
        };
        Ok(match status {
            Some(MigrationStatus::Completed) => End::Completed,
            Some(status) if status.is_terminal() => End::Undone,
            Some(_) => End::AtWork,
            None if self.is_held_for(migration).await? => End::AtWork,
            None => End::Unknown,
        })
    }

    /// Whether a process holds a lock for a migration.
    async fn is_held_for(&self, migration: MigrationId) -> Result<bool> {
        let held = self.locks.list().await?;
        let is_for_it = |lock: &LockInfo| lock.held && lock.migration == Some(migration);
        Ok(held.iter().any(is_for_it))
    }

    pub(super) fn refuse_cancelled(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            let message = "repair was stopped on request";
            return Err(Error::new(ErrorKind::Cancelled, message));
        }
        Ok(())
    }
}

/// How a migration has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is at work, or can be continued.
    AtWork,
    /// Everything that was asked for is done.
    Completed,
    /// It was undone.
    Undone,
    /// It has no journal that can be read to its end, so nobody continues it.
    Unknown,
}

/// What a finding is not about.
pub(super) fn unexpected(what: &str) -> Error {
    Error::invalid(format!("the finding is not about {what}"))
        .with_hint("pass on findings as the doctor returns them")
}

//! What a migration is to do, whether it was typed or planned before.

use std::collections::BTreeMap;
use std::time::Duration;

use esm_core::Result;
use esm_core::backup::BackupOptions;
use esm_core::id::{StreamId, StreamName};
use esm_core::migration::{
    BookClosing, BulkOptions, CopyOptions, CutoverOptions, MigrationBuilder, MigrationService,
    PlannedMigration, PublishPhases, ResumeBuilder, Scope, SettingsChange,
};
use esm_core::store::{BackupSettings, Compression, OnRetired};
use jiff::Timestamp;

use super::program::{Program, transformer};
use crate::session::{Access, Session};

/// Where something is kept, and how.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keeping {
    /// The address; the store itself if it is absent.
    pub(crate) address: Option<String>,
    pub(crate) level: Option<i32>,
    pub(crate) retention: Option<Duration>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) documents: bool,
}

/// How books are closed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Books {
    pub(crate) archive: Option<Keeping>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// What a migration is to do.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    pub(crate) scope: Scope,
    pub(crate) program: Option<Program>,
    /// The way back that is declared.
    pub(crate) down: Option<Program>,
    /// How long it can be rolled back.
    pub(crate) window: Option<Duration>,
    pub(crate) source: Option<StreamId>,
    pub(crate) target: Option<StreamName>,
    pub(crate) backup: Option<Keeping>,
    pub(crate) books: Option<Books>,
    pub(crate) copy: CopyOptions,
    pub(crate) bulk: BulkOptions,
    pub(crate) rollback: bool,
    pub(crate) again: bool,
    pub(crate) on_retired: Option<OnRetired>,
    /// The store that the events go to, if it is another.
    pub(crate) to: Option<String>,
    pub(crate) cutover: CutoverOptions,
    pub(crate) phases: PublishPhases,
    pub(crate) limits: SettingsChange,
}

const BACKUP: &str = "esm.backup";
const ARCHIVE: &str = "esm.archive";
const TO: &str = "esm.to";

impl Description {
    /// The description that a plan was made from.
    pub(crate) fn of_plan(plan: &PlannedMigration) -> Self {
        let kept = |key: &str, settings: &BackupSettings| {
            let address = plan.annotations.get(key).cloned();
            Keeping::of(address, settings, plan.created_at)
        };
        let books = |books: &BookClosing| Books {
            archive: books
                .archive
                .as_ref()
                .map(|settings| kept(ARCHIVE, settings)),
            metadata: books.metadata.clone(),
        };
        Self {
            scope: plan.scope.clone(),
            program: Program::of_annotations(&plan.annotations),
            down: Program::down_of_annotations(&plan.annotations),
            window: plan.way_back.window,
            source: plan.source.as_ref().map(|s| s.stream.clone()),
            target: plan.target.clone(),
            backup: plan.backup.as_ref().map(|settings| kept(BACKUP, settings)),
            books: plan.close_books.as_ref().map(books),
            copy: plan.copy,
            bulk: plan.bulk,
            rollback: plan.rollback_on_failure,
            again: plan.again,
            on_retired: plan.on_retired,
            to: plan.annotations.get(TO).cloned(),
            cutover: plan.cutover,
            phases: plan.phases,
            limits: plan.throttle,
        }
    }

    /// The description for the library. Places for backups are opened as `access` allows.
    ///
    /// # Errors
    /// `Invalid` for a program that does not compile; what opening a place fails with.
    pub(crate) async fn builder(
        &self,
        session: &Session,
        service: &MigrationService,
        access: Access,
    ) -> Result<MigrationBuilder> {
        let mut builder = match &self.scope {
            Scope::Objects(objects) => service.migrate_many(objects.iter().cloned()),
            Scope::Name(name) => service.migrate_named(name.clone()),
            Scope::All => service.migrate_all(),
        };
        if let Some(program) = &self.program {
            builder = builder.transform_with(program.compile()?);
            for (key, value) in program.annotations() {
                builder = builder.annotate(key, value);
            }
        }
        if let Some(down) = &self.down {
            builder = builder.reversible_with_shared(down.compile()?);
            for (key, value) in down.down_annotations() {
                builder = builder.annotate(key, value);
            }
        }
        if let Some(window) = self.window {
            builder = builder.reversible_for(window);
        }
        if let Some(source) = &self.source {
            builder = builder.from_stream(source.clone());
        }
        if let Some(target) = &self.target {
            builder = builder.to_stream(target);
        }
        if let Some(backup) = &self.backup {
            let options = backup.options(session, access).await?;
            builder = backup.annotate(builder, BACKUP).backup(|_| options);
        }
        if let Some(books) = &self.books {
            builder = books.describe(builder, session, access).await?;
        }
        let CopyOptions {
            cell_events,
            cell_bytes,
            fail_fast,
            ..
        } = self.copy;
        builder = builder
            .cells(cell_events, cell_bytes)
            .fail_fast(fail_fast)
            .concurrency(self.bulk.concurrency)
            .batch(self.bulk.batch_objects)
            .on_failure(self.bulk.on_failure);
        if self.rollback {
            builder = builder.with_rollback();
        }
        if let Some(address) = &self.to {
            let (store, location) = session.target_at(address, access).await?;
            builder = builder.to_store(store).annotate(TO, location);
        }
        builder = builder
            .cutover(|_| self.cutover)
            .phases(self.phases)
            .limits(self.limits);
        if let Some(policy) = self.on_retired {
            builder = builder.on_retired(policy);
        }
        Ok(match self.again {
            true => builder.again(),
            false => builder,
        })
    }

    /// What resuming needs: the same transformation, the same places.
    ///
    /// # Errors
    /// As [`builder`](Self::builder).
    pub(crate) async fn resume(
        &self,
        session: &Session,
        builder: ResumeBuilder,
    ) -> Result<ResumeBuilder> {
        let mut builder = builder.transform_with(transformer(self.program.as_ref())?);
        if let Some(address) = &self.to {
            let (store, _) = session.target_at(address, Access::Write).await?;
            builder = builder.to_store(store);
        }
        if let Some(Keeping {
            address: Some(address),
            ..
        }) = &self.backup
        {
            builder = builder.backups(session.backups_at(Some(address), Access::Create).await?);
        }
        if let Some(Books {
            archive:
                Some(Keeping {
                    address: Some(address),
                    ..
                }),
            ..
        }) = &self.books
        {
            builder = builder.archives(session.backups_at(Some(address), Access::Create).await?);
        }
        Ok(builder)
    }
}

impl Keeping {
    fn of(address: Option<String>, settings: &BackupSettings, planned: Timestamp) -> Self {
        let level = match settings.compression {
            Compression::Zstd { level } => Some(level),
            _ => None,
        };
        Self {
            address,
            level,
            retention: settings
                .keep_until
                .and_then(|until| Duration::try_from(until.duration_since(planned)).ok()),
            tags: settings.tags.clone(),
            documents: settings.content.documents,
        }
    }

    async fn options(&self, session: &Session, access: Access) -> Result<BackupOptions> {
        let mut options = BackupOptions::default();
        let address = self.address.as_deref();
        // a plan must not make a place for backups, and needs none
        if address.is_some() && access == Access::Create {
            options = options.provider(session.backups_at(address, access).await?);
        }
        if let Some(level) = self.level {
            options = options.compression(Compression::Zstd { level });
        }
        if let Some(retention) = self.retention {
            options = options.retention(retention);
        }
        if self.documents {
            options = options.include_document();
        }
        let tags = self.tags.iter();
        Ok(tags.fold(options, |options, (key, value)| options.tag(key, value)))
    }

    fn annotate(&self, builder: MigrationBuilder, key: &str) -> MigrationBuilder {
        match &self.address {
            Some(address) => builder.annotate(key, address),
            None => builder,
        }
    }
}

impl Books {
    async fn describe(
        &self,
        mut builder: MigrationBuilder,
        session: &Session,
        access: Access,
    ) -> Result<MigrationBuilder> {
        let archive = match &self.archive {
            Some(archive) => {
                builder = archive.annotate(builder, ARCHIVE);
                Some(archive.options(session, access).await?)
            }
            None => None,
        };
        Ok(builder.close_books(|mut books| {
            if let Some(archive) = archive {
                books = books.archive(|_| archive);
            }
            let words = self.metadata.iter();
            words.fold(books, |books, (key, value)| books.metadata(key, value))
        }))
    }
}

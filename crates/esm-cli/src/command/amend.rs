//! `esm migrate --amend`: undoes an unfinished migration and begins another with a mended program.

use std::path::PathBuf;

use esm_core::id::MigrationId;
use esm_core::migration::{
    MigrationBuilder, MigrationService, MigrationStatus, PlannedMigration, Scope,
};
use esm_core::{Error, ErrorKind, Result};
use futures::{StreamExt as _, TryStreamExt as _};

use super::lock_args::LockArgs;
use crate::exit::Exit;
use crate::migration::{
    self, Expected, IdPart, Program, Role, annotate, as_planned, read_program, read_upcasters,
    the_only_one, waits_for,
};
use crate::session::{Access, Session};

/// A mended program for an unfinished migration.
#[derive(Debug, clap::Args)]
pub(crate) struct Amend {
    /// Undo an unfinished migration that has closed no stream, and begin another like it with this jq
    /// program or directory of upcasters. Selection and options are those of its plan.
    #[arg(long, value_name = "FILE.jq|DIR", group = "selection")]
    #[arg(help_heading = "Failure and rollback")]
    #[arg(conflicts_with_all = [
        "plan", "transform", "upcasters", "from_stream", "to_stream", "again", "on_retired", "dry_run",
    ])]
    amend: Option<PathBuf>,
    /// The migration to amend, or at least 4 characters of its beginning or end; defaults to the only
    /// unfinished one.
    #[arg(long, value_name = "MIGRATION", requires = "amend")]
    #[arg(help_heading = "Failure and rollback")]
    of: Option<IdPart>,
}

/// What came of the undo.
pub(crate) enum Amended {
    /// Everything was undone: the new migration.
    Begin(Box<MigrationBuilder>),
    /// It was not: how the command ends.
    Ended(Exit),
}

impl Amend {
    /// Whether it was asked for.
    pub(crate) fn is_wanted(&self) -> bool {
        self.amend.is_some()
    }

    /// Undoes the migration, and describes the new one.
    ///
    /// # Errors
    /// `AlreadyExists` for a migration that has ended or has closed a stream; `Invalid` for one that
    /// reverses another; those of the program and of the undo.
    pub(crate) async fn undo(
        &self,
        session: &Session,
        service: &MigrationService,
        lock: &LockArgs,
    ) -> Result<Amended> {
        let Some(path) = &self.amend else {
            return Err(Error::invalid("no program to amend with"));
        };
        let program = if path.is_dir() {
            read_upcasters(path).await?
        } else {
            read_program(path).await?
        };
        let transformer = program.compile(session.masking_key())?;
        let migration = match &self.of {
            Some(given) => given.migration(session).await?,
            None => the_only_one(service).await?,
        };
        let mut plan = amendable(service, migration).await?;
        refuse_closed(session, &plan).await?;
        if let Some(exit) = undone(session, service, migration, lock).await? {
            return Ok(Amended::Ended(exit));
        }
        Program::forget(&mut plan.annotations, Role::Transform);
        let builder = as_planned(session, service, &plan, Access::Create).await?;
        let builder = annotate(&program, Role::Transform, builder);
        Ok(Amended::Begin(Box::new(builder.transform(transformer))))
    }
}

/// The plan of a migration that can be amended.
async fn amendable(service: &MigrationService, migration: MigrationId) -> Result<PlannedMigration> {
    let state = service.status(migration).await?;
    if state.status.is_terminal() {
        let message = format!("the migration has ended, {}: {migration}", state.status);
        return Err(Error::new(ErrorKind::AlreadyExists, message)
            .with_hint("roll it back, and migrate again with the mended program"));
    }
    let plan = state.plan.ok_or_else(|| {
        Error::not_found(format!("the migration never recorded a plan: {migration}"))
    })?;
    if plan.reverses.is_some() {
        let message = format!("the migration reverses another and cannot be amended: {migration}");
        return Err(Error::invalid(message)
            .with_hint("roll it back, then roll back again with another --down"));
    }
    Ok(plan)
}

/// Refuses a migration that has closed a stream: its object remains migrated with the earlier
/// program, and the new one would transform it a second time.
async fn refuse_closed(session: &Session, plan: &PlannedMigration) -> Result<()> {
    /// Objects read concurrently.
    const CONCURRENCY: usize = 16;
    let objects = match &plan.scope {
        Scope::Objects(objects) => {
            futures::stream::iter(objects.clone().into_iter().map(Ok)).boxed()
        }
        Scope::Name(name) => session.documents().objects(Some(name.clone())),
        Scope::All => session.documents().objects(None),
    };
    let mut loaded = objects
        .map_ok(|object| async move { session.reader().load(&object).await })
        .try_buffer_unordered(CONCURRENCY);
    while let Some(found) = loaded.try_next().await? {
        session.interrupt().check()?;
        if found.document.closed_by(plan.migration).is_some() {
            return Err(closed(&found.document.object.to_string(), plan.migration));
        }
    }
    Ok(())
}

fn closed(object: &str, migration: MigrationId) -> Error {
    let message = format!("migration {migration} has already cut over {object}");
    Error::new(ErrorKind::AlreadyExists, message).with_hint(
        "run `esm rollback` of it twice: the first undoes the rest, the second reverses what was cut \
         over; then migrate again with the mended program",
    )
}

/// Undoes the migration; returns how the command ends if something is left of it.
async fn undone(
    session: &Session,
    service: &MigrationService,
    migration: MigrationId,
    lock: &LockArgs,
) -> Result<Option<Exit>> {
    let state = service.status(migration).await?;
    let held = state.lock.as_ref().filter(|lock| lock.held);
    if let Some(held) = held {
        let now = session.environment().clock.now();
        session.output().note(waits_for(held, now, held.lease));
    }
    let (watch, options) = migration::watched(session, "undo");
    let undo = service
        .roll_back(migration)
        .undo_only()
        .reason("amended with another program")
        .lock(|options| lock.outlasting(held, options))
        .cancel_on(session.interrupt().token().clone())
        .progress(options);
    let ended = undo.execute().await;
    watch.end();
    let ended = ended?;
    let is_undone = matches!(
        ended.status,
        MigrationStatus::RolledBack | MigrationStatus::Abandoned | MigrationStatus::Cancelled
    );
    if !is_undone {
        let exit = migration::finish(session, &ended, Expected::Undone).await?;
        return Ok(Some(exit));
    }
    if ended.statistics.migrated > 0 {
        return Err(closed("objects of its scope", migration));
    }
    let id = session.output().id(migration);
    session.output().note(format!("undone: migration {id}"));
    Ok(None)
}

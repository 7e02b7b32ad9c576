//! What a plan names and cannot hold: programs and other stores, kept in its annotations.

use std::collections::BTreeMap;

use esm_core::Result;
use esm_core::migration::{MigrationBuilder, MigrationService, PlannedMigration, ResumeBuilder};

use super::service::{service, service_over};
use super::{Program, Role, transformation};
use crate::session::{Access, Session};

const BACKUP: &str = "esm.backup";
const ARCHIVE: &str = "esm.archive";
const TARGET: &str = "esm.to";

/// URLs of the other stores of a migration.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    annotations: &'a BTreeMap<String, String>,
}

impl<'a> Places<'a> {
    /// Keeps the URL of the backup in the plan.
    pub(crate) fn backup(builder: MigrationBuilder, url: &str) -> MigrationBuilder {
        builder.annotate(BACKUP, url)
    }

    /// Keeps the URL of the archive in the plan.
    pub(crate) fn archive(builder: MigrationBuilder, url: &str) -> MigrationBuilder {
        builder.annotate(ARCHIVE, url)
    }

    /// Keeps the location of the target store in the plan.
    pub(crate) fn target(builder: MigrationBuilder, location: String) -> MigrationBuilder {
        builder.annotate(TARGET, location)
    }

    pub(super) fn of_plan(plan: &'a PlannedMigration) -> Self {
        Self {
            annotations: &plan.annotations,
        }
    }

    /// The location of the target store, if it is another than that of the source.
    pub(super) fn target_place(&self) -> Option<&'a str> {
        self.get(TARGET)
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.annotations.get(key).map(String::as_str)
    }
}

/// The service, with the target store of this migration if the session does not have it.
///
/// # Errors
/// Those of opening the store.
pub(crate) async fn service_of(
    session: &Session,
    plan: Option<&PlannedMigration>,
) -> Result<MigrationService> {
    let unknown = plan.filter(|plan| {
        let target = plan.target_store;
        target.is_some_and(|target| session.stores().get(target).is_err())
    });
    let place = unknown.and_then(|plan| Places::of_plan(plan).target_place());
    let Some(place) = place else {
        return service(session);
    };
    let (target, _) = session.target_at(place, Access::Write).await?;
    service_over(session, session.stores().clone().with(target))
}

/// The migration of a plan, with its programs compiled and its stores opened. Stores for backups
/// are opened only if `access` allows to create them.
///
/// # Errors
/// Those of compiling a program and of opening a store.
pub(crate) async fn as_planned(
    session: &Session,
    service: &MigrationService,
    plan: &PlannedMigration,
    access: Access,
) -> Result<MigrationBuilder> {
    let mut builder = service.migrate_as_planned(plan);
    if let Some(program) = Program::of_plan(&plan.annotations, Role::Transform)? {
        builder = builder.transform(program.compile(session.masking_key())?);
    }
    if let Some(down) = Program::of_plan(&plan.annotations, Role::Down)? {
        builder = builder.reversible_with(down.compile(session.masking_key())?);
    }
    let places = Places::of_plan(plan);
    if let Some(url) = places.get(TARGET) {
        builder = builder.to_store(session.target_at(url, access).await?.0);
    }
    if access != Access::Create {
        return Ok(builder);
    }
    if let Some(url) = places.get(BACKUP) {
        let backups = session.backups_at(Some(url), access).await?;
        builder = builder.backups(backups);
    }
    if let Some(url) = places.get(ARCHIVE) {
        let archives = session.backups_at(Some(url), access).await?;
        builder = builder.archives(archives);
    }
    Ok(builder)
}

/// Gives a resumed migration its transformation and its stores again.
///
/// # Errors
/// As [`as_planned`].
pub(crate) async fn resumed(
    session: &Session,
    plan: &PlannedMigration,
    builder: ResumeBuilder,
) -> Result<ResumeBuilder> {
    let mut builder = builder.transform(transformation(&plan.annotations, session.masking_key())?);
    let places = Places::of_plan(plan);
    if let Some(url) = places.get(TARGET) {
        builder = builder.to_store(session.target_at(url, Access::Write).await?.0);
    }
    if let Some(url) = places.get(BACKUP) {
        builder = builder.backups(session.backups_at(Some(url), Access::Create).await?);
    }
    if let Some(url) = places.get(ARCHIVE) {
        builder = builder.archives(session.backups_at(Some(url), Access::Create).await?);
    }
    Ok(builder)
}

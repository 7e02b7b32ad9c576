//! Where the descriptions of migrations, resumptions and rollbacks begin.

use crate::id::{MigrationId, ObjectId, ObjectName};
use crate::migration::describe::builder::MigrationBuilder;
use crate::migration::describe::resume::ResumeBuilder;
use crate::migration::describe::rollback::RollBackBuilder;
use crate::migration::service::MigrationService;
use crate::protocol::plan::{PlannedMigration, Scope};

impl MigrationService {
    /// Returns a builder for the migration of one object.
    pub fn migrate(&self, object: ObjectId) -> MigrationBuilder {
        MigrationBuilder::new(self.clone(), Scope::Objects(vec![object]))
    }

    /// Returns a builder for the migration of several objects.
    pub fn migrate_many(&self, objects: impl IntoIterator<Item = ObjectId>) -> MigrationBuilder {
        MigrationBuilder::new(self.clone(), Scope::Objects(objects.into_iter().collect()))
    }

    /// Returns a builder for the migration of all objects of a name.
    pub fn migrate_named(&self, name: ObjectName) -> MigrationBuilder {
        MigrationBuilder::new(self.clone(), Scope::Name(name))
    }

    /// Returns a builder for the migration of all objects of the store.
    pub fn migrate_all(&self) -> MigrationBuilder {
        MigrationBuilder::new(self.clone(), Scope::All)
    }

    /// Returns a builder with the options of a plan, for
    /// [`execute_plan`](MigrationBuilder::execute_plan).
    ///
    /// A plan holds no code and no connections: set the transformers, the target store, and the
    /// providers of backup and archive again.
    pub fn migrate_as_planned(&self, plan: &PlannedMigration) -> MigrationBuilder {
        MigrationBuilder::of_plan(self.clone(), plan)
    }

    /// Returns a builder that resumes an unfinished migration. It needs the same transformation.
    pub fn resume(&self, migration: MigrationId) -> ResumeBuilder {
        ResumeBuilder::new(self.clone(), migration)
    }

    /// Returns a builder that rolls back a migration.
    ///
    /// An unfinished migration is undone as far as it has not passed its pivot; one that has ended
    /// is reversed.
    pub fn roll_back(&self, migration: MigrationId) -> RollBackBuilder {
        RollBackBuilder::new(self.clone(), migration)
    }
}

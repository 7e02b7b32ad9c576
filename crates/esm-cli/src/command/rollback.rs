//! `esm rollback`

use esm_core::Result;
use esm_core::id::MigrationId;

use super::migration_args::LockArgs;
use crate::exit::Exit;
use crate::migration::{self, Wanted, service};
use crate::session::Session;

/// Undo a migration that is not finished, as far as it has not cut over.
///
/// Objects that were cut over already stay migrated: behind its cutover a stream's migration can
/// only be finished, and the result says so.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm rollback 0192d3a0-7c1e-7aaa-8bbb-0123456789ab --reason 'wrong program'")]
pub(crate) struct Rollback {
    /// The migration.
    migration: MigrationId,
    /// Why, for its journal.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "asked for at the command line"
    )]
    reason: String,
    #[command(flatten)]
    lock: LockArgs,
}

impl Rollback {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let service = service(session)?;
        let (watch, options) = migration::watched(session, "roll back");
        let ended = service
            .resume(self.migration)
            .lock(|options| self.lock.over(options))
            .progress(|_| options)
            .cancel_on(session.interrupt().token().clone())
            .roll_back(&self.reason)
            .await;
        watch.end();
        migration::finish(session, &ended?, Wanted::Undone)
    }
}

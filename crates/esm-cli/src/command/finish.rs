//! `esm finish`

use esm_core::Result;

use crate::exit::Exit;
use crate::in_place;
use crate::migration::IdPart;
use crate::session::Session;

/// End a migration in place once old code has ended.
///
/// Rewrites what old code wrote since. The migration has ended when two sweeps in a row find
/// nothing, and all transactions that were older than the first have ended in between. For the tables
/// of another library.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm finish                       # the newest unfinished migration
  esm finish 0192d3a0-7c1e-7aaa-8bbb-0123456789ab --accept-unchanged")]
pub(crate) struct Finish {
    /// Migration id, or at least 4 characters of its beginning or end; defaults to the newest
    /// unfinished migration.
    migration: Option<IdPart>,
    /// End it after one sweep: what old code writes afterwards stays as it is.
    #[arg(long)]
    accept_unchanged: bool,
}

impl Finish {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        in_place::finish(session, self.migration.as_ref(), self.accept_unchanged).await
    }
}

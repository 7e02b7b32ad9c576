//! The subcommands of `esm store`.

use clap::Subcommand;
use esm_core::Result;

use super::adopt::Adoption;
use super::link::link;
use super::new_id::give_new_id;
use super::show::{count_objects, show};
use crate::args::Global;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::session::{Access, Session};

/// Create, show or link a store, or repair its id.
///
/// Brings back a lost marker, or gives a copy of a store an id of its own.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  esm store init --store s3://bucket/prefix
  esm store init --adopt                     # esm.json is lost
  esm store show
  esm store link s3://bucket/new             # streams moved there
  esm store new-id --store file:///copy")]
pub(crate) enum StoreCommand {
    /// Create a store; does nothing if it exists.
    ///
    /// Checks that the storage supports conditional creates: of two processes that create the same
    /// file, exactly one succeeds. A place that holds a store without its marker esm.json is
    /// refused: use --adopt.
    #[command(after_help = "\
Examples:
  esm store init --store s3://bucket/prefix
  esm store init --adopt
  esm store init --adopt --id 0b9c6a52-6c0e-4c57-9d2a-3f0a3f1d8a11
  esm store init --adopt --other-store file:///home --backup file:///backups")]
    Init(Adoption),
    /// Show the id and the limits of a store, and its number of objects.
    #[command(after_help = "\
Examples:
  esm store show")]
    Show,
    /// Link another store, to which streams have moved or will move.
    ///
    /// Its address is kept in this store, so that commands open it without --other-store. Everyone
    /// who reads this store reads the address: one with credentials is refused. A linked store that
    /// cannot be opened is a warning, until a command needs it.
    #[command(after_help = "\
Examples:
  esm store link s3://bucket/new")]
    Link {
        /// URL of the other store.
        #[arg(value_name = "URL")]
        address: String,
    },
    /// Give a copy of a store an id of its own.
    ///
    /// A copy has the id of its original, so the two cannot be used together. With an id of its own
    /// it is a store like any other. The id of the original stays an alias: documents and Closes in
    /// the copy stay valid. Use it on the copy, never on a store in which streams of other stores
    /// continue. Programs that have the copy open keep its present id until they open it again.
    #[command(after_help = "\
Examples:
  esm store new-id --store file:///copy        # asks first
  esm store new-id --store file:///copy --yes")]
    NewId {
        /// Do not ask for confirmation.
        #[arg(long, short)]
        yes: bool,
    },
}

impl StoreCommand {
    pub(crate) async fn run(
        &self,
        global: Global,
        output: Output,
        interrupt: Interrupt,
    ) -> Result<Exit> {
        let mut adopted = None;
        if let Self::Init(adoption) = self {
            adopted = adoption.run(&global, &interrupt).await?;
        }
        let access = match self {
            Self::Init(_) => Access::Create,
            Self::Show => Access::Read,
            Self::NewId { .. } | Self::Link { .. } => Access::Write,
        };
        let session = Session::open(global, output, interrupt, access).await?;
        match self {
            Self::Init(_) => {
                if let Some(adopted) = &mut adopted {
                    adopted.complete(&session).await?;
                }
                show(&session, None, adopted)
            }
            Self::Show => show(&session, Some(count_objects(&session).await?), None),
            Self::Link { address } => link(&session, address).await,
            Self::NewId { yes } => give_new_id(&session, *yes).await,
        }
    }
}

//! The description of a migration: what `plan` and `migrate` have in common.

use std::path::PathBuf;

use esm_core::id::{StreamId, StreamName};
use esm_core::migration::{MigrationBuilder, MigrationService, OnFailure};
use esm_core::protocol::plan::{BulkOptions, CopyOptions};
use esm_core::store::OnRetired;
use esm_core::{Error, Result};

use super::backup_args::BackupArgs;
use super::live_args::LiveArgs;
use crate::args::Span;
use crate::in_place::{Given, InPlaceArgs, fitted};
use crate::migration::{Role, annotate, chosen_program, read_program};
use crate::selection::Selection;
use crate::session::{Access, Session};

/// What is migrated, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct MigrationArgs {
    #[command(flatten)]
    selection: Selection,

    /// jq program that transforms each event, given as a CloudEvent: no output drops the event, one
    /// output changes it, several outputs split it. Defaults to unchanged events.
    #[arg(long, value_name = "FILE.jq")]
    transform: Option<PathBuf>,
    /// Directory of upcasters instead: a jq program for each step, named by type and versions, as
    /// Placed.v1-v2.jq. Events of old versions go step by step to the newest version of their type.
    #[arg(long, value_name = "DIR", conflicts_with = "transform")]
    upcasters: Option<PathBuf>,
    /// Require this stream to be the active one (single object only).
    #[arg(long, value_name = "STREAM")]
    from_stream: Option<StreamId>,
    /// Name of the new stream (single object only); defaults to a name made from the object's.
    #[arg(long, value_name = "NAME")]
    to_stream: Option<StreamName>,
    /// Include objects whose active stream already has this transformation applied.
    #[arg(long)]
    again: bool,
    /// How to handle appends of retired schemas after the cutover: events of a schema that the
    /// migration changes or drops, from an application that has not registered the transformation.
    /// Required if changed events keep their type and schema version. Defaults to refuse, and to sweep
    /// for the tables of another library.
    #[arg(long, value_name = "POLICY", value_enum)]
    on_retired: Option<RetiredPolicy>,

    #[command(flatten)]
    backup: BackupArgs,
    #[command(flatten)]
    failure: FailureArgs,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    tuning: TuningArgs,
    #[command(flatten)]
    in_place: InPlaceArgs,
}

/// What happens on failure, and how to roll back.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Failure and rollback")]
struct FailureArgs {
    /// jq program that turns events appended after the cutover back into the old schemas, for `esm
    /// rollback`. The plan shows up to which event it works.
    #[arg(long, value_name = "FILE.jq")]
    reversible_with: Option<PathBuf>,
    /// How long after its end the migration can be rolled back. Defaults to unlimited.
    #[arg(long, value_name = "DURATION")]
    reversible_for: Option<Span>,
    /// Undo a failure before the cutover at once. Without it, the migration can be resumed.
    #[arg(long)]
    with_rollback: bool,
    /// Continue with the other objects if one fails.
    #[arg(long)]
    keep_going: bool,
    /// Collect all failing events of a stream before stopping, instead of stopping at the first.
    #[arg(long)]
    collect_failures: bool,
}

/// How much is done at once.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Tuning")]
struct TuningArgs {
    /// Objects migrated concurrently.
    #[arg(long, value_name = "NUMBER", default_value_t = BulkOptions::default().concurrency)]
    concurrency: usize,
    /// Objects that share a backup and an archive.
    #[arg(long, value_name = "NUMBER", default_value_t = BulkOptions::default().batch_objects)]
    batch: usize,
    /// Maximum events per cell of the new stream.
    #[arg(long, value_name = "NUMBER", default_value_t = CopyOptions::default().cell_events)]
    cell_events: usize,
}

/// How appends of retired schemas are handled.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum RetiredPolicy {
    /// Rewrite them too, for the tables of another library.
    Sweep,
    /// Refuse them, with an error that names the schema and the migration. The tables of another
    /// library get a trigger, until `esm finish`.
    Refuse,
    /// Store them unchanged.
    AcceptUnchanged,
}

impl RetiredPolicy {
    /// The policy of the library.
    ///
    /// # Errors
    /// `Unsupported` for a policy that a store of this kind does not have.
    fn of(self, session: &Session) -> Result<Option<OnRetired>> {
        match (self, session.layout()) {
            (Self::Sweep, Some(_)) => Ok(None),
            (Self::AcceptUnchanged, _) => Ok(Some(OnRetired::AcceptUnchanged)),
            (Self::Refuse, _) => Ok(Some(OnRetired::Refuse)),
            (Self::Sweep, None) => Err(Error::unsupported(
                "--on-retired sweep is for the tables of another library",
            )
            .with_hint("choose refuse or accept-unchanged")),
        }
    }
}

impl MigrationArgs {
    /// What is given for the tables of another library, besides a saved plan.
    pub(crate) fn given(&self) -> Given<'_> {
        Given {
            args: &self.in_place,
            says_on_retired: self.on_retired.is_some(),
            plan: None,
            is_confirmed: false,
        }
    }

    /// The migration that the arguments describe. Other stores are opened as `access` allows.
    ///
    /// # Errors
    /// `NotFound` if no object has the selected name; those of reading and compiling the jq programs; those of opening a store; `Invalid` for
    /// options that contradict each other.
    pub(crate) async fn builder(
        &self,
        session: &Session,
        service: &MigrationService,
        access: Access,
    ) -> Result<MigrationBuilder> {
        self.in_place.check(session)?;
        self.selection.ensure_found(session).await?;
        if self.selection.is_all() {
            session.ensure_complete().await?;
        }
        let mut builder = self.selection.migrate(service).strategy(session.strategy());
        builder = self.transformed(session, builder).await?;
        if let Some(stream) = &self.from_stream {
            builder = builder.from_stream(stream.clone());
        }
        if let Some(name) = &self.to_stream {
            builder = builder.to_stream(name);
        }
        if self.again {
            builder = builder.again();
        }
        if let Some(policy) = self.on_retired
            && let Some(policy) = policy.of(session)?
        {
            builder = builder.on_retired(policy);
        }
        builder = self.backup.apply(builder, session, access).await?;
        builder = self.failure.apply(builder, session).await?;
        self.live
            .apply(self.tuning.apply(builder), session, access)
            .await
    }

    async fn transformed(
        &self,
        session: &Session,
        builder: MigrationBuilder,
    ) -> Result<MigrationBuilder> {
        let (transform, upcasters) = (self.transform.as_deref(), self.upcasters.as_deref());
        let Some(program) = chosen_program(transform, upcasters).await? else {
            return Ok(builder);
        };
        let transformer = fitted(session, program.compile(session.masking_key())?);
        Ok(annotate(&program, Role::Transform, builder).transform(transformer))
    }
}

impl FailureArgs {
    async fn apply(
        &self,
        mut builder: MigrationBuilder,
        session: &Session,
    ) -> Result<MigrationBuilder> {
        if let Some(path) = &self.reversible_with {
            let program = read_program(path).await?;
            builder = annotate(&program, Role::Down, builder)
                .reversible_with(program.compile(session.masking_key())?);
        }
        if let Some(window) = self.reversible_for {
            builder = builder.reversible_for(window.0);
        }
        if self.with_rollback {
            builder = builder.with_rollback();
        }
        if self.keep_going {
            builder = builder.on_failure(OnFailure::Continue);
        }
        Ok(builder.fail_fast(!self.collect_failures))
    }
}

impl TuningArgs {
    fn apply(&self, builder: MigrationBuilder) -> MigrationBuilder {
        builder
            .concurrency(self.concurrency)
            .batch(self.batch)
            .cells(self.cell_events, CopyOptions::default().cell_bytes)
    }
}

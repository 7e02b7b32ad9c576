//! What `plan` and `migrate` have in common: the description of a migration.

use std::path::PathBuf;

use esm_core::id::{StreamId, StreamName};
use esm_core::migration::{BulkOptions, CopyOptions, LockOptions, OnFailure, Scope};
use esm_core::store::OnRetired;
use esm_core::{Error, Result};

use super::backup::tags;
use super::live_args::LiveArgs;
use crate::args::{Pair, Span};
use crate::migration::{Books, Description, Keeping, Program};
use crate::selection::Selection;

/// What is to be done.
#[derive(Debug, clap::Args)]
pub(crate) struct MigrationArgs {
    #[command(flatten)]
    selection: Selection,

    /// A jq program that is applied to each event, as a CloudEvent: no output drops it, one changes
    /// it, several split it. Without one, events stay as they are.
    #[arg(long, value_name = "FILE.jq")]
    transform: Option<PathBuf>,
    /// The stream that must be the active one (one object only).
    #[arg(long, value_name = "STREAM")]
    from_stream: Option<StreamId>,
    /// The name of the new stream (one object only); made of the object's if it is left out.
    #[arg(long, value_name = "NAME")]
    to_stream: Option<StreamName>,
    /// Also objects whose active stream went through this transformation already.
    #[arg(long)]
    again: bool,
    /// What becomes of old code's appends after the cutover: events of a schema that the migration
    /// changes or drops, from an application that has not registered the transformation. Must be
    /// said where changed events keep their type and schema version; refused if it is left out.
    #[arg(long, value_name = "POLICY", value_enum)]
    on_retired: Option<RetiredPolicy>,

    /// Back up first, to this address: a URL like that of --store, which may be the same.
    #[arg(
        long,
        env = "ESM_BACKUP",
        value_name = "URL",
        help_heading = "Backup and archive"
    )]
    backup: Option<String>,
    /// No backup, whatever ESM_BACKUP says.
    #[arg(long, conflicts_with_all = ["backup_keep", "tags"], help_heading = "Backup and archive")]
    no_backup: bool,
    /// How long pruning must leave the backup alone; for ever if it is left out.
    #[arg(long, value_name = "DURATION", help_heading = "Backup and archive")]
    backup_keep: Option<Span>,
    /// Words of yours for backup and archive, as key=value; may be given several times.
    #[arg(
        long = "tag",
        value_name = "KEY=VALUE",
        help_heading = "Backup and archive"
    )]
    tags: Vec<Pair>,
    /// The level of zstd.
    #[arg(
        long,
        value_name = "1-19",
        default_value_t = 3,
        help_heading = "Backup and archive"
    )]
    #[arg(value_parser = clap::value_parser!(i32).range(1..=19))]
    level: i32,
    /// After the cutover, archive the closed stream and write down where it went.
    #[arg(long, help_heading = "Backup and archive")]
    close_books: bool,
    /// Where the archive goes; where the backup goes, or into the store, if it is left out.
    #[arg(
        long,
        value_name = "URL",
        requires = "close_books",
        help_heading = "Backup and archive"
    )]
    archive: Option<String>,
    /// Close the books without an archive.
    #[arg(long, requires = "close_books", conflicts_with = "archive")]
    #[arg(help_heading = "Backup and archive")]
    no_archive: bool,
    /// Words of yours for the closed stream, as key=value; may be given several times.
    #[arg(long = "note", value_name = "KEY=VALUE", requires = "close_books")]
    #[arg(help_heading = "Backup and archive")]
    notes: Vec<Pair>,

    /// A jq program that would turn events which are appended after the cutover back into what old
    /// code knows. The plan says until which event that works; `esm rollback` uses it.
    #[arg(long, value_name = "FILE.jq", help_heading = "When something fails")]
    reversible_with: Option<PathBuf>,
    /// How long after its end it can be rolled back; for ever if it is left out.
    #[arg(long, value_name = "DURATION", help_heading = "When something fails")]
    reversible_for: Option<Span>,
    /// Undo at once what fails before its cutover; without it, it can be resumed.
    #[arg(long, help_heading = "When something fails")]
    with_rollback: bool,
    /// Go on with the other objects when one fails.
    #[arg(long, help_heading = "When something fails")]
    keep_going: bool,
    /// Look for all events that fail in a stream before stopping, instead of stopping at the first.
    #[arg(long, help_heading = "When something fails")]
    collect_failures: bool,

    /// Objects that are worked on at the same time.
    #[arg(long, value_name = "NUMBER", default_value_t = BulkOptions::default().concurrency)]
    #[arg(help_heading = "Tuning")]
    concurrency: usize,
    /// Objects that share a backup and an archive.
    #[arg(long, value_name = "NUMBER", default_value_t = BulkOptions::default().batch_objects)]
    #[arg(help_heading = "Tuning")]
    batch: usize,
    /// Most events in a cell of the new stream.
    #[arg(long, value_name = "NUMBER", default_value_t = CopyOptions::default().cell_events)]
    #[arg(help_heading = "Tuning")]
    cell_events: usize,

    #[command(flatten)]
    live: LiveArgs,
}

/// What becomes of appends of retired schemas.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum RetiredPolicy {
    /// They are refused, naming the schema and the migration.
    Refuse,
    /// They are stored as they are.
    AcceptUnchanged,
}

impl From<RetiredPolicy> for OnRetired {
    fn from(policy: RetiredPolicy) -> Self {
        match policy {
            RetiredPolicy::Refuse => Self::Refuse,
            RetiredPolicy::AcceptUnchanged => Self::AcceptUnchanged,
        }
    }
}

impl MigrationArgs {
    /// What they describe.
    ///
    /// # Errors
    /// What reading the jq program fails with.
    pub(crate) async fn description(&self) -> Result<Description> {
        let program = match &self.transform {
            Some(path) => Some(Program::read(path).await?),
            None => None,
        };
        let down = match &self.reversible_with {
            Some(path) => Some(Program::read(path).await?),
            None => None,
        };
        let backup = self.backup.clone().filter(|_| !self.no_backup);
        if backup.is_none() && self.backup_keep.is_some() {
            return Err(Error::invalid("--backup-keep without a backup")
                .with_hint("say where to back up with --backup URL"));
        }
        let bulk = BulkOptions {
            concurrency: self.concurrency,
            batch_objects: self.batch,
            on_failure: match self.keep_going {
                true => OnFailure::Continue,
                false => OnFailure::Stop,
            },
        };
        let copy = CopyOptions {
            cell_events: self.cell_events,
            fail_fast: !self.collect_failures,
            ..CopyOptions::default()
        };
        Ok(Description {
            scope: self.scope(),
            program,
            down,
            window: self.reversible_for.map(|window| window.0),
            source: self.from_stream.clone(),
            target: self.to_stream.clone(),
            books: self.books(backup.as_ref()),
            backup: backup.map(|address| Keeping {
                retention: self.backup_keep.map(|keep| keep.0),
                ..self.keeping(Some(address))
            }),
            copy,
            bulk,
            rollback: self.with_rollback,
            again: self.again,
            on_retired: self.on_retired.map(Into::into),
            to: self.live.to.clone(),
            cutover: self.live.cutover.options()?,
            phases: self.live.phases.into(),
            limits: self.live.limits.change(),
        })
    }

    fn scope(&self) -> Scope {
        match &self.selection.name {
            Some(name) => Scope::Name(name.clone()),
            None if self.selection.all => Scope::All,
            None => Scope::Objects(self.selection.objects.clone()),
        }
    }

    fn books(&self, backup: Option<&String>) -> Option<Books> {
        let address = self.archive.as_ref().or(backup).cloned();
        self.close_books.then(|| Books {
            archive: (!self.no_archive).then(|| self.keeping(address)),
            metadata: tags(&self.notes),
        })
    }

    fn keeping(&self, address: Option<String>) -> Keeping {
        Keeping {
            address,
            level: Some(self.level),
            retention: None,
            tags: tags(&self.tags),
            documents: true,
        }
    }
}

/// How the lock is taken and held.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Lock")]
pub(crate) struct LockArgs {
    /// How long to wait for a lock that another holds; not at all if it is left out.
    #[arg(long, value_name = "DURATION")]
    lock_timeout: Option<Span>,
    /// How long the lock holds without a renewal.
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    lock_lease: Span,
    /// How often the lock is renewed.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    lock_heartbeat: Span,
}

impl LockArgs {
    /// These options over others.
    pub(crate) fn over(&self, options: LockOptions) -> LockOptions {
        let options = match self.lock_timeout {
            Some(timeout) => options.timeout(timeout.0),
            None => options,
        };
        options
            .lease(self.lock_lease.0)
            .heartbeat(self.lock_heartbeat.0)
    }
}

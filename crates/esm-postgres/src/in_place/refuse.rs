//! Refusing what old code writes: a trigger on inserts of the schemas that a migration retires.
//!
//! - **The trigger is its own record.** It is named after the migration, and created in a transaction
//!   that reads the claim. The catalogue says whether it is there, so nothing is to be kept in step.
//! - **Short attempts.** Creating and dropping a trigger need locks that conflict with those of
//!   writers, who queue behind an attempt. Each attempt waits for [`WAIT`] at most.
//! - **An undo opens it first.** The transaction that claims a migration for its undo also replaces
//!   the function of the trigger by one that lets everything pass. That needs no lock of the table, so
//!   no reader can delay an undo; the trigger is dropped at its end.

use std::collections::BTreeSet;
use std::time::Duration;

use esm_core::backoff::BackOff;
use esm_core::event::Schema;
use esm_core::id::MigrationId;
use esm_core::protocol::plan::Scope;
use esm_core::{Error, ErrorKind, Result};
use esm_layout::literal;

use super::claim::Claim;
use super::migration::Description;
use super::shared::Shared;

/// How long an attempt waits for each lock.
const WAIT: Duration = Duration::from_millis(50);
/// How long an attempt may take, with the locks of all partitions.
const LONGEST: Duration = Duration::from_secs(1);
/// Attempts to create or drop the trigger.
const ATTEMPTS: BackOff = BackOff::new(40, Duration::from_millis(20), Duration::from_millis(500));

/// The trigger of a migration.
pub(super) struct Refusal<'a> {
    pub(super) shared: &'a Shared,
    pub(super) migration: MigrationId,
}

impl Refusal<'_> {
    fn trigger(&self) -> String {
        format!("esm_refuse_{}", self.migration.as_uuid().simple())
    }

    fn function(&self) -> String {
        format!("esm_in_place.refuse_{}", self.migration.as_uuid().simple())
    }

    fn replace_function(&self, body: &str) -> String {
        format!(
            "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS {}",
            self.function(),
            // quoted as a whole: the name of a column can hold anything
            literal(&format!("BEGIN {body} END"))
        )
    }

    /// The statements that create the trigger, or make it refuse these schemas.
    fn install(&self, retired: &BTreeSet<Schema>) -> String {
        let table = self.shared.statements.table();
        let body = format!(
            "RAISE EXCEPTION USING ERRCODE = {}, MESSAGE = 'events of the type ' || \
             NEW.{}::text || ' are refused in this schema version: the migration {} retired it', \
             HINT = 'write the new schema';",
            literal(&self.shared.streams.layout.events.refusal),
            table.event_type.quoted,
            self.migration
        );
        format!(
            "{}; CREATE OR REPLACE TRIGGER {} BEFORE INSERT ON {} FOR EACH ROW WHEN ({}) \
             EXECUTE FUNCTION {}()",
            self.replace_function(&body),
            self.trigger(),
            table.qualified,
            self.is_retired(retired),
            self.function()
        )
    }

    /// The condition that a new row is of one of these schemas.
    fn is_retired(&self, retired: &BTreeSet<Schema>) -> String {
        let event_type = &self.shared.statements.table().event_type.quoted;
        let conditions = retired.iter().map(|schema| {
            format!(
                "(NEW.{event_type} = {} AND {})",
                literal(schema.event_type.as_str()),
                self.has_version(schema.version.0)
            )
        });
        conditions.collect::<Vec<_>>().join(" OR ")
    }

    /// The condition that a new row has this schema version, as it is read: 1 where it says none.
    fn has_version(&self, version: u32) -> String {
        let table = self.shared.statements.table();
        let text = match (
            &table.version,
            &table.metadata,
            &self.shared.shape.version_member,
        ) {
            (Some(column), _, _) => format!("NEW.{}::text", column.quoted),
            (None, Some(metadata), Some(member)) => {
                format!("(NEW.{} ->> {})", metadata.quoted, literal(member))
            }
            _ => return (version == 1).to_string(),
        };
        format!(
            "CASE WHEN {text} IS NULL THEN {version} = 1 \
             WHEN {text} ~ '^[[:space:]]*[vV]?[0-9]+([.][0-9]+)*[[:space:]]*$' \
             THEN substring({text} FROM '[0-9]+')::numeric = {version} ELSE false END"
        )
    }

    /// The statement that lets everything pass. It waits for no lock of the table.
    pub(super) fn open(&self) -> String {
        self.replace_function("RETURN NEW;")
    }

    /// The statements that remove trigger and function.
    pub(super) fn remove(&self) -> String {
        format!(
            "DROP TRIGGER IF EXISTS {} ON {}; DROP FUNCTION IF EXISTS {}()",
            self.trigger(),
            self.shared.statements.table().qualified,
            self.function()
        )
    }

    /// Creates the trigger. What old code wrote before is committed then, and what it writes later is
    /// refused.
    ///
    /// # Errors
    /// As [`attempt`](Self::attempt).
    pub(super) async fn ensure(&self, claim: &Claim, retired: &BTreeSet<Schema>) -> Result<()> {
        self.attempt(claim, &self.install(retired)).await
    }

    /// Runs statements that need a lock of the table, in short attempts.
    ///
    /// # Errors
    /// `LockLost` if another process continues the migration; `Unavailable`, naming who holds the
    /// table; those of the server.
    pub(super) async fn attempt(&self, claim: &Claim, statements: &str) -> Result<()> {
        let wire = &self.shared.wire;
        let statements = format!(
            "SET LOCAL lock_timeout = {}; {statements}",
            WAIT.as_millis()
        );
        let mut back_off = ATTEMPTS;
        loop {
            let Err(failure) = claim.attempt(wire, &statements, LONGEST).await else {
                return Ok(());
            };
            claim.ensure_held(wire).await?;
            if !failure.is_transient() {
                return Err(failure.into_error());
            }
            self.shared.check_stop()?;
            if !back_off.pause(&self.shared.options.environment).await {
                return Err(self.held(failure.into_error()).await);
            }
        }
    }

    /// The error about a table that others do not let go of.
    async fn held(&self, error: Error) -> Error {
        let holders = format!(
            "SELECT string_agg(DISTINCT coalesce('process ' || l.pid, 'a prepared transaction'), ', ')
             FROM pg_locks l WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
                 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND l.relation IN (SELECT {table}::regclass
                     UNION SELECT relid FROM pg_partition_tree({table}::regclass))",
            table = literal(&self.shared.statements.table().qualified)
        );
        let rows = self.shared.wire.read(&holders).await.unwrap_or_default();
        let named = rows.first().and_then(|row| row.first()?.clone());
        let held_by = named.map_or(String::new(), |named| format!(", {named}"));
        let message = format!(
            "other transactions use {}{held_by}: trigger {} can be neither created nor dropped",
            self.shared.relation(),
            self.trigger()
        );
        Error::new(ErrorKind::Unavailable, message)
            .with_source(error)
            .with_hint("repeat the command once they have ended")
    }
}

/// Checks that old code can be refused.
///
/// # Errors
/// `Invalid` and `Unsupported` with the reason; `PermissionDenied` with the `GRANT` that is missing.
pub(super) async fn check(shared: &Shared, description: &Description) -> Result<()> {
    let other = "choose --on-retired sweep or accept-unchanged";
    if description.planned.scope != Scope::All {
        let message = "old code can be refused only where all streams are migrated";
        return Err(Error::invalid(message).with_hint(format!("add --all, or {other}")));
    }
    if !description.reused.is_empty() {
        let reused: Vec<_> = description.reused.iter().map(ToString::to_string).collect();
        return Err(Error::invalid(format!(
            "old code cannot be distinguished from new code, changed events keep their schema: {}",
            reused.join(", ")
        ))
        .with_hint(format!("give them another schema version, or {other}")));
    }
    if !description.partial.is_empty() {
        let partial: Vec<_> = description
            .partial
            .iter()
            .map(ToString::to_string)
            .collect();
        return Err(Error::invalid(format!(
            "old code cannot be distinguished from new code, some events stay as they are: {}",
            partial.join(", ")
        ))
        .with_hint(other));
    }
    let table = shared.statements.table();
    let is_json = |kind: &str| matches!(kind, "json" | "jsonb");
    if shared.shape.version_member.is_some()
        && !table.metadata.as_ref().is_some_and(|m| is_json(&m.kind))
    {
        let message = "the schema version is in metadata that are not JSON to the server";
        return Err(Error::unsupported(message).with_hint(other));
    }
    let owner = format!(
        "SELECT pg_has_role(relowner, 'USAGE'), quote_ident(pg_get_userbyid(relowner)), \
         quote_ident(current_user) FROM pg_class WHERE oid = {}::regclass",
        literal(&table.qualified)
    );
    let rows = shared.wire.read(&owner).await?;
    match rows.first().map(Vec::as_slice) {
        Some([Some(owns), Some(owner), Some(user)]) if owns != "t" => {
            let message = format!("only its owner creates a trigger on {}", table.full_name);
            Err(Error::new(ErrorKind::PermissionDenied, message)
                .with_hint(format!("GRANT {owner} TO {user}; or {other}")))
        }
        _ => Ok(()),
    }
}

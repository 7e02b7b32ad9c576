//! Refusing what old code writes: a trigger on inserts of the schemas that a migration retires.
//!
//! - **The trigger is its own record.** It is named after the migration, and created in a transaction
//!   that reads the claim. The catalogue says whether it is there, so nothing is to be kept in step.
//! - **Short attempts.** Creating and dropping a trigger need locks that conflict with those of
//!   writers, who queue behind an attempt. Each attempt waits for [`WAIT`] at most.
//! - **Maintenance first.** Autovacuum lets go of a table only for who has waited for
//!   `deadlock_timeout`, 1 s. So an attempt first waits for a lock that conflicts with vacuum and with
//!   no writer.
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
use super::steering::Steering;

/// How long an attempt waits for each lock that writers queue behind.
const WAIT: Duration = Duration::from_millis(50);
/// How long an attempt may take, with the locks of all partitions.
const LONGEST: Duration = Duration::from_secs(1);
/// How long it is attempted to create or drop the trigger.
const PATIENCE: Duration = Duration::from_secs(30);
const ATTEMPTS: BackOff = BackOff::unlimited(Duration::from_millis(20), Duration::from_millis(500));

/// Settings for waiting longer than autovacuum holds a table against others.
const MAINTENANCE: &str = "SELECT set_config('statement_timeout', '12s', true), \
     set_config('lock_timeout', least(setting::int + 500, 10000)::text, true) \
     FROM pg_settings WHERE name = 'deadlock_timeout'";

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

    /// The statement that lets everything pass, if there is a trigger. It waits for no lock of the
    /// table. The claim is held, so nobody creates the function meanwhile.
    pub(super) fn open(&self) -> String {
        let opened = self.replace_function("RETURN NEW;");
        let exists = format!(
            "SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
             WHERE format('%s.%s', n.nspname, p.proname) = {}",
            literal(&self.function())
        );
        if_exists(&exists, &opened)
    }

    /// The query that finds the trigger.
    fn exists(&self) -> String {
        format!(
            "SELECT FROM pg_trigger WHERE tgname = {} AND tgrelid = {}::regclass",
            literal(&self.trigger()),
            literal(&self.shared.statements.table().qualified)
        )
    }

    /// Removes trigger and function, and runs statements in the same transaction. Where there is no
    /// trigger, because none was created or somebody removed it, the table is not locked: that would
    /// take rights on it, and wait for others. Nobody creates one meanwhile, because the claim is held.
    ///
    /// # Errors
    /// As [`attempt`](Self::attempt).
    pub(super) async fn remove(&self, claim: &Claim, statements: &str) -> Result<()> {
        let wire = &self.shared.wire;
        let function = format!("DROP FUNCTION IF EXISTS {}()", self.function());
        let exists = self.exists();
        if wire
            .read(&format!("SELECT true FROM ({exists}) found"))
            .await?
            .is_empty()
        {
            return claim
                .write(wire, &format!("{function}; {statements}"))
                .await;
        }
        let table = &self.shared.statements.table().qualified;
        let dropped = format!("DROP TRIGGER {} ON {table}", self.trigger());
        let dropped = if_exists(&exists, &dropped);
        self.attempt(claim, &format!("{dropped}; {function}; {statements}"), None)
            .await
    }

    /// Checks the rights to remove what is installed, and to install it.
    ///
    /// # Errors
    /// `PermissionDenied` with the `GRANT` that is missing; those of the server.
    pub(super) async fn check_rights(&self, installs: bool) -> Result<()> {
        let query = format!(
            "SELECT format('GRANT %I TO %I', pg_get_userbyid(c.relowner), current_user)
             FROM pg_class c
             WHERE c.oid = {table}::regclass AND NOT pg_has_role(c.relowner, 'USAGE')
                 AND ({installs} OR EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid
                     AND t.tgname = {trigger}))
             UNION ALL
             SELECT format('GRANT %I TO %I', pg_get_userbyid(p.proowner), current_user)
             FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE format('%s.%s', n.nspname, p.proname) = {function}
                 AND NOT pg_has_role(p.proowner, 'USAGE')
             UNION ALL
             SELECT format('GRANT USAGE ON LANGUAGE plpgsql TO %I', current_user)
             FROM pg_language WHERE lanname = 'plpgsql'
                 AND {installs} AND NOT has_language_privilege(oid, 'USAGE')",
            table = literal(&self.shared.statements.table().qualified),
            trigger = literal(&self.trigger()),
            function = literal(&self.function())
        );
        let rows = self.shared.wire.read(&query).await?.into_iter();
        let grants: Vec<_> = rows.filter_map(|row| row.into_iter().next()?).collect();
        if grants.is_empty() {
            return Ok(());
        }
        let message = format!(
            "no right to create and to remove the trigger that refuses old code on {}",
            self.shared.relation()
        );
        Err(Error::new(ErrorKind::PermissionDenied, message).with_hint(grants.join("; ")))
    }

    /// Creates the trigger. What old code wrote before is committed then, and what it writes later is
    /// refused.
    ///
    /// # Errors
    /// As [`attempt`](Self::attempt).
    pub(super) async fn ensure(
        &self,
        claim: &Claim,
        retired: &BTreeSet<Schema>,
        steering: &Steering,
    ) -> Result<()> {
        let install = self.install(retired);
        self.attempt(claim, &install, Some(steering)).await
    }

    /// Runs statements that need a lock of the table, in short attempts.
    ///
    /// # Errors
    /// `LockLost` if another process continues the migration; `Unavailable`, naming who holds the
    /// table; `Cancelled`; those of the server.
    async fn attempt(
        &self,
        claim: &Claim,
        statements: &str,
        steering: Option<&Steering>,
    ) -> Result<()> {
        let (shared, wire) = (self.shared, &self.shared.wire);
        let clock = &shared.options.environment.clock;
        let message = self.after_maintenance(claim, statements);
        let mut back_off = ATTEMPTS;
        let mut until = clock.monotonic() + PATIENCE;
        loop {
            let rested = match steering {
                Some(steering) => steering.safe_point(shared).await?,
                None => shared.check_stop().map(|()| false)?,
            };
            if rested {
                until = clock.monotonic() + PATIENCE;
            }
            let Err(failure) = wire.write(&message, LONGEST).await else {
                return Ok(());
            };
            claim.ensure_held(wire).await?;
            if !failure.is_transient() {
                return Err(failure.into_error());
            }
            if clock.monotonic() >= until {
                return Err(self.held(failure.into_error()).await);
            }
            back_off.pause(&shared.options.environment).await;
        }
    }

    /// An attempt: what holds the table without writing to it is waited for first, while the
    /// transaction has no number yet and nobody queues behind it.
    fn after_maintenance(&self, claim: &Claim, statements: &str) -> String {
        format!(
            "{MAINTENANCE}; LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE; \
             SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}; \
             SELECT 1 / count(*) FROM ({}) held; {statements}",
            self.shared.statements.table().qualified,
            WAIT.as_millis(),
            LONGEST.as_millis(),
            claim.fence()
        )
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

/// Runs a statement if a query finds something.
fn if_exists(query: &str, statement: &str) -> String {
    let body = format!(
        "BEGIN IF EXISTS ({query}) THEN EXECUTE {}; END IF; END",
        literal(statement)
    );
    format!("DO {}", literal(&body))
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
    let refusal = Refusal {
        shared,
        migration: description.planned.migration,
    };
    refusal.check_rights(true).await.map_err(|error| {
        let grant = error.hint().unwrap_or_default().to_owned();
        error.with_hint(format!("{grant}; or {other}"))
    })
}

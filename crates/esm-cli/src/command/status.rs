//! `esm status`

use std::collections::BTreeMap;

use esm_core::Result;
use esm_core::id::MigrationId;
use esm_core::migration::MigrationState;
use futures::TryStreamExt as _;
use serde::Serialize;

use crate::exit::Exit;
use crate::migration::{next_step, service};
use crate::output::{Facts, Table, count};
use crate::session::Session;

/// Show migrations: those that are not finished, all, or one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm status
  esm status --all --output json | jq '.migrations[] | {migration, status}'
  esm status 0192d3a0-7c1e-7aaa-8bbb-0123456789ab")]
pub(crate) struct Status {
    /// The migration.
    #[arg(conflicts_with = "all")]
    migration: Option<MigrationId>,
    /// Those that have ended, too.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    migrations: Vec<MigrationState>,
}

#[derive(Debug, Serialize)]
struct ShownOne {
    #[serde(flatten)]
    state: MigrationState,
    /// Events of retired schemas that its targets accepted as they are, by schema.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    accepted_unchanged: BTreeMap<String, u64>,
}

impl Status {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let service = service(session)?;
        if let Some(migration) = self.migration {
            let accepted = service.accepted_unchanged(migration).await?.into_iter();
            let shown = ShownOne {
                state: service.status(migration).await?,
                accepted_unchanged: accepted.map(|(s, n)| (s.to_string(), n)).collect(),
            };
            session.output().result(&shown, one)?;
            if !shown.state.status.is_terminal() {
                session.output().note(&next_step(session, migration));
            }
            return Ok(Exit::Success);
        }
        let found = match self.all {
            true => service.migrations(),
            false => service.active(),
        };
        let mut migrations: Vec<_> = found.try_collect().await?;
        // ids are ordered by the time they were planned
        migrations.sort_by_key(|state| state.migration);
        session
            .output()
            .result(&Shown { migrations }, |shown, terminal| {
                match (shown.migrations.is_empty(), self.all) {
                    (true, true) => "no migrations".to_owned(),
                    (true, false) => {
                        "no migration is unfinished; --all shows those that have ended".to_owned()
                    }
                    (false, _) => table(&shown.migrations).to_text(terminal),
                }
            })?;
        Ok(Exit::Success)
    }
}

fn table(migrations: &[MigrationState]) -> Table {
    let mut table = Table::new([
        "migration",
        "status",
        "of",
        "migrated",
        "failed",
        "changed last",
    ]);
    for state in migrations {
        let number = |f: fn(&esm_core::migration::Statistics) -> u64| {
            state
                .statistics
                .as_ref()
                .map(|s| count(f(s)))
                .unwrap_or_default()
        };
        table.row([
            state.migration.to_string(),
            state.status.to_string(),
            state
                .plan
                .as_ref()
                .map(|p| p.scope.to_string())
                .unwrap_or_default(),
            number(|s| s.migrated),
            number(|s| s.failed),
            state.updated_at.map(|t| t.to_string()).unwrap_or_default(),
        ]);
    }
    table
}

fn one(shown: &ShownOne, terminal: bool) -> String {
    let state = &shown.state;
    let mut facts = Facts::new();
    facts
        .add("migration", state.migration)
        .add("status", state.status)
        .add_some("of", state.plan.as_ref().map(|p| &p.scope))
        .add_some(
            "rolls back",
            (state.plan.as_ref())
                .and_then(|p| p.reverses.as_ref())
                .map(|reverses| reverses.migration),
        )
        .add_some("worked on by", state.holder.as_ref())
        .add_some("begun", state.started_at)
        .add_some("changed last", state.updated_at);
    if let Some((step, reason)) = &state.stopped {
        facts.add("stopped", format!("{step}: {reason}"));
    }
    if let Some(lock) = state.lock.as_ref().filter(|lock| lock.held) {
        facts.add(
            "lock",
            format!("held by {} since {}", lock.holder, lock.acquired_at),
        );
    }
    if let Some(statistics) = &state.statistics {
        facts
            .add("objects migrated", count(statistics.migrated))
            .add("up to date already", count(statistics.up_to_date))
            .add("failed", count(statistics.failed))
            .add(
                "events",
                format!(
                    "{} -> {}",
                    count(statistics.ledger.source),
                    count(statistics.ledger.outputs)
                ),
            );
        for failure in &statistics.failures {
            facts.add(
                "failure",
                format!("{}, {}: {}", failure.object, failure.step, failure.message),
            );
        }
    }
    for (schema, events) in &shown.accepted_unchanged {
        facts.add(
            "accepted unchanged",
            format!("{schema}: {}", count(*events)),
        );
    }
    facts.to_text(terminal)
}

//! `esm status`

use std::collections::BTreeMap;

use esm_core::Result;
use esm_core::id::MigrationId;
use esm_core::migration::{MigrationService, MigrationState, Statistics};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::Serialize;

use crate::exit::Exit;
use crate::migration::{DAMAGED, next_step, object_failures, service, sign_of_life};
use crate::output::{Facts, Table, Text, count};
use crate::session::Session;

/// Show migrations: the unfinished ones, all, or one in detail.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm status
  esm status --all --output json | jq '.migrations[] | {migration, status}'
  esm status 0192d3a0-7c1e-7aaa-8bbb-0123456789ab")]
pub(crate) struct Status {
    /// Migration id.
    #[arg(conflicts_with = "all")]
    migration: Option<MigrationId>,
    /// Include finished migrations.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Serialize)]
struct Migrations {
    migrations: Vec<MigrationState>,
}

#[derive(Debug, Serialize)]
struct OneMigration {
    #[serde(flatten)]
    state: MigrationState,
    /// Events of retired schemas that the targets stored unchanged, by schema.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    accepted_unchanged: BTreeMap<String, u64>,
}

impl Status {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let service = service(session)?;
        match self.migration {
            Some(migration) => show(session, &service, migration).await,
            None => self.list(session, &service).await,
        }
    }

    async fn list(&self, session: &Session, service: &MigrationService) -> Result<Exit> {
        let mut migrations: Vec<_> = service
            .migrations()
            .try_filter(|state| std::future::ready(self.all || is_unfinished(state)))
            .try_collect()
            .await?;
        // ids are ordered by the time of planning
        migrations.sort_by_key(|state| state.migration);
        let migrations = Migrations { migrations };
        let none = if self.all {
            "no migrations"
        } else {
            "no unfinished migrations; add --all to show finished ones"
        };
        session.output().result(&migrations, |shown, terminal| {
            if shown.migrations.is_empty() {
                none.into()
            } else {
                table(&shown.migrations).to_text(terminal)
            }
        })?;
        for damage in migrations
            .migrations
            .iter()
            .filter_map(|state| state.damage.as_ref())
        {
            session.output().note(damage.as_str());
        }
        Ok(Exit::Success)
    }
}

fn is_unfinished(state: &MigrationState) -> bool {
    state.damage.is_some() || state.plan.is_some() && !state.status.is_terminal()
}

async fn show(
    session: &Session,
    service: &MigrationService,
    migration: MigrationId,
) -> Result<Exit> {
    let state = service.status(migration).await?;
    let accepted = if state.damage.is_none() {
        service.accepted_unchanged(migration).await?
    } else {
        BTreeMap::new()
    };
    let accepted = accepted.into_iter();
    let shown = OneMigration {
        state,
        accepted_unchanged: accepted.map(|(s, n)| (s.to_string(), n)).collect(),
    };
    let now = session.environment().clock.now();
    session
        .output()
        .result(&shown, |shown, terminal| one(shown, now, terminal))?;
    if shown.state.damage.is_some() {
        session.output().note(DAMAGED);
    } else if !shown.state.status.is_terminal() {
        session.output().note(next_step(session, migration));
    }
    Ok(Exit::Success)
}

fn table(migrations: &[MigrationState]) -> Table {
    let mut table = Table::new([
        "migration",
        "status",
        "scope",
        "migrated",
        "failed",
        "last change",
    ]);
    for state in migrations {
        let number = |f: fn(&Statistics) -> u64| {
            state
                .statistics
                .as_ref()
                .map(|s| count(f(s)))
                .unwrap_or_default()
        };
        table.row([
            state.migration.to_string(),
            status_of(state),
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

/// The status, unless the journal does not show it.
fn status_of(state: &MigrationState) -> String {
    match state.damage {
        Some(_) => "damaged".to_owned(),
        None => state.status.to_string(),
    }
}

fn one(shown: &OneMigration, now: Timestamp, terminal: bool) -> Text {
    let state = &shown.state;
    let reverses = state.plan.as_ref().and_then(|p| p.reverses.as_ref());
    let mut facts = Facts::new();
    facts
        .add("migration", state.migration)
        .add("status", status_of(state))
        .add_some("damaged", state.damage.as_ref())
        .add_some("scope", state.plan.as_ref().map(|p| &p.scope))
        .add_some("rolls back", reverses.map(|reverses| reverses.migration))
        .add_some("holder", state.holder.as_ref())
        .add_some("started", state.started_at)
        .add_some("last change", state.updated_at);
    if let Some((step, reason)) = &state.stopped {
        facts.add("stopped", format!("{step}: {reason}"));
    }
    if let Some(lock) = state
        .lock
        .as_ref()
        .filter(|lock| lock.held || lock.abandoned)
    {
        let (holder, since) = (&lock.holder, lock.acquired_at);
        let life = sign_of_life(lock, now).map_or(String::new(), |life| format!("; {life}"));
        facts.add("lock", format!("held by {holder} since {since}{life}"));
    }
    if let Some(statistics) = &state.statistics {
        add_statistics(&mut facts, statistics);
    }
    for (schema, events) in &shown.accepted_unchanged {
        let events = count(*events);
        facts.add("accepted unchanged", format!("{schema}: {events}"));
    }
    facts.to_text(terminal)
}

fn add_statistics(facts: &mut Facts, statistics: &Statistics) {
    let ledger = &statistics.counts.ledger;
    let events = format!("{} -> {}", count(ledger.source), count(ledger.outputs));
    facts
        .add("objects migrated", count(statistics.migrated))
        .add("already up to date", count(statistics.up_to_date))
        .add("failed", count(statistics.failed))
        .add("events", events);
    for failure in object_failures(statistics) {
        facts.add("failure", failure);
    }
}

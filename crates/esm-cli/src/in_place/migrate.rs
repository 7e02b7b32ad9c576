//! `esm migrate` and `esm plan` on the tables of another library.

use esm_core::migration::{
    MigrationBuilder, MigrationPlan, OnFailure, PlanDepth, PlannedMigration, SettingsChange,
};
use esm_core::protocol::gate::CutoverOptions;
use esm_core::store::OnRetired;
use esm_core::{Error, ErrorKind, Result};
use esm_postgres::{Description, InPlace, Running};
use serde::Serialize;

use super::place::of_layout;
use super::report::{Ran, ran};
use crate::confirm::{can_ask, confirmed};
use crate::exit::Exit;
use crate::migration::{plan_exit, plan_text, transformation};
use crate::output::counted;
use crate::progress::Unit;
use crate::session::Session;

/// Sweeps of what old code wrote, during the migration.
const SWEEPS: u32 = 4;

#[derive(Debug, Serialize)]
struct Nothing {
    rewritten: u64,
}

/// Options of the tables of another library.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "In place")]
pub(crate) struct InPlaceArgs {
    /// Rewrite the events of a table that has triggers on UPDATE: they run for every event that is
    /// rewritten.
    #[arg(long)]
    allow_triggers: bool,
}

impl InPlaceArgs {
    /// # Errors
    /// `Unsupported` for a store of esm's own.
    pub(crate) fn check(&self, session: &Session) -> Result<()> {
        if self.allow_triggers && session.layout().is_none() {
            let message = "--allow-triggers is for the tables of another library";
            return Err(Error::unsupported(message).with_hint("leave it out"));
        }
        Ok(())
    }
}

/// Adds to a plan what the table is in the way of, and what to know before. Nothing without a
/// layout.
///
/// # Errors
/// Those of the server.
pub(crate) async fn plan_risks(
    session: &Session,
    args: &InPlaceArgs,
    plan: &mut MigrationPlan,
) -> Result<()> {
    let Some(in_place) = of_layout(session, None, 1, args.allow_triggers) else {
        return Ok(());
    };
    match in_place.check().await {
        Ok(warnings) => plan.risks.extend(warnings),
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::Unsupported | ErrorKind::PermissionDenied
            ) =>
        {
            let hint = e.hint().map_or(String::new(), |hint| format!("; {hint}"));
            plan.risks
                .push(format!("`esm migrate` refuses it: {e}{hint}"));
        }
        Err(e) => return Err(e),
    }
    Ok(())
}

/// Rewrites events in place.
///
/// # Errors
/// Refusals before anything is written; those of [`Running::rewrite`].
pub(crate) async fn migrate(
    session: &Session,
    builder: MigrationBuilder,
    args: &InPlaceArgs,
    is_confirmed: bool,
) -> Result<Exit> {
    let plan = planned(session, builder).await?;
    refuse_options(&plan.planned)?;
    let concurrency = plan.planned.bulk.concurrency;
    let progress = session.progress("migrate", Unit::Events, Some(plan.events));
    let in_place = of_layout(
        session,
        Some(progress.clone()),
        concurrency,
        args.allow_triggers,
    );
    let in_place = in_place.ok_or_else(|| Error::unsupported("the store has no layout"))?;
    let warnings = in_place.check().await?;
    if !plan.is_executable() {
        progress.end();
        session
            .output()
            .result(&plan, |plan, form| plan_text(plan, 0, form))?;
        return Ok(plan_exit(&plan));
    }
    if plan.ledger.unchanged == plan.ledger.source {
        progress.end();
        let nothing = Nothing { rewritten: 0 };
        session.output().result(&nothing, |_, _| {
            "nothing to do: no event changes".to_owned()
        })?;
        return Ok(Exit::Success);
    }
    if !is_confirmed && !is_wanted(session, &plan, &warnings).await? {
        session.output().note("nothing was changed");
        return Ok(Exit::Success);
    }
    for warning in warnings {
        session.output().note(warning);
    }
    let transformer = in_place.transformer(transformation(&plan.planned.annotations)?);
    let sweeps = plan.planned.on_retired != Some(OnRetired::AcceptUnchanged);
    let description = Description {
        before: plan.schemas.iter().map(|s| s.schema.clone()).collect(),
        introduced: plan.way_back.needs_down.clone(),
        planned: plan.planned,
    };
    let running = in_place.begin(description, transformer).await?;
    let ended = run(&in_place, running, if sweeps { SWEEPS } else { 0 }).await;
    progress.end();
    ran(session, ended)
}

/// Rewrites what is left, sweeps this many times, and ends the migration.
///
/// # Errors
/// Those of [`Running::rewrite`], with the migration.
pub(super) async fn run(in_place: &InPlace, running: Running, sweeps: u32) -> Result<Ran> {
    let migration = running.migration();
    let work = async {
        let pass = running.rewrite().await?;
        let settled = running.settle(sweeps).await?;
        Ok((pass, settled))
    };
    let (pass, settled) = match work.await {
        Ok(done) => done,
        Err(error) => {
            running.leave().await;
            return Err(still_open(migration, error));
        }
    };
    // without sweeps, what old code writes is accepted as it is
    running.end(settled.is_done || sweeps == 0).await?;
    Ok(Ran {
        known: in_place.migration(migration).await?,
        pass,
        settled: (sweeps > 0).then_some(settled),
    })
}

fn still_open(migration: esm_core::id::MigrationId, error: Error) -> Error {
    let next = format!("`esm resume {migration}` continues, `esm rollback {migration}` undoes");
    let hint = match error.hint() {
        Some(hint) => format!("{hint}; {next}"),
        None => next,
    };
    error.with_hint(hint)
}

async fn planned(session: &Session, builder: MigrationBuilder) -> Result<MigrationPlan> {
    let planning = builder
        .depth(PlanDepth::All)
        .cancel_on(session.interrupt().token().clone())
        .dry_run();
    tokio::select! {
        plan = planning => plan,
        () = session.interrupt().token().cancelled() => {
            Err(Error::new(ErrorKind::Cancelled, "stopped on request"))
        }
    }
}

/// Asks where there is a terminal.
async fn is_wanted(session: &Session, plan: &MigrationPlan, warnings: &[String]) -> Result<bool> {
    if !can_ask(session.output()) {
        return Ok(true);
    }
    session
        .output()
        .text(plan_text(plan, 0, session.output().note_form()))?;
    for warning in warnings {
        session.output().note(warning.as_str());
    }
    let question = format!("rewrite {} in place?", counted(plan.objects, "object"));
    confirmed(session.output(), session.interrupt(), &question).await
}

/// Refuses options that mean nothing where events are rewritten in place.
fn refuse_options(planned: &PlannedMigration) -> Result<()> {
    let given = [
        (
            "--backup",
            planned.backup.is_some(),
            "the archive keeps the originals; leave it out, or add --no-backup",
        ),
        (
            "--close-books",
            planned.close_books.is_some(),
            "no stream is closed; leave it out",
        ),
        (
            "--to-stream",
            planned.target.is_some(),
            "there is no new stream; leave it out",
        ),
        (
            "--with-rollback",
            planned.rollback_on_failure,
            "use `esm rollback` after a failure",
        ),
        (
            "--keep-going",
            planned.bulk.on_failure == OnFailure::Continue,
            "leave it out; `esm resume` continues after a failure",
        ),
        (
            "--reversible-for",
            planned.way_back.window.is_some(),
            "the originals are kept until `esm archive drop`",
        ),
        (
            "--cutover",
            planned.cutover != CutoverOptions::default(),
            "there is no cutover; leave the options of the cutover out",
        ),
        (
            "--events-per-second",
            planned.throttle != SettingsChange::default(),
            "leave the limits out; --concurrency 1 is the slowest",
        ),
    ];
    match given.into_iter().find(|(_, is_given, _)| *is_given) {
        Some((option, _, advice)) => {
            let message = format!("option has no meaning for events in place: {option}");
            Err(Error::unsupported(message).with_hint(advice))
        }
        None => Ok(()),
    }
}

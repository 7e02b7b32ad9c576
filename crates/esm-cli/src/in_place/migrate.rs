//! `esm migrate` and `esm plan` on the tables of another library.

use esm_core::id::MigrationId;
use esm_core::migration::{
    MigrationBuilder, MigrationPlan, OnFailure, PlanDepth, PlannedMigration,
};
use esm_core::protocol::control::{Answer, Undo};
use esm_core::protocol::gate::CutoverOptions;
use esm_core::store::OnRetired;
use esm_core::{Error, ErrorKind, Result};
use esm_postgres::{Description, InPlace, RewriteStatus, Running};
use serde::Serialize;

use super::facts::hinted;
use super::place::of_layout;
use super::report::{Ended, Ran, ran};
use super::roll_back::{RolledBack, carried_out, down_of};
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

/// Adds to a plan what to know before, and what `esm migrate` would refuse now; in a store of esm's
/// own, that is an unfinished migration: `first` says of it. Returns the exit code of the plan.
///
/// # Errors
/// Those of the server and of the store.
pub(crate) async fn plan_risks(
    session: &Session,
    given: Given<'_>,
    first: Result<()>,
    plan: &mut MigrationPlan,
) -> Result<Exit> {
    let warnings = match of_layout(session, None, given.args.allow_triggers) {
        Some(in_place) => refusal(&in_place, given, plan).await,
        None => first.map(|()| Vec::new()),
    };
    let refusal = match warnings {
        Ok(warnings) => {
            plan.risks.extend(warnings);
            return Ok(plan_exit(plan));
        }
        Err(e) if is_refusal(e.kind()) => e,
        Err(e) => return Err(e),
    };
    let hint = (refusal.hint()).map_or(String::new(), |hint| format!("; {hint}"));
    plan.risks
        .push(format!("`esm migrate` refuses it: {refusal}{hint}"));
    Ok(if plan.is_executable() {
        refusal.kind().into()
    } else {
        plan_exit(plan)
    })
}

/// The warnings, or as an error the first that `esm migrate` refuses.
async fn refusal(
    in_place: &InPlace,
    given: Given<'_>,
    plan: &MigrationPlan,
) -> Result<Vec<String>> {
    refuse_options(&plan.planned)?;
    if !given.says_on_retired {
        refuse_same_schemas(plan)?;
    }
    let description = Description::from(plan.clone());
    let warnings = in_place.check(&description).await?;
    if plan.ledger.unchanged != plan.ledger.source {
        in_place.ensure_first(&description).await?;
    }
    Ok(warnings)
}

fn is_refusal(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unsupported
            | ErrorKind::PermissionDenied
            | ErrorKind::Invalid
            | ErrorKind::AlreadyExists
            | ErrorKind::LockHeld(_)
    )
}

/// What a user gave besides the description of a migration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) args: &'a InPlaceArgs,
    /// Whether a policy for appends of retired schemas is given.
    pub(crate) says_on_retired: bool,
    /// The plan that was made before, which must still be that of these rows.
    pub(crate) plan: Option<&'a MigrationPlan>,
    pub(crate) is_confirmed: bool,
}

/// Rewrites events in place.
///
/// # Errors
/// Refusals before anything is written; those of [`Running::rewrite`].
pub(crate) async fn migrate(
    session: &Session,
    builder: MigrationBuilder,
    given: Given<'_>,
) -> Result<Exit> {
    let mut plan = planned(session, builder).await?;
    if let Some(saved) = given.plan {
        ensure_all_read(saved)?;
        saved.ensure_same(&plan)?;
        // what it says of schemas and events was found again: a file can be edited
        plan.planned = saved.planned.clone();
    }
    refuse_options(&plan.planned)?;
    if !given.says_on_retired {
        refuse_same_schemas(&plan)?;
    }
    let progress = session.progress("migrate", Unit::Events, Some(plan.events));
    let in_place = of_layout(session, Some(progress.clone()), given.args.allow_triggers);
    let in_place = in_place.ok_or_else(|| Error::unsupported("the store has no layout"))?;
    let description = Description::from(plan.clone());
    let warnings = in_place.check(&description).await?;
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
    if !given.is_confirmed && !is_wanted(session, &plan, &warnings).await? {
        session.output().note("nothing was changed");
        return Ok(Exit::Success);
    }
    for warning in warnings {
        session.output().note(warning);
    }
    let transformer = in_place.transformer(transformation(
        &plan.planned.annotations,
        session.masking_key(),
    )?);
    let on_retired = plan.planned.on_retired;
    let running = in_place.begin(description, transformer).await?;
    let ended = run(session, &in_place, running, Course::of(on_retired, SWEEPS)).await;
    progress.end();
    ran(session, ended)
}

/// What follows the rewrite of the history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course {
    /// Sweeps of what old code wrote, at most.
    pub(super) sweeps: u32,
    /// Whether the migration may end: old code is refused until `esm finish`.
    pub(super) may_end: bool,
}

impl Course {
    /// The course of a migration that is not to be ended.
    pub(super) fn of(on_retired: Option<OnRetired>, sweeps: u32) -> Self {
        Self {
            // what old code writes is accepted as it is
            sweeps: match on_retired {
                Some(OnRetired::AcceptUnchanged) => 0,
                _ => sweeps,
            },
            may_end: on_retired != Some(OnRetired::Refuse),
        }
    }
}

/// Rewrites what is left, sweeps this many times, and ends the migration.
///
/// # Errors
/// Those of [`Running::rewrite`], with the migration.
pub(super) async fn run(
    session: &Session,
    in_place: &InPlace,
    running: Running,
    course: Course,
) -> Result<Ended> {
    let sweeps = course.sweeps;
    let migration = running.migration();
    let work = async {
        let pass = running.rewrite().await?;
        let settled = running.settle(sweeps).await?;
        Ok((pass, settled))
    };
    let (pass, settled) = match work.await {
        Ok(done) => done,
        Err(error) => {
            let undo = running.undo_asked();
            running.leave().await;
            return match undo {
                Some(undo) => {
                    let undone = undone(session, in_place, migration, &undo).await;
                    undone.map(Ended::Undone)
                }
                None => Err(still_open(migration, error)),
            };
        }
    };
    let is_settled = settled.is_done || sweeps == 0;
    let ended = running.end(course.may_end && is_settled).await;
    if ended
        .map_err(|error| still_open(migration, error))?
        .is_terminal()
    {
        let reason = "the migration ended first; `esm rollback` undoes it".to_owned();
        let late = Answer::Refused { reason };
        in_place
            .conclude(migration, &late, Some(&Answer::Done))
            .await?;
    }
    Ok(Ended::Ran(Ran {
        known: in_place.migration(migration).await?,
        pass,
        settled: (sweeps > 0).then_some(settled),
    }))
}

/// Undoes a migration that a command cancelled.
async fn undone(
    session: &Session,
    in_place: &InPlace,
    migration: MigrationId,
    undo: &Undo,
) -> Result<RolledBack> {
    let known = in_place.migration(migration).await?;
    let undoing = async {
        let down = down_of(session, in_place, &known, None).await?;
        carried_out(in_place, &known, &undo.reason, down).await
    };
    let error = match undoing.await {
        Ok(done) => return Ok(done),
        Err(error) => error,
    };
    let known = in_place.migration(migration).await?;
    let may_come_true = matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Ambiguous | ErrorKind::Cancelled
    );
    // the command stays accepted: whoever continues carries it out
    if known.status == RewriteStatus::RollingBack {
        return Err(error);
    }
    if may_come_true {
        let next = format!("the undo has not begun: `esm rollback {migration}` undoes");
        return Err(hinted(error, next));
    }
    let reason = error.to_string();
    let refused = Answer::Refused { reason };
    in_place.conclude(migration, &refused, None).await?;
    Err(still_open(migration, error))
}

fn still_open(migration: MigrationId, error: Error) -> Error {
    let next = format!("`esm resume {migration}` continues, `esm rollback {migration}` undoes");
    hinted(error, next)
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

/// A plan of a part of the events does not say which rows there were.
fn ensure_all_read(saved: &MigrationPlan) -> Result<()> {
    if saved.depth == PlanDepth::All {
        return Ok(());
    }
    Err(
        Error::invalid("the plan has read only a part of the events")
            .with_hint("make it without --sample"),
    )
}

/// Refuses to sweep what may have been written by new code, unless that is asked for.
fn refuse_same_schemas(plan: &MigrationPlan) -> Result<()> {
    if plan.ledger.reused.is_empty() {
        return Ok(());
    }
    let schemas: Vec<_> = plan.ledger.reused.iter().map(ToString::to_string).collect();
    Err(Error::invalid(format!(
        "events of old code and of new code are alike, because changed events keep their schema: {}",
        schemas.join(", ")
    ))
    .with_hint(
        "let the transformation give them another schema version; or choose --on-retired sweep, which \
         transforms later events of both, or accept-unchanged",
    ))
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
            "--requests-in-flight",
            planned.throttle.requests_in_flight.is_some(),
            "leave it out; --concurrency limits the streams at the same time",
        ),
        (
            "--target-latency-ms",
            planned.throttle.target_latency_ms.is_some(),
            "leave it out; --events-per-second limits the rate",
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

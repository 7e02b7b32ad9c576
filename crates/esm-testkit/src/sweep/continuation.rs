//! The continuation of a run after its fault.

use esm_core::migration::{MigrationResult, MigrationState, MigrationStatus};
use esm_core::{Error, ErrorKind, Result};

use super::Then;
use super::end;
use super::simulation::{Process, Simulation};

/// How the first process ended.
#[derive(Debug)]
pub(super) enum First {
    /// It reported success.
    Succeeded,
    /// It reported that it undid the migration, as requested.
    Undone,
    /// It reported that another process won, or took over.
    Superseded(String),
    /// It crashed, and then there is no kind, or it reported an error.
    Ended {
        kind: Option<ErrorKind>,
        how: String,
    },
}

impl First {
    pub(super) fn of(
        simulation: &Simulation<'_>,
        ended: std::result::Result<Result<MigrationResult>, crate::faults::Crashed>,
    ) -> Self {
        let error = match ended {
            Err(_) => {
                let (kind, how) = (None, "crashed".to_owned());
                return Self::Ended { kind, how };
            }
            Ok(Ok(result)) if result.is_success() => return Self::Succeeded,
            Ok(Ok(result)) if is_undone(simulation, &result) => return Self::Undone,
            Ok(Ok(result)) => {
                let status = result.status;
                let error = result.error.map(|error| error.context(status));
                error.unwrap_or_else(|| Error::invalid(format!("{status}, and no error")))
            }
            Ok(Err(error)) => error,
        };
        let how = format!("{error:?}");
        match error.kind().clone() {
            ErrorKind::Fenced => Self::Superseded(how),
            kind => Self::Ended {
                kind: Some(kind),
                how,
            },
        }
    }
}

/// Completes the migration after the first process has ended, and checks the end.
///
/// # Errors
/// The violation, for people.
pub(super) async fn go_on(
    simulation: &Simulation<'_>,
    first: &First,
    then: Then,
) -> Result<(), String> {
    match first {
        First::Succeeded => {
            end::check(simulation).await?;
            return again(simulation).await;
        }
        First::Undone => end::check_undone(simulation).await?,
        First::Superseded(_) | First::Ended { .. } => {}
    }
    let next = match then {
        Then::Same => start(simulation, "first", 2).await?,
        Then::Other | Then::RollBack | Then::Rival => {
            simulation.let_leases_pass().await;
            start(simulation, "other", 2).await?
        }
    };
    let gone_on = match then {
        Then::RollBack => roll_back(simulation, &next).await,
        Then::Same | Then::Other | Then::Rival => finish(simulation, &next).await,
    };
    if next.actor.has_crashed() {
        simulation.let_leases_pass().await;
        let third = start(simulation, "third", 6).await?;
        finish(simulation, &third).await?;
    } else {
        gone_on?
    }
    end::check(simulation).await?;
    again(simulation).await
}

pub(super) async fn start(
    simulation: &Simulation<'_>,
    holder: &str,
    seed: u64,
) -> Result<Process, String> {
    let process = simulation.process(holder, seed).await;
    process.map_err(|e| e.to_string())
}

/// Resumes an unfinished migration, or begins a new one where none was planned.
///
/// # Errors
/// The error, for people: none is expected.
pub(super) async fn finish(simulation: &Simulation<'_>, by: &Process) -> Result<(), String> {
    let scenario = simulation.scenario;
    let work = async {
        let unfinished = by.unfinished().await?;
        let Some(state) = unfinished.first() else {
            // a process that begins anew does not wait for the lock of one that planned nothing
            simulation.let_leases_pass().await;
            return by.begin(scenario).await;
        };
        let ended = by.resume(scenario, state.migration).execute().await?;
        if state.status != MigrationStatus::RollingBack {
            return Ok(ended);
        }
        // the fault hit an undo, which has ended now: migrate again what was undone; past the pivot
        // the undo was refused, and the migration was completed
        if is_undone(simulation, &ended) {
            by.begin(scenario).await
        } else {
            Ok(ended)
        }
    };
    success(simulation, by.actor.run(work).await, "going on")
}

/// Returns whether it was undone, as far as possible where the store cannot remove a target.
fn is_undone(simulation: &Simulation<'_>, result: &MigrationResult) -> bool {
    let undone = match result.status {
        MigrationStatus::RolledBack => true,
        MigrationStatus::Abandoned => !simulation.place.takes_back(),
        _ => false,
    };
    undone && result.error.is_none()
}

/// Begins its own migration. The paused process's other calls may win the race (R5).
///
/// # Errors
/// The error, for people.
pub(super) async fn begin(simulation: &Simulation<'_>, by: &Process) -> Result<(), String> {
    let ended = by.actor.run(by.begin(simulation.scenario)).await;
    match First::of(simulation, ended) {
        First::Succeeded | First::Undone | First::Superseded(_) => Ok(()),
        First::Ended { how, .. } => Err(format!("a rival does not succeed: {how}")),
    }
}

/// Resumes everything that is unfinished, one after the other, then migrates the rest. A migration
/// that finds another's work done may end as superseded.
///
/// # Errors
/// The error, for people.
pub(super) async fn finish_all(simulation: &Simulation<'_>, by: &Process) -> Result<(), String> {
    for state in unfinished(by).await? {
        let builder = by.resume(simulation.scenario, state.migration);
        let ended = by.actor.run(builder.execute()).await;
        if let First::Superseded(how) | First::Ended { how, .. } = First::of(simulation, ended) {
            let left = unfinished(by).await?;
            if left.iter().all(|other| other.migration != state.migration) {
                // it has rolled itself back
                continue;
            }
            let undone = by.actor.run(by.undo(state.migration).execute()).await;
            let undone = undone.map_err(|_| "undoing crashed")?;
            let result = undone.map_err(|e| format!("undoing after {how}: {e:?}"))?;
            if !is_undone(simulation, &result) {
                let error = result.error;
                return Err(format!("neither resumed ({how}) nor undone: {error:?}"));
            }
        }
    }
    finish(simulation, by).await
}

/// Returns the migrations that this process finds unfinished.
async fn unfinished(by: &Process) -> Result<Vec<MigrationState>, String> {
    let unfinished = by.actor.run(by.unfinished()).await;
    let unfinished = unfinished.map_err(|_| "the lister crashed")?;
    unfinished.map_err(|e| e.to_string())
}

fn success(
    simulation: &Simulation<'_>,
    ended: std::result::Result<Result<MigrationResult>, crate::faults::Crashed>,
    what: &str,
) -> Result<(), String> {
    match First::of(simulation, ended) {
        First::Succeeded => Ok(()),
        First::Undone => Err(format!("{what} ends as undone")),
        First::Superseded(how) | First::Ended { how, .. } => {
            Err(format!("{what} does not succeed: {how}"))
        }
    }
}

/// Undoes an unfinished migration, checks the result, and then migrates again. Past the pivot, or
/// where there is nothing to undo, it completes the migration.
///
/// # Errors
/// The violation, for people.
async fn roll_back(simulation: &Simulation<'_>, by: &Process) -> Result<(), String> {
    roll_back_only(simulation, by).await?;
    let last = start(simulation, "last", 3).await?;
    finish(simulation, &last).await
}

/// Undoes an unfinished migration, and checks the result. Without one it does nothing.
///
/// # Errors
/// The violation, for people.
pub(super) async fn roll_back_only(
    simulation: &Simulation<'_>,
    by: &Process,
) -> Result<(), String> {
    if let Some(state) = unfinished(by).await?.first() {
        let undone = by.actor.run(by.undo(state.migration).execute()).await;
        let undone = undone.map_err(|_| "undoing crashed")?;
        let result = undone.map_err(|e| format!("undoing does not succeed: {e:?}"))?;
        match (&result.status, &result.error) {
            _ if is_undone(simulation, &result) => end::check_undone(simulation).await?,
            (_, Some(error)) if *error.kind() == ErrorKind::Stuck => {
                end::check_pivot_behind(simulation).await?;
            }
            (status, error) => return Err(format!("undoing ends as {status}: {error:?}")),
        }
    }
    Ok(())
}

/// Checks that another run finds nothing to do and changes nothing.
async fn again(simulation: &Simulation<'_>) -> Result<(), String> {
    simulation.let_leases_pass().await;
    let by = start(simulation, "again", 4).await?;
    let ended = by.actor.run(by.begin(simulation.scenario)).await;
    let result = ended.map_err(|_| "running again crashed")?;
    let result = result.map_err(|e| format!("running again does not succeed: {e:?}"))?;
    let objects = simulation.scenario.objects.len() as u64;
    let nothing = result.statistics.up_to_date == objects && result.statistics.migrated == 0;
    if result.is_success() && nothing {
        end::check(simulation).await
    } else {
        Err(format!(
            "running again finds something to do: {:?}",
            result.statistics
        ))
    }
}

//! A process that pauses, and wakes up when others have finished.

use esm_core::ErrorKind;

use super::Then;
use super::continuation::{self, First};
use super::end;
use super::simulation::{Process, Simulation};
use crate::faults::Gate;

/// Pauses the first process, which has no lock, before an operation. Another process finishes,
/// rolls back, or migrates by itself; then the first continues. It may find everything done, or
/// stop and report that. It sets nothing back: the observer checks after its every operation.
///
/// # Errors
/// The violation, for people.
pub(super) async fn simulate(
    simulation: &Simulation<'_>,
    then: Then,
    gate: &Gate,
) -> Result<(), String> {
    let scenario = simulation.scenario;
    simulation.interrupt().await?;
    let sleeper = async {
        let first = unlocked(simulation, "first", 1).await?;
        let ended = first.actor.run(first.work(scenario)).await;
        // without a lock it may need fewer operations, and never reach the one where it pauses
        gate.open();
        gate.pass().await;
        Ok::<_, String>(First::of(simulation, ended))
    };
    let meanwhile = async {
        gate.reached().await;
        let met = others(simulation, then).await;
        gate.open();
        met
    };
    let (woken, met) = tokio::join!(sleeper, meanwhile);
    let woken = woken?;
    let verdict = async {
        // the violation that a watch found is the cause of the rest
        end::check_violations(simulation)?;
        met?;
        check_woken(simulation, &woken).await?;
        // the next process finds or makes everything right
        simulation.let_leases_pass().await;
        let last = continuation::start(simulation, "last", 3).await?;
        continuation::finish_all(simulation, &last).await?;
        end::check(simulation).await
    };
    let verdict = verdict.await;
    verdict.map_err(|what| format!("{what}\nthe process that was paused: {woken:?}"))
}

/// Checks that the report of the paused process is true: it succeeded, and everything is migrated;
/// or another process won; or it waited for its lock longer than the lease; or the migration that
/// it was to undo has ended.
async fn check_woken(simulation: &Simulation<'_>, woken: &First) -> Result<(), String> {
    let undoes = simulation.scenario.undone_after.is_some();
    let kind = match woken {
        First::Succeeded => return end::check(simulation).await,
        First::Undone | First::Superseded(_) => return Ok(()),
        First::Ended { kind, .. } => kind,
    };
    match kind {
        Some(ErrorKind::LockLost) => Ok(()),
        Some(ErrorKind::AlreadyExists | ErrorKind::NotFound) if undoes => Ok(()),
        _ => Err("the process that was paused ends as it may not".to_owned()),
    }
}

/// Runs the other processes while the first is paused.
async fn others(simulation: &Simulation<'_>, then: Then) -> Result<(), String> {
    let other = unlocked(simulation, "other", 2).await?;
    match then {
        Then::RollBack => continuation::roll_back_only(simulation, &other).await,
        Then::Rival => continuation::begin(simulation, &other).await,
        Then::Same | Then::Other => continuation::finish(simulation, &other).await,
    }
}

async fn unlocked(simulation: &Simulation<'_>, holder: &str, seed: u64) -> Result<Process, String> {
    let process = simulation.process_without_lock(holder, seed).await;
    process.map_err(|e| e.to_string())
}

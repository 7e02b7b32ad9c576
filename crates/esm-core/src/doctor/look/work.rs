//! What migrations leave beside the streams: journals, locks, the index.

use std::collections::BTreeSet;

use futures::TryStreamExt as _;

use crate::doctor::finding::{Finding, FindingKind, Remedy, Subject};
use crate::doctor::service::Doctor;
use crate::error::Result;
use crate::id::LockName;
use crate::migration::{MigrationState, MigrationStatus};
use crate::router::RoutingTable;
use crate::store::{HolderState, LockInfo, RecordKey};

/// Examines all migrations, and returns how many there are.
///
/// # Errors
/// Those of the records and the locks, except for damage.
pub(in crate::doctor) async fn migrations(
    doctor: &Doctor,
    mut found: impl FnMut(Finding),
) -> Result<u64> {
    let mut all = 0;
    let mut states = doctor.migrations.migrations();
    while let Some(state) = states.try_next().await? {
        doctor.refuse_cancelled()?;
        all += 1;
        migration(&state).into_iter().for_each(&mut found);
    }
    Ok(all)
}

fn migration(state: &MigrationState) -> Option<Finding> {
    let migration = state.migration;
    let finding = |kind, detail: String, remedy| {
        Some(Finding::new(
            kind,
            Subject::Migration(migration),
            detail,
            remedy,
        ))
    };
    if let Some(damage) = &state.damage {
        let (kind, remedy) = (FindingKind::DamagedJournal, Remedy::MigrateAgain);
        return finding(kind, damage.clone(), remedy);
    }
    // one that stopped before its plan was written has changed nothing
    let plan = state.plan.as_ref()?;
    let is_at_work = matches!(
        state.holder_state,
        Some(HolderState::Alive | HolderState::Unknown)
    );
    if state.status.is_terminal() || is_at_work {
        return None;
    }
    let why = state
        .stopped
        .as_ref()
        .map(|(step, reason)| format!(", in {step}: {reason}"));
    let detail = format!(
        "no process works on the migration of {}, which is {}{}",
        plan.scope,
        state.status,
        why.unwrap_or_default()
    );
    let remedy = if state.status == MigrationStatus::RollingBack {
        Remedy::RollBack(migration)
    } else {
        Remedy::ResumeOrRollBack(migration)
    };
    finding(FindingKind::UnfinishedMigration, detail, remedy)
}

/// Examines a lock.
///
/// # Errors
/// Those of the locks.
pub(in crate::doctor) async fn lock(doctor: &Doctor, name: &LockName) -> Result<Option<Finding>> {
    let info = doctor.locks.inspect(name).await?;
    Ok(info.and_then(|info| judge(doctor, info)))
}

/// Examines the locks that are held.
///
/// # Errors
/// Those of the locks.
pub(in crate::doctor) async fn held_locks(doctor: &Doctor) -> Result<Vec<Finding>> {
    let held = doctor.locks.list().await?;
    Ok(held
        .into_iter()
        .filter_map(|info| judge(doctor, info))
        .collect())
}

fn judge(doctor: &Doctor, info: LockInfo) -> Option<Finding> {
    let state = info.holder_state(doctor.environment.clock.now());
    let detail = match (&info.damage, state) {
        (Some(damage), _) => damage.clone(),
        (None, HolderState::Dead) => format!("its process has ended: {}", info.holder),
        (None, HolderState::ProbablyDead) => format!(
            "its holder has not renewed it for a whole lease, by the wall clocks: {}",
            info.holder
        ),
        _ => return None,
    };
    let remedy = Remedy::BreakLock(info.name.clone());
    Some(Finding::new(
        FindingKind::DeadLock,
        Subject::Lock(info.name),
        detail,
        remedy,
    ))
}

/// What delists the migrations that have ended.
pub(in crate::doctor) const NEXT_PHASES: Remedy =
    Remedy::Later("the next migration that publishes phases removes it");

/// Examines the index of migrations that publish phases.
///
/// # Errors
/// `Unsupported` for a newer format; those of the records, except for damage.
pub(in crate::doctor) async fn index(doctor: &Doctor) -> Result<Vec<Finding>> {
    let index = match RoutingTable::new(doctor.records.clone()).index().await {
        Ok(index) => index,
        // the inventory lists it, so that it is examined as a record
        Err(error) if error.is_damage() && doctor.inventory.is_some() => return Ok(Vec::new()),
        Err(error) if error.is_damage() => {
            let subject = Subject::Record(RecordKey::Index.to_string());
            let kind = FindingKind::DamagedRecord;
            return Ok(vec![Finding::new(kind, subject, error, Remedy::PutBack)]);
        }
        Err(error) => return Err(error),
    };
    let mut findings = Vec::new();
    for (migration, objects) in index.migrations {
        if doctor.has_ended(migration).await? {
            let detail = format!("the index names {}", few(&objects));
            findings.push(Finding::new(
                FindingKind::IndexLeftover,
                Subject::Migration(migration),
                detail,
                NEXT_PHASES,
            ));
        }
    }
    Ok(findings)
}

/// Some of them by name, and how many more there are.
fn few<T: std::fmt::Display>(all: &BTreeSet<T>) -> String {
    const NAMED: usize = 3;
    let mut named: Vec<_> = all.iter().take(NAMED).map(ToString::to_string).collect();
    if all.len() > NAMED {
        named.push(format!("and {} more", all.len() - NAMED));
    }
    named.join(", ")
}

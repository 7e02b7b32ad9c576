//! `esm resume` and `esm finish` on the tables of another library.

use std::time::Duration;

use esm_core::{Error, Result};
use esm_postgres::{InPlace, Rewrite, RewriteStatus};

use super::migrate::{Course, run};
use super::place::{found, no_layout, of_layout};
use super::report::ran;
use super::steer::end_pause;
use crate::exit::Exit;
use crate::migration::{IdPart, transformation};
use crate::progress::Unit;
use crate::session::Session;

/// Sweeps of what old code wrote.
const SWEEPS: u32 = 6;
/// How long the process that runs a paused migration has to respond.
const PATIENCE: Duration = Duration::from_secs(10);

/// Continues a migration that was stopped.
///
/// # Errors
/// `NotFound`; those of [`esm_postgres::Running::rewrite`].
pub(crate) async fn resume(
    session: &Session,
    named: Option<&IdPart>,
    stay_paused: bool,
    wait: Duration,
) -> Result<Exit> {
    let open = |known: &Rewrite| Course::of(known.planned.on_retired, SWEEPS);
    let ends_pause = (!stay_paused).then_some(wait);
    continued(session, named, ends_pause, open).await
}

/// Ends a migration once old code has ended; `accepts` leaves what old code still writes.
///
/// # Errors
/// As [`resume`].
pub(crate) async fn finish(
    session: &Session,
    named: Option<&IdPart>,
    accepts: bool,
) -> Result<Exit> {
    let ends = |known: &Rewrite| {
        let sweeps = Course::of(known.planned.on_retired, SWEEPS).sweeps;
        Course {
            sweeps: if accepts { 0 } else { sweeps },
            may_end: true,
        }
    };
    continued(session, named, Some(PATIENCE), ends).await
}

/// Continues a migration, and ends its pause: a process that runs it has this long to respond.
async fn continued(
    session: &Session,
    named: Option<&IdPart>,
    ends_pause: Option<Duration>,
    course: impl Fn(&Rewrite) -> Course,
) -> Result<Exit> {
    let progress = session.progress("migrate", Unit::Events, None);
    // a table with triggers was allowed when the migration began
    let in_place = of_layout(session, Some(progress.clone()), true);
    let in_place = in_place.ok_or_else(no_layout)?;
    let is_open = |known: &Rewrite| !known.status.is_terminal();
    let known = found(&in_place, named, "that is unfinished", is_open).await?;
    if known.status == RewriteStatus::RollingBack {
        let message = format!("migration is being rolled back: {}", known.migration);
        return Err(Error::invalid(message)
            .with_hint(format!("esm rollback {} continues", known.migration)));
    }
    if let Some(wait) = ends_pause
        && let Some(exit) = end_pause(session, &in_place, &known, wait).await?
    {
        progress.end();
        return Ok(exit);
    }
    let ended = again(session, &in_place, &known, course(&known)).await;
    progress.end();
    ran(session, ended)
}

async fn again(
    session: &Session,
    in_place: &InPlace,
    known: &Rewrite,
    course: Course,
) -> Result<super::report::Ended> {
    let transformer = transformation(&known.planned.annotations, session.masking_key())?;
    let transformer = in_place.transformer(transformer);
    let running = in_place.resume(known, transformer).await?;
    run(session, in_place, running, course).await
}

//! How far an application takes part in migrations: a fleet is mixed.

use std::time::Duration;

use anyhow::Result;
use esm_core::router::{ObjectClient, PhaseOptions};

use crate::transformation;

/// How far an application takes part in migrations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Part {
    /// It is notified of phases: mirrors, reads from targets, gives way to cutovers
    #[arg(long)]
    pub(crate) hears_phases: bool,
    /// It keeps the old edition of the code, and has the migration's transformation registered;
    /// the others have that of a rollback
    #[arg(long)]
    pub(crate) stays_old: bool,
}

/// Often, since migrations here take seconds.
const POLL: Duration = Duration::from_millis(100);

impl Part {
    /// One of every two applications keeps the old code; one of every three is never notified of a
    /// phase.
    pub(crate) fn of_number(number: u32) -> Self {
        Self {
            hears_phases: !number.is_multiple_of(3),
            stays_old: number.is_multiple_of(2),
        }
    }

    /// As arguments.
    pub(crate) fn arguments(self) -> impl Iterator<Item = &'static str> {
        let phases = self.hears_phases.then_some("--hears-phases");
        let old = self.stays_old.then_some("--stays-old");
        phases.into_iter().chain(old)
    }

    /// The client of such an application.
    pub(super) fn of(self, mut client: ObjectClient) -> Result<ObjectClient> {
        if self.hears_phases {
            client = client.with_phases(PhaseOptions::default().poll(POLL));
        }
        // for the schemas that this application's code no longer knows after a migration, or does
        // not know yet after a rollback
        Ok(client.with_transformer(if self.stays_old {
            transformation::up()?
        } else {
            transformation::down()?
        }))
    }
}

//! `esm archive`

use clap::Subcommand;
use esm_core::Result;
use esm_core::id::MigrationId;
use esm_postgres::Archive as Kept;
use serde::Serialize;

use crate::confirm::confirmed;
use crate::exit::Exit;
use crate::in_place::{found, in_place, no_layout};
use crate::migration::IdPart;
use crate::output::{Table, bytes, count, counted, short_id};
use crate::session::Session;

/// The originals of events that were rewritten in place.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  esm archive list
  esm archive drop 0192d3a0-7c1e-7aaa-8bbb-0123456789ab")]
pub(crate) enum Archive {
    /// List the archives of the table.
    List,
    /// Remove an archive: the migration can no longer be rolled back.
    ///
    /// The archive has the events as they were, personal data too. What the server keeps of removed
    /// rows goes with the next VACUUM; its write-ahead log, replicas and backups have them longer.
    Drop {
        /// Migration id, or at least 4 characters of its beginning or end.
        migration: IdPart,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Serialize)]
struct Archives {
    archives: Vec<Kept>,
}

#[derive(Debug, Serialize)]
struct Dropped {
    migration: MigrationId,
    events: u64,
}

impl Archive {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        match self {
            Self::List => list(session).await,
            Self::Drop { migration, yes } => drop_archive(session, migration, *yes).await,
        }
    }
}

async fn list(session: &Session) -> Result<Exit> {
    let in_place = in_place(session).ok_or_else(no_layout)?;
    let archives = Archives {
        archives: in_place.archives().await?,
    };
    session.output().result(&archives, |all, form| {
        if all.archives.is_empty() {
            return "no archives".into();
        }
        let mut table = Table::new(["migration", "state", "events", "size", "began", "dropped"]);
        for kept in &all.archives {
            table.row([
                short_id(kept.migration, form),
                kept.status.name().replace('_', " "),
                count(kept.events),
                bytes(kept.bytes),
                kept.began_at.clone(),
                kept.dropped_at.clone().unwrap_or_default(),
            ]);
        }
        table.to_text(form)
    })?;
    Ok(Exit::Success)
}

async fn drop_archive(session: &Session, named: &IdPart, yes: bool) -> Result<Exit> {
    let in_place = in_place(session).ok_or_else(no_layout)?;
    let known = found(&in_place, Some(named), "of this id", |_| true).await?;
    let migration = known.migration;
    let question = format!("remove the originals of {migration}? it cannot be undone afterwards");
    if !yes && !confirmed(session.output(), session.interrupt(), &question).await? {
        session.output().note("nothing was changed");
        return Ok(Exit::Success);
    }
    let events = in_place.drop_archive(&known).await?;
    let dropped = Dropped { migration, events };
    session.output().result(&dropped, |dropped, _| {
        format!(
            "{} removed from the archive",
            counted(dropped.events, "event")
        )
    })?;
    Ok(Exit::Success)
}

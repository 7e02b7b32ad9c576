//! `esm lock`

use clap::Subcommand;
use esm_core::id::LockName;
use esm_core::store::LockInfo;
use esm_core::{Error, Result};
use esm_view::lock::{Held, Locks};
use serde::Serialize;

use crate::confirm::confirmed;
use crate::exit::Exit;
use crate::output::{Facts, InSeconds, Table, Text, duration, short_id};
use crate::session::{Access, Session};

/// List locks, and break a lock whose holder is dead.
///
/// Locks only prevent two migrations from doing the same work; events are safe without them. A lock
/// that is not renewed expires after its lease.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  esm lock list
  esm lock break 'object order/123' --yes")]
pub(crate) enum Lock {
    /// List held locks, with holder, age and lease.
    #[command(after_help = "\
Examples:
  esm lock list")]
    List,
    /// Take a lock from its holder, which stops at its next renewal.
    #[command(after_help = "\
Examples:
  esm lock break 'object order/123'        # asks first
  esm lock break 'object order/123' --yes")]
    Break {
        /// Name of the lock, as shown by `esm lock list`.
        name: LockName,
        /// Do not ask for confirmation.
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Serialize)]
struct Broken {
    broken: Held,
}

impl Lock {
    /// Access to the store.
    pub(crate) fn access(&self) -> Access {
        match self {
            Self::List => Access::Read,
            Self::Break { .. } => Access::Write,
        }
    }

    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        match self {
            Self::List => list(session).await,
            Self::Break { name, yes } => break_lock(session, name, *yes).await,
        }
    }
}

async fn list(session: &Session) -> Result<Exit> {
    let now = session.environment().clock.now();
    let locks = Locks::new(session.locks().list().await?, now);
    session
        .output()
        .result(&InSeconds(locks), |InSeconds(all), form| {
            if all.locks.is_empty() {
                return Text::line("no held locks");
            }
            let mut table = Table::new([
                "lock",
                "holder",
                "age",
                "lease",
                "sign of life",
                "migration",
            ]);
            for held in &all.locks {
                table.row([
                    held.lock.name.to_string(),
                    held.lock.holder.to_string(),
                    held.age(),
                    duration(held.lock.lease),
                    held.life.clone(),
                    held.lock
                        .migration
                        .map(|m| short_id(m, form))
                        .unwrap_or_default(),
                ]);
            }
            table.to_text(form)
        })?;
    Ok(Exit::Success)
}

async fn break_lock(session: &Session, name: &LockName, yes: bool) -> Result<Exit> {
    let found = session.locks().inspect(name).await?;
    let breakable = |lock: &LockInfo| lock.held || lock.abandoned || lock.damage.is_some();
    let lock = found.filter(breakable).ok_or_else(|| {
        Error::not_found(format!("lock is not held: {name}"))
            .with_hint("list held locks with `esm lock list`")
    })?;
    let held = Held::new(lock, session.environment().clock.now());
    if !yes {
        session
            .output()
            .note(facts(&held).to_text(session.output().note_form()));
        if !confirmed(
            session.output(),
            session.interrupt(),
            "break the lock? only if its holder is dead",
        )
        .await?
        {
            session.output().note("nothing was changed");
            return Ok(Exit::Success);
        }
    }
    session
        .locks()
        .break_lock(name, held.lock.token)
        .await
        .map_err(|e| e.context("lock was not broken"))?;
    session.output().result(
        &InSeconds(Broken { broken: held }),
        |InSeconds(broken), _| {
            format!(
                "broken: {}, held by {}",
                broken.broken.lock.name, broken.broken.lock.holder
            )
        },
    )?;
    Ok(Exit::Success)
}

fn facts(held: &Held) -> Facts {
    let mut facts = Facts::new();
    facts
        .add("lock", &held.lock.name)
        .add("holder", &held.lock.holder)
        .add("held for", held.age())
        .add("sign of life", &held.life)
        .add_some("migration", held.lock.migration);
    facts
}

//! A migration in place whose processes are killed and frozen at random.

use anyhow::{Result, bail};
use rustix::process::Signal;

use super::crew::Crew;
use super::place::{Esm, Place};
use crate::dice::Dice;

/// How many processes of a migration are disturbed at most.
const DISTURBED: u64 = 3;
/// Acknowledged commands before a process is disturbed: 2 to this power at most, from its start or from
/// the first event that it has written.
const MAGNITUDE: u64 = 5;
/// Acknowledged commands after which a process that has written nothing is disturbed all the same.
const PATIENCE: u32 = 300;
/// How often is tried what a frozen process still holds: for 15 s.
const TRIES: u32 = 500;
/// Acknowledged commands between two attempts.
const BETWEEN: usize = 20;

/// A migration, and what happens to it.
pub(super) struct Disturbed<'a> {
    pub(super) place: &'a Place,
    pub(super) crew: &'a Crew,
    /// The arguments of `esm migrate`.
    pub(super) migration: &'a [&'a str],
    pub(super) dice: Dice,
    /// What happened, in words.
    pub(super) story: Vec<String>,
}

impl Disturbed<'_> {
    /// Migrates until all events are rewritten, in half of the cases once more after an undo.
    pub(super) async fn migrate(&mut self) -> Result<()> {
        if self.dice.one_in(2) {
            self.until("rewritten").await?;
            self.until("rolled_back").await?;
        }
        self.until("rewritten").await
    }

    /// Starts processes until the migration is as it is to be; some of them are killed or frozen.
    async fn until(&mut self, wanted: &str) -> Result<()> {
        // each is woken when others have done its work
        let mut frozen: Vec<Esm> = Vec::new();
        for _ in 0..=self.dice.below(DISTURBED) {
            let command = self.next(wanted).await?;
            let before = self.place.written().await?;
            let mut esm = self.place.start(&command)?;
            let command = command[0];
            let works = !self.dice.one_in(4) && self.works(before).await?;
            let appends = self.dice.magnitude(MAGNITUDE) as usize;
            self.crew.work(appends).await?;
            let appends = format!("{appends}{}", if works { " of work" } else { "" });
            if self.dice.one_in(2) {
                esm.process.signal(Signal::STOP)?;
                self.story.push(format!("{command} frozen after {appends}"));
                frozen.push(esm);
            } else {
                esm.process.signal(Signal::KILL)?;
                let (end, _) = esm.end().await?;
                self.story
                    .push(format!("{command} killed after {appends} ({end})"));
            }
        }
        self.insist(wanted).await?;
        for mut esm in frozen {
            esm.process.signal(Signal::CONT)?;
            let (end, _) = esm.end().await?;
            self.story.push(format!("woken ({end})"));
        }
        // who was woken before it had begun may have begun since
        self.insist(wanted).await
    }

    /// Waits until a process has written an event, or has not for long.
    async fn works(&self, before: (i64, i64)) -> Result<bool> {
        for _ in 0..PATIENCE {
            if self.place.written().await? != before {
                return Ok(true);
            }
            self.crew.work(1).await?;
        }
        Ok(false)
    }

    /// Tries until nobody who is frozen seems to be at work any more.
    async fn insist(&mut self, wanted: &str) -> Result<()> {
        for _ in 0..TRIES {
            if self.is(wanted).await? {
                return Ok(());
            }
            let command = self.next(wanted).await?;
            let (end, _) = self.place.start(&command)?.end().await?;
            if !end.success() {
                self.crew.work(BETWEEN).await?;
            }
        }
        bail!(
            "not {wanted}, on {}: {}",
            self.place.address,
            self.story.join(", ")
        )
    }

    /// The command that brings the migration on.
    async fn next(&self, wanted: &str) -> Result<Vec<&str>> {
        let status = self.place.status().await?;
        Ok(match (wanted, status.as_deref()) {
            ("rolled_back", _) => vec!["rollback"],
            (_, Some("rewriting")) => vec!["resume"],
            _ => [&["migrate"], self.migration].concat(),
        })
    }

    async fn is(&self, wanted: &str) -> Result<bool> {
        let status = self.place.status().await?;
        let status = status.as_deref();
        // without old code that writes meanwhile it may have ended at once
        Ok(status == Some(wanted) || (wanted == "rewritten" && status == Some("finished")))
    }
}

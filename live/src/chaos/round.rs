//! One round.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use esm_testkit::containers::Azurite;
use futures::TryStreamExt as _;
use rustix::process::Signal;

use super::choices::{Choices, Moment, Sign, Trial};
use crate::check::check;
use crate::console::Console;
use crate::migrator::{End, Lease, Migrator, Steering};
use crate::process::Warden;
use crate::world::{Fleet, World};

/// Appends before, and after, anything is done.
const CALM: u64 = 30;

/// How often a lock may be lost on a busy machine.
const TRIES: usize = 10;

/// Runs a round, and returns what happened.
///
/// # Errors
/// What is wrong: something was lost, doubled, invented or moved, somebody failed, or the
/// migration cannot be finished.
pub(super) async fn run(
    directory: &Path,
    azurite: Option<&Azurite>,
    choices: &Choices,
    warden: &Warden,
) -> Result<String> {
    let world = World::make(directory, azurite, choices.size, warden).await?;
    let mut round = Round {
        fleet: Fleet::start(&world, choices.pace)?,
        world: &world,
        migrators: 0,
        ends: Vec::new(),
        undone: None,
        reversed: 0,
    };
    round.fleet.all_at_work().await?;
    round.fleet.roll_out().await?;
    round.fleet.acknowledge(CALM).await?;
    round.undergo(&choices.trial).await?;
    if let Some(appends) = choices.application_killed {
        round.fleet.acknowledge(appends.min(CALM)).await?;
        round.fleet.replace(appends).await?;
    }
    if !matches!(choices.trial, Trial::Reversed { .. }) {
        round.finish().await?;
    }
    let Round {
        mut fleet,
        ends,
        undone,
        reversed,
        ..
    } = round;
    fleet.acknowledge(CALM).await?;
    fleet.stop().await?;
    let (found, _) = check(&world).await?;
    ensure!(
        found.moved == u64::from(choices.size.objects),
        "only {} objects are migrated in the end",
        found.moved
    );
    let undone = undone.map_or(String::new(), |moved| {
        format!("; undone with {moved} objects cut over already")
    });
    ensure!(
        found.restored == reversed,
        "{} objects have their originals back, {reversed} were rolled back",
        found.restored
    );
    Ok(format!("{ends:?}{undone}; {found}"))
}

struct Round<'a> {
    world: &'a World,
    fleet: Fleet<'a>,
    /// How many migrators were started.
    migrators: u32,
    /// How those ended to whom something was done.
    ends: Vec<End>,
    /// How many objects were migrated when the undo was done.
    undone: Option<u64>,
    /// How many objects got their originals back.
    reversed: u64,
}

impl Round<'_> {
    fn name(&mut self, what: &str) -> String {
        self.migrators += 1;
        format!("{}-{what}", self.migrators)
    }

    fn migrate(&mut self, lease: Lease) -> Result<Migrator> {
        let name = self.name("migrate");
        Migrator::migrate(self.world, &name, lease)
    }

    fn resume(&mut self, lease: Lease) -> Result<Migrator> {
        let name = self.name("resume");
        Migrator::resume(self.world, &name, lease)
    }

    async fn undergo(&mut self, trial: &Trial) -> Result<()> {
        match trial {
            Trial::Killed(moments) => self.killed(moments).await,
            Trial::Frozen { at, woken } => self.frozen(*at, *woken).await,
            Trial::Unlocked { shared, frozen } => self.unlocked(*shared, *frozen).await,
            Trial::Undone { at, killed } => self.undone(*at, *killed).await,
            Trial::Reversed { after, killed } => self.reversed(*after, *killed).await,
            Trial::Steered {
                paused,
                console,
                cancelled,
            } => self.steered(*paused, *console, *cancelled).await,
        }
    }

    async fn killed(&mut self, moments: &[Moment]) -> Result<()> {
        let mut migrator = self.migrate(Lease::Short)?;
        for (number, moment) in moments.iter().enumerate() {
            if number > 0 {
                migrator = self.resume(Lease::Short)?;
            }
            self.wait(&mut migrator, *moment).await?;
            migrator.signal(Signal::KILL)?;
            self.ends.push(migrator.ended().await?);
        }
        Ok(())
    }

    async fn frozen(&mut self, at: Moment, woken: Moment) -> Result<()> {
        let mut first = self.migrate(Lease::Short)?;
        self.wait(&mut first, at).await?;
        first.signal(Signal::STOP)?;
        let mut second = self.resume(Lease::Short)?;
        self.wait(&mut second, woken).await?;
        first.signal(Signal::CONT)?;
        self.end(first).await?;
        self.end(second).await
    }

    async fn unlocked(&mut self, shared: bool, frozen: [(Moment, u64); 2]) -> Result<()> {
        let name = self.name("unlocked");
        let mut first = Migrator::without_lock(self.world, &name, false)?;
        if shared {
            first.says(|heard| heard.working).await?;
        }
        let name = self.name("unlocked");
        let mut second = Migrator::without_lock(self.world, &name, shared)?;
        let [one, other] = frozen;
        let freezing = |migrator, (moment, appends)| self.freeze(migrator, moment, appends);
        futures::try_join!(freezing(&mut first, one), freezing(&mut second, other))?;
        self.end(first).await?;
        self.end(second).await
    }

    async fn undone(&mut self, at: Moment, killed: bool) -> Result<()> {
        let mut migrator = self.migrate(Lease::Short)?;
        self.wait(&mut migrator, at).await?;
        let signal = if killed { Signal::KILL } else { Signal::STOP };
        migrator.signal(signal)?;
        let active: Vec<_> = self
            .world
            .migrations()
            .await?
            .active()
            .try_collect()
            .await?;
        for state in active {
            let name = self.name("rollback");
            let migration = state.migration.to_string();
            let mut undo = Migrator::roll_back(self.world, &name, &migration)?;
            let end = undo.ended().await?;
            self.fleet.stop().await?;
            let (found, _) = check(self.world).await?;
            let all_moved = found.moved == u64::from(self.world.size().objects);
            ensure!(
                matches!(end, End::Exit(0) | End::REPLACED) || all_moved,
                "the undo ended with {end:?}:\n{}",
                undo.printed(self.world)
            );
            self.undone = Some(found.moved);
            self.fleet.go_on()?;
        }
        migrator.signal(Signal::CONT)?;
        self.end(migrator).await
    }

    /// The migration completes, applications continue to write, and all is rolled back.
    async fn reversed(&mut self, after: u64, killed: Option<Moment>) -> Result<()> {
        self.finish().await?;
        self.fleet.acknowledge(after).await?;
        let migrations = self.world.migrations().await?;
        let all: Vec<_> = migrations.migrations().try_collect().await?;
        for state in all {
            let moved = state.statistics.map_or(0, |statistics| statistics.migrated);
            if moved > 0 {
                let name = self.name("reverse");
                let migration = state.migration.to_string();
                if let Some(moment) = killed {
                    let lease = Lease::Short;
                    let mut back = Migrator::reverse(self.world, &name, &migration, lease)?;
                    self.wait(&mut back, moment).await?;
                    back.signal(Signal::KILL)?;
                    self.ends.push(back.ended().await?);
                }
                // after a resumption there is nothing left to do, unless the other never planned it
                self.insist(|round| {
                    let name = round.name("reverse");
                    Migrator::reverse(round.world, &name, &migration, Lease::Usual)
                })
                .await?;
                self.reversed += moved;
            }
        }
        Ok(())
    }

    /// Commands come from others while applications write; each is accepted.
    async fn steered(&mut self, paused: u64, console: bool, cancelled: bool) -> Result<()> {
        let name = self.name("steered");
        let mut migrator = Migrator::steered(self.world, &name)?;
        migrator.says(|heard| heard.working).await?;
        let console = if console {
            let name = self.name("console");
            Some(Console::start(self.world, &name).await?)
        } else {
            None
        };
        let console = console.as_ref();
        self.tell(console, Steering::Pause).await?;
        self.fleet.acknowledge(paused).await?;
        for command in [
            Steering::CutOver,
            Steering::Withdraw,
            Steering::Unlimited,
            Steering::Resume,
        ] {
            self.tell(console, command).await?;
        }
        self.fleet.acknowledge(paused).await?;
        // the end of the round finishes what a lost lock has left
        if cancelled {
            self.tell(console, Steering::Cancel).await?;
            let ways = [End::CANCELLED, End::REPLACED];
            self.ends.push(migrator.end_as(self.world, &ways).await?);
        } else {
            self.tell(console, Steering::CutOver).await?;
            let _ = migrator.succeed_unless_replaced(self.world).await?;
        }
        Ok(())
    }

    /// Gives a command, which must be accepted: from a console, or by a process of its own.
    async fn tell(&mut self, console: Option<&Console>, command: Steering) -> Result<()> {
        if let Some(console) = console {
            return console.give(command).await;
        }
        let name = self.name("tell");
        let told = Migrator::tell(self.world, &name, command)?;
        told.succeed(self.world).await
    }

    /// Freezes a migrator for so many appends.
    async fn freeze(&self, migrator: &mut Migrator, at: Moment, appends: u64) -> Result<()> {
        self.wait(migrator, at).await?;
        migrator.signal(Signal::STOP)?;
        self.fleet.acknowledge(appends).await?;
        migrator.signal(Signal::CONT)
    }

    /// Waits until a migrator reaches a point, or ends.
    async fn wait(&self, migrator: &mut Migrator, moment: Moment) -> Result<()> {
        migrator
            .says(|heard| match moment.sign {
                Sign::Started => true,
                Sign::Working => heard.working,
                Sign::Closed(number) => heard.closed >= number,
            })
            .await?;
        if moment.appends == 0 || migrator.has_ended() {
            return Ok(());
        }
        tokio::select! {
            appended = self.fleet.acknowledge(moment.appends) => appended,
            () = migrator.silence() => Ok(()),
        }
    }

    /// Waits for the end of a migrator that another one may have replaced: it says so, or is done,
    /// or was killed.
    async fn end(&mut self, migrator: Migrator) -> Result<()> {
        let ways = [End::Killed, End::Exit(0), End::REPLACED];
        self.ends.push(migrator.end_as(self.world, &ways).await?);
        Ok(())
    }

    /// Brings everything to its end: what was begun, then what never was, or was undone.
    async fn finish(&mut self) -> Result<()> {
        self.insist(|round| round.migrate(Lease::Usual)).await
    }

    /// Finishes what was begun, then does something. Who loses the lock begins again: that costs
    /// time, and nothing else.
    async fn insist(&mut self, last: impl Fn(&mut Self) -> Result<Migrator>) -> Result<()> {
        for _ in 0..TRIES {
            let resumed = self.resume(Lease::Usual)?;
            let replaced = resumed.succeed_unless_replaced(self.world).await?;
            if !replaced && !last(self)?.succeed_unless_replaced(self.world).await? {
                return Ok(());
            }
        }
        bail!("the lock was lost {TRIES} times in a row")
    }
}

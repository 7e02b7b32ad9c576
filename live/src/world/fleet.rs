//! Applications in processes of their own, and waiting for what they do.

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::watch;

use super::World;
use crate::process::{PATIENCE, Process, Speech, say};
use crate::workload::Edition;
use crate::writer::{Part, Report};

/// How applications write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// How many there are.
    pub(crate) writers: u32,
    /// How long each thinks between two appends, in microseconds.
    pub(crate) pause: u64,
    /// What their choices follow from.
    pub(crate) seed: u64,
}

/// Applications that write.
#[derive(Debug)]
pub(crate) struct Fleet<'a> {
    world: &'a World,
    pace: Pace,
    edition: Edition,
    crew: Vec<Member>,
    /// The number of the next one.
    next: u32,
    seen: watch::Sender<Vec<Sight>>,
}

#[derive(Debug)]
struct Member {
    process: Process,
    input: ChildStdin,
    /// Its place in what is seen.
    place: usize,
}

/// What is known of an application.
#[derive(Debug, Clone, Copy)]
struct Sight {
    report: Report,
    /// It does not get the new edition.
    stays_old: bool,
    /// Its output has ended.
    gone: bool,
    /// It was ended on purpose.
    dismissed: bool,
}

impl<'a> Fleet<'a> {
    /// Starts them, with the old edition of the code.
    pub(crate) fn start(world: &'a World, pace: Pace) -> Result<Self> {
        let mut fleet = Self {
            world,
            pace,
            edition: Edition::Old,
            crew: Vec::new(),
            next: 1,
            seen: watch::Sender::new(Vec::new()),
        };
        fleet.go_on()?;
        Ok(fleet)
    }

    /// Starts as many as there are to be, after [`stop`](Self::stop).
    pub(crate) fn go_on(&mut self) -> Result<()> {
        for _ in 0..self.pace.writers {
            self.hire()?;
        }
        Ok(())
    }

    fn hire(&mut self) -> Result<()> {
        let number = self.next;
        self.next += 1;
        let mut command = Command::new(std::env::current_exe()?);
        let storage = self.world.storage();
        storage.let_in(&mut command);
        let history = self.world.history(number);
        command.arg("writer").args(["--store", storage.address()]);
        command.arg("--history").arg(history);
        for (name, value) in [
            ("--number", u64::from(number)),
            ("--fleet", u64::from(self.pace.writers)),
            ("--objects", u64::from(self.world.size().objects)),
            ("--seed", self.pace.seed.wrapping_add(u64::from(number))),
            ("--pause", self.pace.pause),
        ] {
            command.arg(name).arg(value.to_string());
        }
        let part = Part::of_number(number);
        let edition = if part.stays_old {
            Edition::Old
        } else {
            self.edition
        };
        command.args(["--edition", edition.name()]);
        command.args(part.arguments());
        let name = format!("writer {number}");
        let (process, speech) = Process::converse(self.world.warden(), &name, &mut command)?;
        let Speech { input, output } = speech;
        let place = self.see(part);
        let lines = BufReader::new(output).lines();
        tokio::spawn(hear(lines, place, self.seen.clone()));
        self.crew.push(Member {
            process,
            input,
            place,
        });
        Ok(())
    }

    fn see(&self, part: Part) -> usize {
        let mut place = 0;
        self.seen.send_modify(|seen| {
            place = seen.len();
            seen.push(Sight {
                report: Report {
                    acknowledged: 0,
                    edition: self.edition,
                },
                stays_old: part.stays_old,
                gone: false,
                dismissed: false,
            });
        });
        place
    }

    /// How many there are.
    pub(crate) fn size(&self) -> u64 {
        self.crew.len() as u64
    }

    /// How many appends were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        acknowledged(&self.seen.borrow())
    }

    /// Waits until so many more appends are acknowledged.
    pub(crate) async fn acknowledge(&self, more: u64) -> Result<()> {
        let wanted = self.acknowledged() + more;
        self.wait(|seen| acknowledged(seen) >= wanted).await
    }

    /// Waits until every application has had an append acknowledged.
    pub(crate) async fn all_at_work(&self) -> Result<()> {
        let at_work = |sight: &Sight| sight.dismissed || sight.report.acknowledged > 0;
        self.wait(|seen| seen.iter().all(at_work)).await
    }

    /// Rolls the new edition of the code out, and waits until all run it that are to.
    pub(crate) async fn roll_out(&mut self) -> Result<()> {
        self.edition = Edition::New;
        for member in &mut self.crew {
            let said = say(&mut member.input, self.edition.name()).await;
            said.with_context(|| format!("{} does not listen", member.process.name()))?;
        }
        let new = |sight: &Sight| {
            sight.dismissed || sight.stays_old || sight.report.edition == Edition::New
        };
        self.wait(|seen| seen.iter().all(new)).await
    }

    /// Kills one in the middle of whatever it does, and starts another.
    pub(crate) async fn replace(&mut self, at: u64) -> Result<()> {
        let victim = self
            .crew
            .swap_remove((at % self.crew.len() as u64) as usize);
        self.seen
            .send_modify(|seen| seen[victim.place].dismissed = true);
        let mut process = victim.process;
        process.signal(rustix::process::Signal::KILL)?;
        process.ended().await?;
        self.hire()
    }

    /// Lets all finish the append that is on, and end.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.seen
            .send_modify(|seen| seen.iter_mut().for_each(|sight| sight.dismissed = true));
        let mut processes = Vec::new();
        for member in self.crew.drain(..) {
            // an application stops at the end of its input
            drop(member.input);
            processes.push(member.process);
        }
        for mut process in processes {
            let status = process.ended().await?;
            ensure!(status.success(), "{} ended with {status}", process.name());
        }
        Ok(())
    }

    async fn wait(&self, until: impl Fn(&[Sight]) -> bool) -> Result<()> {
        let mut seen = self.seen.subscribe();
        loop {
            {
                let seen = seen.borrow_and_update();
                let gone = |sight: &Sight| sight.gone && !sight.dismissed;
                if let Some(at) = seen.iter().position(gone) {
                    bail!("application {} has ended by itself", at + 1);
                }
                if until(&seen) {
                    return Ok(());
                }
            }
            let changed = tokio::time::timeout(PATIENCE, seen.changed()).await;
            changed.context("no application has an answer")??;
        }
    }
}

fn acknowledged(seen: &[Sight]) -> u64 {
    seen.iter().map(|sight| sight.report.acknowledged).sum()
}

async fn hear(
    mut lines: Lines<BufReader<ChildStdout>>,
    place: usize,
    seen: watch::Sender<Vec<Sight>>,
) {
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(report) = Report::from_line(&line) else {
            break;
        };
        seen.send_modify(|seen| seen[place].report = report);
    }
    seen.send_modify(|seen| seen[place].gone = true);
}

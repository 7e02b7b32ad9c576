//! Processes of an application, and what they say.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::watch;

use super::Place;
use crate::process::{PATIENCE, Process, Speech, say};

/// A command that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) account: String,
    pub(super) command: String,
    pub(super) cents: i64,
    /// How long it took, with the attempts that were in conflict.
    pub(super) microseconds: u64,
}

/// What an account is after its events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) cents: i64,
    pub(super) events: u64,
}

/// What processes have said.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    pub(super) done: Vec<Done>,
    pub(super) conflicts: u64,
    pub(super) failed: Vec<String>,
    pub(super) states: BTreeMap<String, State>,
    /// Accounts and numbers of events, as they were consumed.
    pub(super) seen: Vec<(String, u64)>,
    /// How many write the new schema.
    new: usize,
    /// How many have ended.
    ended: usize,
}

impl Said {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let understood = match words[..] {
            ["done", account, command, cents, microseconds] => {
                let numbers = cents.parse().ok().zip(microseconds.parse().ok());
                numbers.map(|(cents, microseconds)| {
                    self.done.push(Done {
                        account: account.to_owned(),
                        command: command.to_owned(),
                        cents,
                        microseconds,
                    });
                })
            }
            ["conflict"] => {
                self.conflicts += 1;
                Some(())
            }
            ["state", account, cents, events] => {
                let state = cents.parse().ok().zip(events.parse().ok());
                state.map(|(cents, events)| {
                    self.states
                        .insert(account.to_owned(), State { cents, events });
                })
            }
            ["seen", account, number] => number.parse().ok().map(|number| {
                self.seen.push((account.to_owned(), number));
            }),
            ["writes", "new"] => {
                self.new += 1;
                Some(())
            }
            _ => None,
        };
        if understood.is_none() {
            self.failed.push(line.to_owned());
        }
    }
}

/// Processes of an application.
#[derive(Debug)]
pub(super) struct Crew {
    members: Vec<Member>,
    said: watch::Sender<Said>,
}

#[derive(Debug)]
struct Member {
    process: Process,
    input: ChildStdin,
}

impl Crew {
    /// Starts a process for each of these arguments.
    pub(super) fn start(place: &Place, all: &[&[&str]]) -> Result<Self> {
        let mut crew = Self {
            members: Vec::new(),
            said: watch::Sender::new(Said::default()),
        };
        for arguments in all {
            let mut command = place.kind.program()?;
            command.args(*arguments).env("DATABASE_URL", place.url());
            let name = format!("{} {}", place.kind.name(), arguments.join(" "));
            let (process, speech) = Process::converse(&place.warden, &name, &mut command)?;
            let Speech { input, output } = speech;
            tokio::spawn(listen(output, crew.said.clone()));
            crew.members.push(Member { process, input });
        }
        Ok(crew)
    }

    /// Runs one process with these lines as its input, and returns what it said.
    pub(super) async fn once(place: &Place, arguments: &[&str], lines: &str) -> Result<Said> {
        let mut crew = Self::start(place, &[arguments])?;
        for member in &mut crew.members {
            member.input.write_all(lines.as_bytes()).await?;
        }
        crew.stop().await
    }

    /// How many commands were acknowledged so far.
    pub(super) fn done(&self) -> usize {
        self.said.borrow().done.len()
    }

    /// Waits until so many more commands are acknowledged.
    pub(super) async fn work(&self, more: usize) -> Result<()> {
        let wanted = self.done() + more;
        self.wait(|said| said.done.len() >= wanted).await
    }

    /// Waits until so many events were consumed.
    pub(super) async fn consume(&self, events: usize) -> Result<()> {
        self.wait(|said| said.seen.len() >= events).await
    }

    /// Lets all write the new schema, and waits until they do.
    pub(super) async fn write_new(&mut self) -> Result<()> {
        for member in &mut self.members {
            say(&mut member.input, "new").await?;
        }
        let all = self.members.len();
        self.wait(|said| said.new == all).await
    }

    async fn wait(&self, until: impl Fn(&Said) -> bool) -> Result<()> {
        let mut said = self.said.subscribe();
        loop {
            {
                let said = said.borrow_and_update();
                if let Some(failure) = said.failed.first() {
                    bail!("{} commands failed, first: {failure}", said.failed.len());
                }
                ensure!(said.ended == 0, "an application has ended by itself");
                if until(&said) {
                    return Ok(());
                }
            }
            let changed = tokio::time::timeout(PATIENCE, said.changed()).await;
            changed.context("no application says anything")??;
        }
    }

    /// Lets all finish what they do, waits for their end, and returns what they said.
    pub(super) async fn stop(self) -> Result<Said> {
        let all = self.members.len();
        let mut said = self.said.subscribe();
        for Member { mut process, input } in self.members {
            drop(input);
            let status = process.ended().await?;
            ensure!(status.success(), "{} ended with {status}", process.name());
        }
        let heard = said.wait_for(|said| said.ended == all).await?;
        if let Some(failure) = heard.failed.first() {
            bail!("{} commands failed, first: {failure}", heard.failed.len());
        }
        Ok(heard.clone())
    }
}

async fn listen(output: ChildStdout, said: watch::Sender<Said>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        said.send_modify(|said| said.hear(&line));
    }
    said.send_modify(|said| said.ended += 1);
}

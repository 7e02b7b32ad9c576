//! One round: A is stopped, B sweeps with a clock that is ahead, C is stopped too or works; then A
//! and C continue, in either order.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::actor::{Actor, BACKUP, OBJECT, OTHER, event};
use crate::context::Context;
use crate::dice::Dice;
use crate::formats::Store;
use crate::model::{self, Event, PROGRAM};
use crate::program::{Ended, Frozen, Outcome, at_another_time, run as run_to_end, wait};
use crate::report::{Finding, Tally};

const LIMIT: Duration = Duration::from_secs(60);

struct Round<'a> {
    context: &'a Context,
    strace: &'a Path,
    seed: u64,
    dice: Dice,
    directory: &'a Path,
    store: PathBuf,
    base: Vec<Event>,
    /// Processes that append, with how they ended.
    appended: Vec<(&'static str, Ended)>,
    story: Vec<String>,
    tally: Tally,
}

pub(super) fn run(context: &Context, strace: &Path, seed: u64, directory: &Path) -> Result<Tally> {
    let mut round = Round {
        context,
        strace,
        seed,
        dice: Dice::new(seed ^ 0xf7ee),
        directory,
        store: directory.join("store"),
        base: vec![Event::new("base-0", "D", 0), Event::new("base-1", "A", 1)],
        appended: Vec::new(),
        story: Vec::new(),
        tally: Tally::of("freezes"),
    };
    round.tally.rounds = 1;
    round.prepare()?;
    round.play()?;
    round.check()?;
    Ok(round.tally)
}

impl Round<'_> {
    fn prepare(&self) -> Result<()> {
        std::fs::write(self.directory.join("program.jq"), PROGRAM)?;
        let file = self.directory.join("base.ndjson");
        let lines = self
            .base
            .iter()
            .enumerate()
            .map(|(at, event)| event.line(OBJECT, at));
        std::fs::write(&file, lines.collect::<String>())?;
        let import = format!("import {}", file.display());
        self.context.esm.must(&self.store, &import, LIMIT).map(drop)
    }

    fn play(&mut self) -> Result<()> {
        let first = Actor::draw(&mut self.dice);
        let mut a = self.freeze("A", first)?;
        self.sweep(3)?;
        let second = first.against(&mut self.dice);
        let is_stopped = second == Actor::Append && !self.dice.one_in(4);
        if !is_stopped {
            self.work("C", second)?;
            return self.wake("A", first, &mut a);
        }
        let mut c = self.freeze("C", second)?;
        if self.dice.one_in(3) {
            self.wake("C", second, &mut c)?;
            return self.wake("A", first, &mut a);
        }
        self.wake("A", first, &mut a)?;
        self.wake("C", second, &mut c)
    }

    /// Starts a process that stops at a call: one thread of it, or all.
    fn freeze(&mut self, name: &'static str, actor: Actor) -> Result<Frozen> {
        let at = actor.stop(&mut self.dice);
        let command = self.command(name, actor)?;
        let mut frozen = Frozen::start(self.strace, &command, at, self.directory, name)?;
        let is_stopped = frozen.is_alive()?;
        let all = is_stopped && actor != Actor::Append;
        if all {
            frozen.stop_all()?;
        }
        let how = if all {
            "stops before"
        } else if is_stopped {
            "one thread stops before"
        } else {
            "ended before"
        };
        self.story.push(format!("{name} ({actor:?}) {how} {at}"));
        self.tally
            .count(if is_stopped { "stopped" } else { "not stopped" });
        Ok(frozen)
    }

    fn command(&self, name: &str, actor: Actor) -> Result<std::process::Command> {
        let migration = self.migration()?;
        let esm = &self.context.esm;
        actor.command(esm, &self.store, self.directory, name, &migration)
    }

    /// The newest migration, if there is one.
    fn migration(&self) -> Result<String> {
        let folder = self.store.join("journals");
        let mut names = Vec::new();
        if folder.exists() {
            for entry in std::fs::read_dir(folder)? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
        }
        let none = "01890000-0000-7000-8000-000000000000".to_owned();
        Ok(names.into_iter().max().unwrap_or(none))
    }

    /// A command of a process whose clock is so many days ahead.
    fn sweep(&mut self, days: u64) -> Result<()> {
        let file = self.directory.join("sweep.ndjson");
        let line = Event::new("sweeper", "D", 0).line(OTHER, 0);
        std::fs::write(&file, line)?;
        let file = file.to_string_lossy();
        let command = self
            .context
            .esm
            .on(&self.store, &["--output", "json", "import", &*file]);
        let outcome = match &self.context.tools.faketime {
            Some(faketime) => {
                let shift = format!("+{days}d");
                run_to_end(&mut at_another_time(faketime, &command, &shift), LIMIT)?
            }
            None => return Ok(()),
        };
        self.story
            .push(format!("a process {days} days ahead imports"));
        if !outcome.succeeded() {
            self.found(
                "sweep",
                &outcome.to_string(),
                "an import beside it succeeds",
            );
        }
        Ok(())
    }

    /// A process that nobody stops.
    fn work(&mut self, name: &'static str, actor: Actor) -> Result<()> {
        let outcome = run_to_end(&mut self.command(name, actor)?, LIMIT)?;
        self.story
            .push(format!("{name} ({actor:?}): {:?}", outcome.ended));
        self.ended(name, actor, &outcome);
        if actor == Actor::BackUpAndDelete {
            let line = format!("backup delete {BACKUP} --yes --despite-retention");
            let outcome = self.context.esm.ask(&self.store, &line, LIMIT)?;
            self.story.push(format!("{line}: {:?}", outcome.ended));
        }
        Ok(())
    }

    fn wake(&mut self, name: &'static str, actor: Actor, frozen: &mut Frozen) -> Result<()> {
        frozen.wake()?;
        let ended = wait(frozen.child(), LIMIT)?;
        let read = |end: &str| {
            let file = self.directory.join(format!("{name}.{end}"));
            std::fs::read_to_string(file).unwrap_or_default()
        };
        let outcome = Outcome {
            ended,
            stdout: read("out"),
            stderr: read("err"),
        };
        self.story.push(format!("{name} continues: {ended:?}"));
        self.ended(name, actor, &outcome);
        Ok(())
    }

    fn ended(&mut self, name: &'static str, actor: Actor, outcome: &Outcome) {
        if let Some(complaint) = outcome.bad_manners() {
            self.found(
                "bad end",
                &format!("{name}: {complaint}"),
                "a documented end",
            );
        }
        if actor == Actor::Append {
            self.appended.push((name, outcome.ended));
        }
    }

    /// What everybody was acknowledged is there, once; nothing is left over.
    fn check(&mut self) -> Result<()> {
        let line = "resume --all --lock-lease 1s --lock-heartbeat 300ms --lock-timeout 20s";
        let begun = Instant::now();
        let outcome = self.context.esm.ask(&self.store, line, LIMIT)?;
        if !outcome.succeeded() {
            let happened = format!("after {:?}: {outcome}", begun.elapsed());
            self.found(
                "cannot be resumed",
                &happened,
                "what is unfinished is resumed",
            );
        }
        let outcome = self.context.esm.ask(&self.store, "export --all", LIMIT)?;
        if !outcome.succeeded() {
            self.found("cannot be read", &outcome.to_string(), "an export");
            return Ok(());
        }
        match model::of_export(&outcome.stdout) {
            Ok(objects) => {
                self.check_events(objects.get(OBJECT).map(Vec::as_slice).unwrap_or_default())
            }
            Err(error) => self.found("cannot be read", &format!("{error:#}"), "an export"),
        }
        let outcome = self.context.esm.ask(&self.store, "verify --all", LIMIT)?;
        if !outcome.succeeded() {
            self.found("does not verify", &outcome.to_string(), "verify says equal");
        }
        self.check_backups()?;
        self.sweep(9)?;
        let store = Store::read(&self.store)?;
        if let Some(complaint) = store.complaints.first() {
            self.found(
                "files",
                complaint,
                "files as docs/formats.md describes them",
            );
        }
        let left: Vec<String> = store.orphans();
        if let Some(left) = left.first() {
            self.found(
                "left over",
                left,
                "what nothing refers to is removed by a sweep",
            );
        }
        Ok(())
    }

    fn check_events(&mut self, found: &[Event]) {
        let image: Vec<Event> = self.base.iter().flat_map(Event::image).collect();
        let base = [&self.base, &image]
            .into_iter()
            .find(|base| found.starts_with(base));
        let Some(base) = base else {
            let right = "the events that there were, or their images";
            return self.found("lost", &format!("{found:?}"), right);
        };
        let rest = &found[base.len()..];
        for (name, ended) in self.appended.clone() {
            let count = rest.iter().filter(|found| **found == event(name)).count();
            let ids: Vec<&str> = found.iter().map(|event| &*event.id).collect();
            let happened = format!("{name} ended with {ended:?}; the stream has {ids:?}");
            match (ended, count) {
                (Ended::Code(0), 1) | (Ended::Code(8), 0 | 1) => {}
                (Ended::Code(0), _) => {
                    self.found(
                        "an acknowledged event is lost",
                        &happened,
                        "it is there, once",
                    );
                }
                (_, 0) => {}
                _ => self.found("a refused event is there", &happened, "it is not there"),
            }
        }
        if rest.len() > 1 {
            let right = "one of two events for the same place";
            self.found("doubled", &format!("{found:?}"), right);
        }
    }

    /// Every backup that is listed has its content.
    fn check_backups(&mut self) -> Result<()> {
        let outcome = self.context.esm.ask(&self.store, "backup list", LIMIT)?;
        let listed: Value = serde_json::from_str(&outcome.stdout).unwrap_or_default();
        for backup in listed["backups"].as_array().into_iter().flatten() {
            let id = backup["id"].as_str().unwrap_or_default();
            let outcome =
                self.context
                    .esm
                    .ask(&self.store, &format!("backup verify {id}"), LIMIT)?;
            if !outcome.succeeded() {
                let right = "a backup that is listed has its content";
                self.found("a backup without content", &outcome.to_string(), right);
            }
        }
        Ok(())
    }

    fn found(&mut self, kind: &str, happened: &str, right: &str) {
        let story = self.story.join("; ");
        self.tally.findings.push(Finding {
            kind: kind.to_owned(),
            happened: format!("{happened}. Before: {story}"),
            right: right.to_owned(),
            again: self.context.again_with("freezes --rounds 1", self.seed),
        });
    }
}

//! One round: a store of its own, some commands, each killed up to three times.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::step::Step;
use crate::context::Context;
use crate::dice::Dice;
use crate::formats::Store;
use crate::model::{self, Model, Objects, PROGRAM};
use crate::program::{At, CALLS, Ended, Outcome, killed, run as run_to_end};
use crate::report::{Finding, Tally};

/// How long a command on so small a store may take, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Short leases, so that the lock of a process that died is free soon.
const LOCK: [&str; 6] = [
    "--lock-lease",
    "1s",
    "--lock-heartbeat",
    "300ms",
    "--lock-timeout",
    "20s",
];

struct Round<'a> {
    context: &'a Context,
    seed: u64,
    dice: Dice,
    directory: &'a Path,
    store: PathBuf,
    model: Model,
    tally: Tally,
    /// What has been done, for a finding.
    story: Vec<String>,
}

/// Plays the round that follows from a seed.
pub(super) fn run(context: &Context, seed: u64, directory: &Path) -> Result<Tally> {
    std::fs::write(directory.join("program.jq"), PROGRAM)?;
    let mut round = Round {
        context,
        seed,
        dice: Dice::new(seed),
        directory,
        store: directory.join("store"),
        model: Model::default(),
        tally: Tally::of("kills"),
        story: Vec::new(),
    };
    round.tally.rounds = 1;
    let steps = 3 + round.dice.below(4);
    for number in 0..steps {
        let step = if number == 0 {
            Step::import(&mut round.dice, &Model::default(), 0)
        } else {
            Step::draw(&mut round.dice, &round.model, number)
        };
        let at_first = number == 0 && matches!(step, Step::Migrate);
        if at_first || !round.play(&step)? {
            break;
        }
    }
    round.check_files()?;
    Ok(round.tally)
}

impl Round<'_> {
    /// Does one step, with kills; whether the round may continue.
    fn play(&mut self, step: &Step) -> Result<bool> {
        let after = step.of(&self.model);
        let mut kills = self.dice.below(4);
        self.story.push(step.to_string());
        for _ in 0..10 {
            let outcome = self.attempt(step, kills > 0)?;
            if outcome.ended == Ended::Signal(9) {
                self.tally.count("kills");
                kills = kills.saturating_sub(1);
                if !self.is_readable(&after)? {
                    return Ok(false);
                }
                while self.resume(kills > 0)? {
                    kills -= 1;
                }
                continue;
            }
            if let Some(complaint) = outcome.bad_manners() {
                return self.found("bad end", &complaint, "a documented end");
            }
            let Ended::Code(code) = outcome.ended else {
                return self.found("bad end", &outcome.to_string(), "a documented end");
            };
            if !step.codes().contains(&code) {
                let right = "a killed command can be repeated until it is done";
                return self.found("cannot be repeated", &outcome.to_string(), right);
            }
            self.tally.count("commands");
            self.model = after;
            return self.is_done();
        }
        self.found("does not end", "ten attempts", "a few attempts are enough")
    }

    /// Runs the step's command once, and kills it if that is wanted.
    fn attempt(&mut self, step: &Step, kill: bool) -> Result<Outcome> {
        let words = self.words(step)?;
        self.run(&words, kill)
    }

    /// Resumes what a kill has left; whether that was killed too.
    fn resume(&mut self, kill: bool) -> Result<bool> {
        let mut words = vec!["resume".to_owned(), "--all".to_owned()];
        words.extend(LOCK.map(str::to_owned));
        let outcome = self.run(&words, kill)?;
        if outcome.ended == Ended::Signal(9) {
            self.tally.count("kills");
            return Ok(true);
        }
        if !outcome.succeeded() && outcome.kind() != "not_found" {
            let right = "what a killed process has left is resumed";
            self.found("cannot be resumed", &outcome.to_string(), right)?;
        }
        Ok(false)
    }

    fn run(&mut self, words: &[String], kill: bool) -> Result<Outcome> {
        let mut all = vec!["--output".to_owned(), "json".to_owned()];
        all.extend(words.iter().cloned());
        let mut command = self.context.esm.on(&self.store, &all);
        if !kill {
            return run_to_end(&mut command, LIMIT);
        }
        let strace = self.context.tools.strace.clone();
        match strace.filter(|_| !self.dice.one_in(3)) {
            Some(strace) => {
                let at = At {
                    call: self.dice.pick(&CALLS),
                    number: 1 + self.dice.below(8),
                };
                self.story.push(format!("killed at {at} if it gets there"));
                run_to_end(&mut killed(&strace, &command, at), LIMIT)
            }
            None => {
                let delay = Duration::from_micros(self.dice.below(60_000));
                self.story.push(format!("killed after {delay:?}"));
                crate::program::kill_after(&mut command, delay)
            }
        }
    }

    /// The command of a step.
    fn words(&self, step: &Step) -> Result<Vec<String>> {
        let program = self
            .directory
            .join("program.jq")
            .to_string_lossy()
            .into_owned();
        let words: Vec<String> = match step {
            Step::Import(_) => {
                let file = self.directory.join("import.ndjson");
                std::fs::write(&file, self.lines(step))?;
                vec!["import".to_owned(), file.to_string_lossy().into_owned()]
            }
            Step::Migrate => {
                let words = [
                    "migrate",
                    "--all",
                    "--transform",
                    &program,
                    "--cell-events",
                    "3",
                ];
                words
                    .iter()
                    .chain(&LOCK)
                    .map(|word| (*word).to_owned())
                    .collect()
            }
            Step::RollBack => {
                let newest = self.newest_migration()?;
                let words = ["rollback", &newest];
                words
                    .iter()
                    .chain(&LOCK)
                    .map(|word| (*word).to_owned())
                    .collect()
            }
            Step::BackUp(id) => split(&format!("backup create --all --id {id}")),
            Step::Restore {
                backup,
                object,
                name,
            } => {
                let mut words = split(&format!("backup restore {backup} --as {name} --object"));
                words.push(object.clone());
                words
            }
            Step::DeleteBackup(id) => {
                split(&format!("backup delete {id} --yes --despite-retention"))
            }
        };
        Ok(words)
    }

    /// The lines of an import, with the places that the events take.
    fn lines(&self, step: &Step) -> String {
        let Step::Import(events) = step else {
            return String::new();
        };
        let mut counts = std::collections::BTreeMap::new();
        let mut lines = String::new();
        for (object, event) in events {
            let known = self.model.imported.get(object).copied().unwrap_or_default();
            let count = counts.entry(object).or_insert(known);
            lines += &event.line(object, *count);
            *count += 1;
        }
        lines
    }

    /// The newest migration that is no rollback. One that was killed before it recorded its plan did
    /// nothing, and may have been either.
    fn newest_migration(&self) -> Result<String> {
        let status = self.context.esm.must(&self.store, "status --all", LIMIT)?;
        let status: Value = serde_json::from_str(&status.stdout)?;
        let all = status["migrations"].as_array().cloned().unwrap_or_default();
        let planned = all.iter().filter(|m| m["plan"].is_object());
        let ids = planned.filter(|m| m["plan"]["reverses"].is_null());
        let with_work = ids.filter(|m| m["statistics"]["migrated"] != 0);
        let newest = with_work.filter_map(|m| m["migration"].as_str()).max();
        Ok(newest.context("no migration to roll back")?.to_owned())
    }

    /// After a kill each object is what it was, or what it will be, or between.
    fn is_readable(&mut self, after: &Model) -> Result<bool> {
        if !self.store.join("esm.json").exists() {
            return Ok(true);
        }
        let Some(found) = self.export()? else {
            return Ok(false);
        };
        if let Err(error) = model::between(&found, &self.model.objects, &after.objects) {
            let right = "every acknowledged event, once and in order";
            return self.found("lost or doubled after a kill", &format!("{error:#}"), right);
        }
        Ok(true)
    }

    /// After a command the export and the files are what the model says.
    fn is_done(&mut self) -> Result<bool> {
        if !self.store.join("esm.json").exists() {
            return Ok(true);
        }
        let Some(found) = self.export()? else {
            return Ok(false);
        };
        if let Err(error) = model::same(&found, &self.model.objects) {
            let right = "the export is what the model computes";
            return self.found("other events", &format!("{error:#}"), right);
        }
        let outcome = self.context.esm.ask(&self.store, "verify --all", LIMIT)?;
        if !outcome.succeeded() {
            return self.found("does not verify", &outcome.to_string(), "verify says equal");
        }
        self.decode()
    }

    fn export(&mut self) -> Result<Option<Objects>> {
        let outcome = self.context.esm.ask(&self.store, "export --all", LIMIT)?;
        if !outcome.succeeded() {
            self.found(
                "cannot be read",
                &outcome.to_string(),
                "an export after every kill",
            )?;
            return Ok(None);
        }
        match model::of_export(&outcome.stdout) {
            Ok(objects) => Ok(Some(objects)),
            Err(error) => {
                self.found(
                    "cannot be read",
                    &format!("{error:#}"),
                    "a well-formed export",
                )?;
                Ok(None)
            }
        }
    }

    /// Whether the files contain what the model says, without esm.
    fn decode(&mut self) -> Result<bool> {
        let store = Store::read(&self.store)?;
        let mut objects = Objects::new();
        for object in store.objects() {
            match store.events(object) {
                Ok(events) => drop(
                    objects.insert(object.clone(), events.iter().map(model::of_line).collect()),
                ),
                Err(error) => {
                    let happened = format!("{object}: {error:#}");
                    return self.found(
                        "files",
                        &happened,
                        "each object's events are in its stream",
                    );
                }
            }
        }
        if let Err(error) = model::same(&objects, &self.model.objects) {
            let right = "the files contain what the model computes";
            return self.found("files", &format!("{error:#}"), right);
        }
        if let Some(complaint) = store.complaints.first() {
            let right = "files as docs/formats.md describes them";
            return self.found("files", complaint, right);
        }
        Ok(true)
    }

    /// At the end, and after a sweep days later, nothing is left of what was killed. What a killed
    /// deletion of a backup leaves, `backup prune` removes; what a killed `backup create` left, another
    /// deletion under the same id does.
    fn check_files(&mut self) -> Result<()> {
        if !self.tally.findings.is_empty() || !self.store.join("esm.json").exists() {
            return Ok(());
        }
        let pruned = self.run(&split("backup prune --yes"), false)?;
        if !pruned.succeeded() {
            let right = "backups without files are pruned";
            self.found("cannot be pruned", &pruned.to_string(), right)?;
            return Ok(());
        }
        for id in Store::read(&self.store)?.unfinished_backups() {
            self.run(&split(&format!("backup delete {id} --yes")), false)?;
        }
        let orphans = Store::read(&self.store)?.orphans();
        if let Some(orphan) = orphans.first() {
            let right = "a stream that nothing refers to is removed";
            self.found("left over", orphan, right)?;
        }
        Ok(())
    }

    /// Notes a finding; returns that the round is over.
    fn found(&mut self, kind: &str, happened: &str, right: &str) -> Result<bool> {
        let story = self.story.join(", ");
        let last = self.story.iter().rfind(|line| !line.starts_with("killed"));
        let command = last.map(|line| line.split([' ']).next().unwrap_or_default());
        self.tally.findings.push(Finding {
            kind: format!("{}: {kind}", command.unwrap_or_default()),
            happened: format!("{happened}; after: {story}"),
            right: right.to_owned(),
            again: self.context.again_with("kills --rounds 1", self.seed),
        });
        Ok(false)
    }
}

fn split(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

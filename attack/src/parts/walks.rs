//! Random walks: commands in any order, one after the other, each with the exit code and the effect
//! that a small model of a store permits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::context::Context;
use crate::dice::Dice;
use crate::model::{self, Event, Model, PROGRAM};
use crate::program::{Ended, Outcome};
use crate::report::{Finding, Tally};

const LIMIT: Duration = Duration::from_secs(60);

/// An id that nothing has.
const UNKNOWN: &str = "01890000-0000-7000-8000-000000000000";

const OBJECTS: [&str; 4] = ["o/1", "o/2", "p/1", "p/2"];

/// Commands with the codes that they end with whatever was done before.
const ALWAYS: [(&str, &[i32]); 16] = [
    ("show o/unknown", &[3]),
    ("read o/unknown", &[3]),
    ("export o/unknown", &[3]),
    ("verify o/unknown", &[3]),
    ("rollback UNKNOWN", &[3]),
    ("resume UNKNOWN", &[3]),
    ("status UNKNOWN", &[3]),
    ("backup show unknown", &[3]),
    ("backup restore unknown --as x/y --object o/1", &[3]),
    ("migrate o/unknown", &[3]),
    ("migrate o/1 --cutover sometimes", &[2]),
    ("status --all", &[0]),
    ("list", &[0]),
    ("verify --all", &[0]),
    ("lock list", &[0]),
    ("lock break objects --yes", &[0, 3]),
];

/// Commands to a migration on which no process works: durable, refused, or nothing to command.
const COMMANDS: [&str; 5] = [
    "pause --wait 1s",
    "cutover --wait 1s",
    "cutover --withdraw --wait 1s",
    "cancel --wait 1s",
    "set --concurrency 3 --wait 1s",
];

pub(crate) fn run(context: &Context, rounds: u64) -> Result<Tally> {
    context.in_parallel("walks", rounds, &|seed, directory| {
        let mut walk = Walk {
            context,
            seed,
            dice: Dice::new(seed ^ 0x3a1c),
            directory,
            store: directory.join("store"),
            model: Model::default(),
            story: Vec::new(),
            tally: Tally::of("walks"),
        };
        walk.tally.rounds = 1;
        std::fs::write(directory.join("program.jq"), PROGRAM)?;
        walk.import()?;
        for _ in 0..12 + walk.dice.below(12) {
            if !walk.tally.findings.is_empty() {
                break;
            }
            walk.step()?;
        }
        Ok(walk.tally)
    })
}

struct Walk<'a> {
    context: &'a Context,
    seed: u64,
    dice: Dice,
    directory: &'a Path,
    store: PathBuf,
    model: Model,
    story: Vec<String>,
    tally: Tally,
}

impl Walk<'_> {
    fn step(&mut self) -> Result<()> {
        match self.dice.below(9) {
            0 | 1 => self.import()?,
            2 => self.import_wrongly()?,
            3 => self.migrate("")?,
            4 => self.migrate(" --cutover manual --cutover-wait 0s")?,
            5 => self.move_on("resume --all")?,
            6 => self.roll_back()?,
            7 => {
                let line = self.dice.pick(&COMMANDS);
                self.ask(line, &[0, 1, 3, 4, 8])?;
            }
            _ => {
                let (line, codes) = self.dice.pick(&ALWAYS);
                self.ask(&line.replace("UNKNOWN", UNKNOWN), codes)?;
            }
        }
        self.compare()
    }

    fn import(&mut self) -> Result<()> {
        let mut lines = String::new();
        let mut events = Vec::new();
        for object in OBJECTS {
            let known = self.model.imported.get(object).copied().unwrap_or_default();
            let kinds: &[&str] = if self.model.migrated.contains(object) {
                &["D"]
            } else {
                &["A", "B", "C", "D"]
            };
            for at in 0..self.dice.below(4) as usize {
                let kind = if known + at > 0 {
                    self.dice.pick(kinds)
                } else {
                    "D"
                };
                let event = Event::new(&format!("{}-{at}", self.story.len()), kind, at as u64);
                lines += &event.line(object, known + at);
                events.push((object.to_owned(), event));
            }
        }
        let file = self.directory.join("in.ndjson");
        std::fs::write(&file, lines)?;
        let outcome = self.ask(&format!("import {}", file.display()), &[0])?;
        if outcome.succeeded() {
            self.model = self.model.import(&events);
        }
        Ok(())
    }

    /// A gap, another event in the place of one, an id for the second time.
    fn import_wrongly(&mut self) -> Result<()> {
        let objects: Vec<String> = self.model.objects.keys().cloned().collect();
        let Some(object) = objects.first() else {
            return Ok(());
        };
        let known = self.model.imported.get(object).copied().unwrap_or_default();
        let event = Event::new("wrong", "D", 1);
        let (line, what) = match self.dice.below(2) {
            0 => (event.line(object, known + 1), "a gap"),
            _ if known > 0 && !self.model.migrated.contains(object) => {
                (event.line(object, 0), "another event in its place")
            }
            _ => (event.line("o/é", 7), "an object that begins late"),
        };
        let file = self.directory.join("in.ndjson");
        std::fs::write(&file, line)?;
        self.story.push(what.to_owned());
        self.ask(&format!("import {}", file.display()), &[2, 4])
            .map(drop)
    }

    fn migrate(&mut self, options: &str) -> Result<()> {
        let program = self.directory.join("program.jq");
        let line = format!("migrate --all --transform {}{options}", program.display());
        self.move_on(&line)
    }

    /// A command that may cut objects over: each is what it was, or its image.
    fn move_on(&mut self, line: &str) -> Result<()> {
        let line = format!("{line} --lock-timeout 5s");
        let outcome = self.ask(&line, &[0, 1, 3, 4, 5, 130])?;
        let next = self.model.migrate();
        let completed = outcome.succeeded() && line.starts_with("migrate");
        let found = self.export()?;
        let mut adopted = self.model.clone();
        for (object, events) in &next.objects {
            let is_moved = found.get(object) == Some(events);
            if is_moved && next.undo.contains_key(object) {
                adopted.migrated.insert(object.clone());
                adopted.objects.insert(object.clone(), events.clone());
            } else if completed && !is_moved {
                self.found(
                    "migrate",
                    &format!("exit 0, and {object} is not migrated"),
                    "every object is migrated",
                );
            }
        }
        self.model = adopted;
        Ok(())
    }

    /// Undoes the newest migration that did something, finished or not.
    fn roll_back(&mut self) -> Result<()> {
        let status = self.ask("status --all", &[0])?;
        let status: Value = serde_json::from_str(&status.stdout).unwrap_or_default();
        let all = status["migrations"].as_array().cloned().unwrap_or_default();
        let Some(newest) = all.iter().filter_map(|m| m["migration"].as_str()).max() else {
            return Ok(());
        };
        let before = self.model.clone();
        let line = format!("rollback {newest} --lock-timeout 5s");
        self.ask(&line, &[0, 1, 4, 7])?;
        // what it was before that migration is not known here: every object is one that it was
        // before, or an image, followed by what came since
        let found = self.export()?;
        for (object, events) in &before.objects {
            let now = found.get(object).cloned().unwrap_or_default();
            if now == *events {
                continue;
            }
            let images: Vec<Event> = now.iter().flat_map(Event::image).collect();
            let original: Vec<Event> = events.iter().flat_map(Event::image).collect();
            if images != original {
                let happened = format!("{object} has {now:?}, had {events:?}");
                self.found("rollback", &happened, "the originals, and what came since");
            }
            self.model.objects.insert(object.clone(), now);
            // a rollback of a rollback makes it one that the program has made
            if images == *events {
                self.model.migrated.remove(object);
            } else {
                self.model.migrated.insert(object.clone());
            }
        }
        Ok(())
    }

    /// The export, the list and the numbers of every object agree with the model.
    fn compare(&mut self) -> Result<()> {
        let found = self.export()?;
        if let Err(error) = model::same(&found, &self.model.objects) {
            self.found(
                "other events",
                &format!("{error:#}"),
                "the events of the model",
            );
        }
        let listed = self.context.esm.ask(&self.store, "list", LIMIT)?;
        for line in listed.stdout.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            let object = line["object"].as_str().unwrap_or_default();
            let right = self.model.objects.get(object).map_or(0, Vec::len);
            if line["events"] != right {
                self.found("list", &line.to_string(), &format!("{right} events"));
            }
        }
        Ok(())
    }

    fn export(&mut self) -> Result<model::Objects> {
        let outcome = self.context.esm.ask(&self.store, "export --all", LIMIT)?;
        if !outcome.succeeded() {
            self.found("export", &outcome.to_string(), "an export");
        }
        model::of_export(&outcome.stdout)
    }

    fn ask(&mut self, line: &str, codes: &[i32]) -> Result<Outcome> {
        let outcome = self.context.esm.ask(&self.store, line, LIMIT)?;
        self.story.push(format!("{line}: {:?}", outcome.ended));
        self.tally.count("commands");
        let complaint = outcome.bad_manners();
        let expected = matches!(outcome.ended, Ended::Code(code) if codes.contains(&code));
        if complaint.is_some() || !expected {
            let command = line.split([' ']).take(2).collect::<Vec<_>>().join(" ");
            let happened = format!("{line}: {outcome}");
            self.found(
                &command,
                &happened,
                &format!("one of the exit codes {codes:?}"),
            );
        }
        Ok(outcome)
    }

    fn found(&mut self, kind: &str, happened: &str, right: &str) {
        let story = self.story.join("; ");
        let command = kind.split([' ']).next().unwrap_or_default();
        self.tally.findings.push(Finding {
            kind: command.to_owned(),
            happened: format!("{happened}. Before: {story}"),
            right: right.to_owned(),
            again: self.context.again_with("walks --rounds 1", self.seed),
        });
    }
}

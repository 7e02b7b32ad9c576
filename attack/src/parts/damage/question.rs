//! What is asked of a store before and after a change: commands that only read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::fixture::{Fixture, OBJECTS};
use crate::formats::{Kind, Place};
use crate::program::{Esm, Outcome, pause};

/// How long a command on so small a store may take, on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// The command that must name whatever another one notices.
pub(crate) const DOCTOR: &str = "doctor --all --deep";

/// Fields that change with time alone.
const VOLATILE: [&str; 3] = ["age_seconds", "expires_in", "held"];

/// A command that reads.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) line: String,
    topic: Topic,
}

/// What a command is about, to ask only what a small change can touch.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Topic {
    Events,
    Object(String),
    Migrations,
    Migration(String),
    Locks,
    Backups,
    Backup(String),
    Store,
    Everything,
}

/// A response without what changes with time.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    pub(crate) fields: BTreeMap<String, String>,
}

/// Every question about a store.
pub(crate) fn all(fixture: &Fixture) -> Vec<Question> {
    let question = |line: &str, topic| Question {
        line: line.to_owned(),
        topic,
    };
    let mut questions = vec![
        question("export --all", Topic::Events),
        question("list", Topic::Events),
        question("verify --all", Topic::Events),
        question("status --all", Topic::Migrations),
        question("lock list", Topic::Locks),
        question("backup list", Topic::Backups),
        question("store show", Topic::Store),
        question(DOCTOR, Topic::Everything),
    ];
    for object in OBJECTS {
        questions.push(question(
            &format!("show {object}"),
            Topic::Object(object.to_owned()),
        ));
    }
    for migration in &fixture.migrations {
        let topic = Topic::Migration(migration.clone());
        questions.push(question(&format!("status {migration}"), topic));
    }
    for backup in &fixture.backups {
        for line in ["show", "verify"] {
            let topic = Topic::Backup(backup.clone());
            questions.push(question(&format!("backup {line} {backup}"), topic));
        }
    }
    questions
}

impl Question {
    /// Whether a change of one byte of this file may matter to it.
    pub(crate) fn concerns(&self, path: &str) -> bool {
        let place = Place::of(path);
        if self.topic == Topic::Everything {
            return true;
        }
        match place.kind {
            Kind::Cell | Kind::Head | Kind::Document | Kind::Routing => match &self.topic {
                Topic::Events | Topic::Migrations => true,
                Topic::Object(object) => super::names::object_of(&place) == Some(object),
                _ => false,
            },
            Kind::Journal | Kind::Control | Kind::Progress | Kind::Index => match &self.topic {
                Topic::Events | Topic::Migrations => true,
                Topic::Migration(migration) => *migration == place.of,
                _ => false,
            },
            Kind::Acquisition | Kind::Heartbeat => {
                matches!(self.topic, Topic::Events | Topic::Migrations | Topic::Locks)
            }
            Kind::BackupFile | Kind::Manifest => match &self.topic {
                Topic::Backups => true,
                Topic::Backup(backup) => *backup == place.of,
                _ => false,
            },
            _ => true,
        }
    }

    /// Asks it of a store, or of a copy of it.
    pub(crate) fn ask(&self, esm: &Esm, store: &Path, original: &Path) -> Result<Answer> {
        let mut outcome = esm.ask(store, &self.line, LIMIT)?;
        for place in [store, original] {
            let place = place.to_string_lossy();
            outcome.stdout = outcome.stdout.replace(&*place, "STORE");
        }
        let mut lines: Vec<&str> = outcome.stdout.lines().collect();
        if self.line == "list" {
            // in the order in which the store lists them
            lines.sort_unstable();
        }
        let mut fields = BTreeMap::new();
        for (at, line) in lines.into_iter().enumerate() {
            let value = serde_json::from_str(line).unwrap_or_else(|_| Value::from(line));
            flatten(&format!("{at}"), &value, &mut fields);
        }
        Ok(Answer { outcome, fields })
    }
}

fn flatten(path: &str, value: &Value, fields: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, member) in members {
                if !VOLATILE.contains(&&**key) {
                    flatten(&format!("{path}.{key}"), member, fields);
                }
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            for (at, element) in elements.iter().enumerate() {
                flatten(&format!("{path}.{at}"), element, fields);
            }
        }
        leaf => {
            fields.insert(path.to_owned(), leaf.to_string());
        }
    }
}

/// The answers of the unchanged store.
#[derive(Debug)]
pub(crate) struct Baseline(Vec<(Question, Answer, BTreeSet<String>)>);

impl Baseline {
    /// Asks everything three times, more than a second apart; what differs changes with time.
    pub(crate) fn of(esm: &Esm, fixture: &Fixture) -> Result<Self> {
        let questions = all(fixture);
        let mut rounds = Vec::new();
        for _ in 0..3 {
            let asked = questions
                .iter()
                .map(|q| q.ask(esm, &fixture.store, &fixture.store));
            rounds.push(asked.collect::<Result<Vec<Answer>>>()?);
            pause(Duration::from_millis(1100));
        }
        let mut entries = Vec::new();
        for (at, question) in questions.into_iter().enumerate() {
            let first = rounds[0][at].clone();
            anyhow::ensure!(
                first.outcome.succeeded(),
                "esm {} on a sound store: {}",
                question.line,
                first.outcome
            );
            let others = rounds[1..].iter().map(|round| &round[at].fields);
            let volatile = others
                .flat_map(|other| differing(&first.fields, other))
                .collect();
            entries.push((question, first, volatile));
        }
        Ok(Self(entries))
    }

    /// The questions with the answers before any change.
    pub(crate) fn questions(&self) -> impl Iterator<Item = &Question> {
        self.0.iter().map(|(question, ..)| question)
    }

    /// The contents of the fields that differ from the answer before any change.
    pub(crate) fn changed<'a>(
        &'a self,
        line: &str,
        answer: &'a Answer,
    ) -> impl Iterator<Item = &'a str> {
        let known = self.0.iter().find(|(known, ..)| known.line == line);
        let changed = known.map(|(_, before, _)| differing(&before.fields, &answer.fields));
        let values = changed.into_iter().flatten();
        values.filter_map(|field| answer.fields.get(&field).map(String::as_str))
    }

    /// The first field that differs from the answer before any change.
    pub(crate) fn difference(&self, line: &str, answer: &Answer) -> Option<String> {
        let (_, before, volatile) = self.0.iter().find(|(known, ..)| known.line == line)?;
        let mut changed = differing(&before.fields, &answer.fields).into_iter();
        let field = changed.find(|field| !volatile.contains(field))?;
        let value = |of: &Answer| match of.fields.get(&field) {
            Some(value) => value.chars().take(120).collect(),
            None => "nothing".to_owned(),
        };
        Some(format!(
            "{field} was {}, is {}",
            value(before),
            value(answer)
        ))
    }
}

fn differing(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> BTreeSet<String> {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differ = keys.into_iter().filter(|key| a.get(*key) != b.get(*key));
    differ.cloned().collect()
}

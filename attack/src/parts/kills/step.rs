//! The commands of a round, and what each makes of the model.

use std::fmt::{self, Display, Formatter};

use crate::dice::Dice;
use crate::model::{Event, Model};

/// One command, with what it is about.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Import(Vec<(String, Event)>),
    Migrate,
    RollBack,
    BackUp(String),
    Restore {
        backup: String,
        object: String,
        name: String,
    },
    DeleteBackup(String),
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Import(events) => write!(f, "import of {} events", events.len()),
            Self::Migrate => f.write_str("migrate"),
            Self::RollBack => f.write_str("rollback"),
            Self::BackUp(id) => write!(f, "backup create {id}"),
            Self::Restore { backup, name, .. } => write!(f, "backup restore {backup} as {name}"),
            Self::DeleteBackup(id) => write!(f, "backup delete {id}"),
        }
    }
}

const OBJECTS: [&str; 5] = ["o/1", "o/é ü", "Order/7:8?", "o/-", "con/a"];

impl Step {
    /// What may follow in a store like this.
    pub(crate) fn draw(dice: &mut Dice, model: &Model, number: u64) -> Self {
        let backups: Vec<&String> = model.backups.keys().collect();
        match dice.below(8) {
            0 | 1 => Self::Migrate,
            2 if !model.undo.is_empty() => Self::RollBack,
            3 => Self::BackUp(format!("b{number}")),
            4 if !backups.is_empty() => {
                let backup = dice.pick(&backups).clone();
                let objects: Vec<&String> = model.backups[&backup].objects.keys().collect();
                let object = dice.pick(&objects).clone();
                let name = format!("restored/{number}");
                Self::Restore {
                    backup,
                    object,
                    name,
                }
            }
            5 if !backups.is_empty() => Self::DeleteBackup(dice.pick(&backups).clone()),
            _ => Self::import(dice, model, number),
        }
    }

    /// Events of some objects. An object begins with an event that the program leaves alone, which
    /// makes every later one of its schema one that a rollback can keep.
    pub(crate) fn import(dice: &mut Dice, model: &Model, number: u64) -> Self {
        let mut events = Vec::new();
        for object in OBJECTS {
            if dice.one_in(2) {
                continue;
            }
            let known = model
                .objects
                .get(object)
                .is_some_and(|events| !events.is_empty());
            let kinds: &[&str] = if model.migrated.contains(object) {
                &["D"]
            } else {
                &["A", "B", "C", "D"]
            };
            for at in 0..=dice.below(6) {
                let kind = if known || at > 0 {
                    dice.pick(kinds)
                } else {
                    "D"
                };
                let event = Event::new(&format!("{number}-{at}"), kind, at);
                events.push((object.to_owned(), event));
            }
        }
        if events.is_empty() {
            return Self::Migrate;
        }
        Self::Import(events)
    }

    /// What it makes of the model.
    pub(crate) fn of(&self, model: &Model) -> Model {
        match self {
            Self::Import(events) => model.import(events),
            Self::Migrate => model.migrate(),
            Self::RollBack => model.roll_back(),
            Self::BackUp(id) => model.back_up(id),
            Self::Restore {
                backup,
                object,
                name,
            } => model.restore(backup, object, name),
            Self::DeleteBackup(id) => {
                let mut next = model.clone();
                next.backups.remove(id);
                next
            }
        }
    }

    /// Exit codes with which it may end when it is repeated, because it was done before.
    pub(crate) fn codes(&self) -> &'static [i32] {
        match self {
            Self::Import(_) | Self::Migrate => &[0],
            // nothing is left to roll back
            Self::RollBack => &[0, 1, 4],
            Self::BackUp(_) | Self::Restore { .. } => &[0, 4],
            Self::DeleteBackup(_) => &[0, 3],
        }
    }
}

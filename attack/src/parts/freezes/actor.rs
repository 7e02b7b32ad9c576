//! What a process does that is stopped, or that works meanwhile.

use std::path::Path;

use anyhow::Result;

use crate::dice::Dice;
use crate::model::Event;
use crate::program::{At, Esm};

/// The object that everybody works on, and one beside it.
pub(super) const OBJECT: &str = "o/1";
pub(super) const OTHER: &str = "o/2";

/// The backup that everybody makes.
pub(super) const BACKUP: &str = "one";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    /// Appends one event of its own behind those that there were at the beginning.
    Append,
    Migrate,
    BackUp,
    /// Makes the same backup and deletes it.
    BackUpAndDelete,
    /// Undoes the migration that is found.
    RollBack,
    Resume,
}

impl Actor {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        dice.pick(&[
            Self::Append,
            Self::Append,
            Self::Migrate,
            Self::Migrate,
            Self::BackUp,
        ])
    }

    /// One that meets a process that does this.
    pub(super) fn against(self, dice: &mut Dice) -> Self {
        match self {
            Self::BackUp => {
                dice.pick(&[Self::BackUpAndDelete, Self::BackUpAndDelete, Self::BackUp])
            }
            Self::Migrate => dice.pick(&[
                Self::Append,
                Self::Append,
                Self::RollBack,
                Self::Resume,
                Self::Migrate,
            ]),
            _ => dice.pick(&[Self::Append, Self::Append, Self::Append, Self::Migrate]),
        }
    }

    /// Where to stop it: most of the time before a file gets its name.
    pub(super) fn stop(self, dice: &mut Dice) -> At {
        let number = match self {
            Self::Append => 1,
            Self::BackUp => 1 + dice.below(2),
            _ => 1 + dice.below(8),
        };
        let calls = ["linkat", "linkat", "linkat", "fsync", "unlink", "openat"];
        let call = dice.pick(&calls);
        At { call, number }
    }

    /// Its command; `name` is that of the process.
    pub(super) fn command(
        self,
        esm: &Esm,
        store: &Path,
        directory: &Path,
        name: &str,
        migration: &str,
    ) -> Result<std::process::Command> {
        let program = directory.join("program.jq");
        let program = program.to_string_lossy();
        let lock = "--lock-lease 1s --lock-heartbeat 300ms --lock-timeout 8s";
        let line = match self {
            Self::Append => {
                let file = directory.join(name).with_extension("ndjson");
                std::fs::write(&file, event(name).line(OBJECT, 2))?;
                format!("import {}", file.display())
            }
            Self::Migrate => {
                format!("migrate {OBJECT} --transform {program} --with-rollback {lock}")
            }
            Self::BackUp | Self::BackUpAndDelete => format!("backup create --all --id {BACKUP}"),
            Self::RollBack => format!("rollback {migration} {lock}"),
            Self::Resume => format!("resume {migration} {lock}"),
        };
        let mut words = vec!["--output", "json"];
        words.extend(line.split(' '));
        Ok(esm.on(store, &words))
    }
}

/// The event that a process of this name appends. The program leaves it alone.
pub(super) fn event(name: &str) -> Event {
    Event::new(&format!("from-{name}"), "D", 1)
}

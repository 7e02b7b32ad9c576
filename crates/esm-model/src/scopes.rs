//! The scopes that are explored: each small enough to be explored whole.

use crate::scope::{Budget, Expect, Kind, Scope};
use crate::world::Shape::{Drop, Join, Keep, Split};

/// How far the bounds go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// As far as fits into every build.
    Small,
    /// As far as fits into a night.
    Large,
}

impl Bounds {
    /// Large where the environment says `ESM_MODEL=large`.
    pub fn from_environment() -> Self {
        match std::env::var("ESM_MODEL").as_deref() {
            Ok("large") => Self::Large,
            _ => Self::Small,
        }
    }

    fn pick<T>(self, small: T, large: T) -> T {
        match self {
            Self::Small => small,
            Self::Large => large,
        }
    }
}

/// All scopes, with these bounds.
pub fn all(bounds: Bounds) -> Vec<Scope> {
    let scopes = [
        two_migrators,
        lost_answers,
        rollback,
        attempts,
        lock,
        lock_losses,
        in_a_row,
        writers_in_a_row,
        losses_in_a_row,
        competing,
        reverse,
        restore,
        mirror,
        dual_read,
        deletion,
        commands,
        beside,
        fold,
        fold_and_back,
        flush,
    ];
    scopes.into_iter().map(|scope| scope(bounds)).collect()
}

/// Two migrators without any lock, each of which may undo, two writers, and a crash of anybody.
pub fn two_migrators(bounds: Bounds) -> Scope {
    Scope {
        shapes: vec![Split, Drop, Keep, Split],
        writers: vec![vec![Expect::Known], vec![Expect::Any]],
        migrators: 2,
        undo: true,
        budget: Budget {
            runs: 2,
            crashes: 1,
            losses: bounds.pick(0, 1),
            ..Budget::default()
        },
        any_order: bounds.pick(false, true),
        ..Scope::new("two migrators")
    }
}

/// Lost answers, and requests that arrive after their sender has given up.
pub fn lost_answers(bounds: Bounds) -> Scope {
    Scope {
        shapes: vec![Drop, Keep, Split, Keep],
        writers: bounds.pick(
            vec![vec![Expect::Any]],
            vec![vec![Expect::Known], vec![Expect::Any]],
        ),
        migrators: 2,
        budget: Budget {
            runs: 2,
            losses: bounds.pick(1, 2),
            ..Budget::default()
        },
        any_order: bounds.pick(false, true),
        ..Scope::new("lost answers")
    }
}

/// One migrates, another undoes, without any lock, and answers are lost.
pub fn rollback(bounds: Bounds) -> Scope {
    Scope {
        shapes: vec![Split, Keep, Keep],
        writers: vec![vec![Expect::Any]; bounds.pick(1, 2)],
        migrators: 2,
        undo: true,
        budget: Budget {
            runs: bounds.pick(2, 3),
            losses: bounds.pick(2, 1),
            ..Budget::default()
        },
        any_order: bounds.pick(false, true),
        ..Scope::new("rollback")
    }
}

/// Attempts that are fenced by their own migration, and those after them.
pub fn attempts(bounds: Bounds) -> Scope {
    Scope {
        initial: 2,
        writers: vec![vec![Expect::Any]],
        migrators: 2,
        undo: true,
        attempts: 3,
        budget: Budget {
            runs: bounds.pick(2, 3),
            crashes: bounds.pick(0, 1),
            failures: 1,
            commands: bounds.pick(0, 1),
            findings: 1,
            ..Budget::default()
        },
        ..Scope::new("several attempts")
    }
}

/// The lock, its expiry, and what its former holder does afterwards.
pub fn lock(bounds: Bounds) -> Scope {
    Scope {
        shapes: vec![Split, Keep, Drop],
        writers: vec![vec![Expect::Known], vec![Expect::Any]],
        migrators: 2,
        undo: true,
        lock: true,
        budget: Budget {
            runs: bounds.pick(2, 3),
            crashes: 1,
            expiries: bounds.pick(1, 2),
            ..Budget::default()
        },
        any_order: bounds.pick(false, true),
        ..Scope::new("lock")
    }
}

/// Lost answers, and a lock that expires before they are settled.
pub fn lock_losses(bounds: Bounds) -> Scope {
    let scope = lock(Bounds::Small);
    Scope {
        name: "lost answers under the lock",
        writers: bounds.pick(vec![vec![Expect::Known]], scope.writers),
        budget: Budget {
            crashes: bounds.pick(0, 1),
            losses: 1,
            ..scope.budget
        },
        ..scope
    }
}

/// Two migrations, one after the other.
pub fn in_a_row(bounds: Bounds) -> Scope {
    Scope {
        migrations: vec![Kind::Forward, Kind::Forward],
        shapes: vec![Split, Keep, Split],
        writers: vec![bounds.pick(vec![Expect::Known], vec![Expect::Known, Expect::Any])],
        migrators: 2,
        undo: true,
        budget: Budget {
            runs: bounds.pick(3, 4),
            crashes: bounds.pick(0, 1),
            ..Budget::default()
        },
        any_order: bounds.pick(false, true),
        ..Scope::new("two migrations in a row")
    }
}

/// Two migrations, one after the other, and two writers.
pub fn writers_in_a_row(bounds: Bounds) -> Scope {
    let scope = in_a_row(Bounds::Small);
    Scope {
        name: "two writers in a row",
        writers: vec![vec![Expect::Known], vec![Expect::Any]],
        undo: bounds.pick(false, true),
        budget: Budget {
            runs: bounds.pick(2, 3),
            ..scope.budget
        },
        ..scope
    }
}

/// Two migrations, one after the other, whose answers are lost.
pub fn losses_in_a_row(bounds: Bounds) -> Scope {
    let scope = in_a_row(Bounds::Small);
    Scope {
        name: "lost answers in a row",
        writers: vec![bounds.pick(vec![Expect::Any], vec![Expect::Known, Expect::Any])],
        budget: Budget {
            runs: bounds.pick(2, 3),
            losses: 1,
            ..scope.budget
        },
        ..scope
    }
}

/// Two migrations of the same object that know nothing of each other. The second continues from
/// the stream to which the first has led.
pub fn competing(bounds: Bounds) -> Scope {
    Scope {
        migrations: vec![Kind::Forward, Kind::Forward],
        competing: true,
        shapes: vec![Split, Drop, Keep],
        writers: vec![vec![Expect::Any]; bounds.pick(1, 2)],
        migrators: 2,
        attempts: 1,
        budget: Budget {
            runs: 3,
            ..Budget::default()
        },
        ..Scope::new("competing migrations")
    }
}

/// A migration, and the reverse migration that undoes it after its pivot.
pub fn reverse(bounds: Bounds) -> Scope {
    Scope {
        migrations: vec![Kind::Forward, Kind::Reverse],
        shapes: vec![Split, Drop, Keep, Keep],
        writers: bounds.pick(
            vec![vec![Expect::Known, Expect::Any]],
            vec![vec![Expect::Known], vec![Expect::Any]],
        ),
        migrators: 2,
        attempts: 1,
        budget: Budget {
            runs: 3,
            crashes: bounds.pick(0, 1),
            ..Budget::default()
        },
        any_order: bounds.pick(false, true),
        ..Scope::new("reverse migration")
    }
}

/// A backup that takes the place of the active stream.
pub fn restore(bounds: Bounds) -> Scope {
    Scope {
        migrations: vec![Kind::Restore(1)],
        initial: 2,
        writers: vec![vec![Expect::Known], vec![Expect::Any, Expect::Known]],
        migrators: bounds.pick(1, 2),
        attempts: 1,
        budget: Budget {
            runs: 2,
            crashes: 1,
            losses: 1,
            ..Budget::default()
        },
        any_order: bounds.pick(false, true),
        ..Scope::new("restore")
    }
}

/// Writers that mirror to the target what they have appended to the source, whatever the phase that
/// is published.
pub fn mirror(bounds: Bounds) -> Scope {
    Scope {
        shapes: vec![Split, Keep, Drop, Keep],
        writers: vec![vec![Expect::Any], vec![Expect::Any]],
        migrators: 2,
        mirror: true,
        undo: true,
        attempts: bounds.pick(1, 2),
        budget: Budget {
            runs: 2,
            losses: bounds.pick(0, 1),
            ..Budget::default()
        },
        ..Scope::new("mirror")
    }
}

/// Somebody reads from source and target while they are copied, mirrored, and undone.
pub fn dual_read(bounds: Bounds) -> Scope {
    Scope {
        shapes: vec![Split, Drop, Keep],
        writers: vec![vec![Expect::Any]; bounds.pick(1, 2)],
        migrators: 2,
        mirror: true,
        dual_read: true,
        undo: true,
        budget: Budget {
            runs: 2,
            ..Budget::default()
        },
        ..Scope::new("dual read")
    }
}

/// Closed streams are deleted while writers still know them.
pub fn deletion(bounds: Bounds) -> Scope {
    Scope {
        migrations: vec![Kind::Forward, Kind::Forward],
        shapes: vec![Split, Keep, Keep],
        writers: vec![vec![Expect::Known], vec![Expect::Any]],
        migrators: bounds.pick(1, 2),
        deletion: true,
        attempts: 1,
        budget: Budget {
            runs: 2,
            losses: 1,
            crashes: bounds.pick(0, 1),
            ..Budget::default()
        },
        any_order: bounds.pick(false, true),
        ..Scope::new("deletion")
    }
}

/// Another lane compares while a run copies, and a cell reaches the target other than it was meant.
pub fn beside(bounds: Bounds) -> Scope {
    Scope {
        shapes: vec![Split, Keep, Drop, Keep],
        initial: 2,
        writers: vec![vec![Expect::Any]],
        migrators: 2,
        undo: bounds.pick(false, true),
        beside: true,
        budget: Budget {
            runs: 2,
            damages: 1,
            crashes: bounds.pick(0, 1),
            losses: bounds.pick(0, 1),
            ..Budget::default()
        },
        ..Scope::new("a comparison beside the copy")
    }
}

/// Events are joined in pairs, over others that are split, while two migrators copy and writers
/// append: one twice, in the large bounds two. An odd number of events leaves the window open.
pub fn fold(bounds: Bounds) -> Scope {
    Scope {
        shapes: vec![Join, Split, Join, Join],
        initial: 2,
        writers: bounds.pick(
            vec![vec![Expect::Any, Expect::Known]],
            vec![vec![Expect::Any], vec![Expect::Known]],
        ),
        migrators: 2,
        undo: bounds.pick(false, true),
        attempts: bounds.pick(1, 2),
        budget: Budget {
            runs: 2,
            crashes: bounds.pick(0, 1),
            losses: 1,
            ..Budget::default()
        },
        any_order: bounds.pick(false, true),
        ..Scope::new("a fold")
    }
}

/// A fold, and the reverse migration that undoes it after its pivot: the originals come back.
pub fn fold_and_back(bounds: Bounds) -> Scope {
    Scope {
        shapes: vec![Join, Join, Keep, Keep],
        ..Scope {
            name: "a fold, and its way back",
            ..reverse(bounds)
        }
    }
}

/// A fold's open window is flushed, and a writer may win the race against the Close.
pub fn flush(bounds: Bounds) -> Scope {
    Scope {
        shapes: vec![Join; 3],
        writers: bounds.pick(
            vec![vec![Expect::Known]],
            vec![vec![Expect::Any], vec![Expect::Known]],
        ),
        migrators: 2,
        flush: true,
        budget: Budget {
            runs: 2,
            crashes: bounds.pick(0, 1),
            losses: 1,
            ..Budget::default()
        },
        any_order: bounds.pick(false, true),
        ..Scope::new("a flushed window")
    }
}

/// Runs receive the command to undo what they did, beside a run that goes forward; also one that
/// undoes another migration after its pivot.
pub fn commands(bounds: Bounds) -> Scope {
    Scope {
        migrations: vec![Kind::Forward, Kind::Reverse],
        shapes: vec![Split, Keep, Keep],
        writers: vec![vec![Expect::Any]; bounds.pick(1, 2)],
        migrators: 2,
        undo: true,
        budget: Budget {
            runs: 3,
            commands: bounds.pick(1, 2),
            ..Budget::default()
        },
        ..Scope::new("commands")
    }
}

//! How much of the world a check explores: who acts, how often, and what may go wrong.

use crate::world::Shape;

/// What one run of the checker explores. Every bound is a number of things that may happen, at any
/// time and in any order.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Its name in reports.
    pub name: &'static str,
    /// The migrations of the one object, in their order.
    pub migrations: Vec<Kind>,
    /// Whether a migration may begin before the one before it has ended.
    pub competing: bool,
    /// What the transformation makes of each event: first of those that the source begins with,
    /// then of those that are appended.
    pub shapes: Vec<Shape>,
    /// Number of events that the source begins with.
    pub initial: u8,
    /// What each writer appends, one event each time.
    pub writers: Vec<Vec<Expect>>,
    /// Number of migrators.
    pub migrators: u8,
    /// Whether a migration may be undone before its pivot.
    pub undo: bool,
    /// Whether a lock keeps a second migrator from beginning. Without it all of them work at once.
    pub lock: bool,
    /// Whether writers mirror what they append to the target ([R16](esm_core::protocol#r16)).
    pub mirror: bool,
    /// Whether somebody reads from the target before the pivot ([R15](esm_core::protocol#r15)).
    pub dual_read: bool,
    /// Whether closed streams may be deleted ([R22](esm_core::protocol#r22)).
    pub deletion: bool,
    /// What a Close says of its target's last cell.
    pub hint: Hint,
    /// Whether a writer that meets a Close reads what it needs in any order; otherwise the end first,
    /// which is then as outdated as it can be.
    pub any_order: bool,
    /// Whether the writers reach another stream where the target should be ([R13](esm_core::protocol#r13)).
    pub decoy: bool,
    /// Whether a fold's open window is flushed at the cutover ([R27](esm_core::protocol#r27)), not waited for.
    pub flush: bool,
    /// Whether another lane compares what a run has copied while it continues to copy.
    pub beside: bool,
    /// Attempts of one migration at one source that have a target of their own.
    pub attempts: u8,
    /// What may happen only so often.
    pub budget: Budget,
}

/// What a migration does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Transforms the active stream into a fresh one.
    Forward,
    /// Undoes the migration before it after its pivot ([R18](esm_core::protocol#r18)).
    Reverse,
    /// Puts a backup of the first events, so many, in the active stream's place ([R19](esm_core::protocol#r19)).
    Restore(u8),
}

/// What a Close says of its target's last cell. Nothing may depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// The last cell at that time.
    Right,
    /// The one behind it.
    Ahead,
    /// The first one.
    Behind,
}

/// What an append expects, as `ExpectedRevision` of the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Any,
    /// That nothing came since the writer last looked.
    Known,
}

/// What may happen only so often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Budget {
    /// Runs that migrators begin.
    pub runs: u8,
    /// Crashes, of migrators or writers.
    pub crashes: u8,
    /// Lost responses, and requests that arrive only after their sender has given up.
    pub losses: u8,
    /// Leases of the lock that run out.
    pub expiries: u8,
    /// Runs that fail, and undo what they did at once.
    pub failures: u8,
    /// Commands to a run to undo what it did.
    pub commands: u8,
    /// Cells that reach the target other than they were meant.
    pub damages: u8,
    /// Schemas that a copier finds retired only while it copies.
    pub findings: u8,
}

impl Scope {
    /// Whether the transformation keeps a state over events.
    pub fn folds(&self) -> bool {
        self.shapes.contains(&Shape::Join)
    }

    /// One forward migration of a source with one event, one migrator, nothing goes wrong.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            migrations: vec![Kind::Forward],
            competing: false,
            shapes: vec![Shape::Keep; 8],
            initial: 1,
            writers: Vec::new(),
            migrators: 1,
            undo: false,
            lock: false,
            mirror: false,
            dual_read: false,
            deletion: false,
            hint: Hint::Right,
            any_order: true,
            decoy: false,
            flush: false,
            beside: false,
            attempts: 2,
            budget: Budget {
                runs: 1,
                ..Budget::default()
            },
        }
    }
}

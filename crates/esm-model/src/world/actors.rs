//! What migrators, writers and readers hold in memory: lost in a crash.

use super::{Cell, Close, Data, Entry, Held, Origin, Request, Slot};

/// A migrator.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Migrator {
    /// Does nothing, or was killed.
    Idle,
    /// Works at a migration.
    Running(Run),
}

/// One run at a migration, as `Context`, `Journal`, `Attempt` and `Progressed` hold it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// Its number, unique in the world.
    pub id: u8,
    /// The migration.
    pub migration: u8,
    /// Whether it undoes the migration.
    pub undo: bool,
    /// Whether it does so because it or an earlier run received the command: if that is refused, it
    /// goes forward.
    pub told: bool,
    /// The epoch that it has claimed; 0 before.
    pub epoch: u8,
    /// Number of journal records that it has read.
    pub records: u8,
    /// The source.
    pub source: Slot,
    /// The attempt.
    pub attempt: u8,
    /// The attempt's target.
    pub target: Slot,
    /// Whether it has found schemas retired while copying.
    pub findings: bool,
    /// Numbers of source and target events that were compared and found equal, once any were.
    pub compared: Option<(u8, u8)>,
    /// The source events that were compared while more were copied, or since.
    pub beside: u8,
    /// Whether that comparison has found a difference.
    pub differs: bool,
    /// Whether it has read the journal since the target has a cell, and not sent a Close since.
    pub in_charge: bool,
    /// Whether this run has written the Close.
    pub closed: bool,
    /// In twins: the state of the fold as this run remembers it, once it does.
    pub remembered: Option<Held>,
    /// What it does next.
    pub step: Step,
}

/// What a run does next. Each is one read, or one write that is under way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Reads the journal, and claims it.
    Claim,
    /// Reads the document and the chain of streams.
    Triage,
    /// An undo: reads whether the target was begun.
    LookWhetherBegun,
    /// Reads the target's tail and first cell.
    LookAtTarget,
    /// Reads the source's tail and control cells, and decides.
    LookAtSource(TargetSight),
    /// In the twins of [R1](esm_core::protocol#r1): reads the target only now, and decides.
    LookAtTargetLast(SourceSight),
    /// Reads the journal, to be sure that nobody has taken over, then verifies.
    EnsureInChargeAndVerify(Sight, u8),
    /// Reads both streams up to this source event and compares them.
    Verify(Sight, u8),
    /// Waits for the events that end the fold's window, then reads again.
    WaitForWindow,
    /// Reads the journal again, to be sure that nobody has taken over.
    EnsureInCharge(Option<Request>, Then),
    /// Reads the document and the chain of streams, to make the document follow.
    FollowClose,
    /// Waits for the answer.
    Sent(Request, Then),
    /// The journal has another record under that number, or the answer was lost: reads it.
    SettleRecord(Request),
    /// Nothing more.
    End,
}

impl Step {
    /// The cell that a copier is about to write.
    pub fn copied(&self) -> Option<&Data> {
        match self {
            Self::Sent(
                Request::Put {
                    cell: Cell::Data(data),
                    ..
                },
                _,
            ) => Some(data),
            _ => None,
        }
    }

    /// Makes its first event another; where it has none, the state of the fold is lost.
    pub(crate) fn damage(&mut self) {
        if let Self::Sent(
            Request::Put {
                cell: Cell::Data(data),
                ..
            },
            _,
        ) = self
        {
            match data.events.first_mut() {
                Some(first) => *first = first.damaged(),
                None => data.held = None,
            }
        }
    }
}

/// What comes after a write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Then {
    /// Read again, whatever the answer.
    Look,
    /// If the write was done, its result is known without a read.
    Decide(Sight),
    /// The journal has the record.
    Recorded,
    /// Make sure that nobody has taken over, then look.
    EnsureInCharge,
    /// An undo: look whether the target was begun.
    LookWhetherBegun,
    /// Record this.
    Record(Entry),
    /// Make the document follow.
    Followed,
    /// Another write, once this one is done: only where the protocol is broken.
    Send(Box<Request>),
    /// The run is over.
    End,
}

/// What a look at target and source has shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sight {
    /// The target.
    pub target: TargetSight,
    /// The source.
    pub source: SourceSight,
}

/// What the target looked like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetSight {
    /// The number of its next cell.
    pub next_seq: u8,
    /// Number of its events.
    pub events: u8,
    /// The cursor in its last cell.
    pub cursor: Option<u8>,
    /// The state of the fold in its last cell.
    pub held: Held,
    /// Whether its last cell is flushed.
    pub flushed: bool,
    /// What its first cell says.
    pub origin: Option<Origin>,
    /// Whether cells were missing.
    pub gap: bool,
}

/// What the source looked like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceSight {
    /// The number of its next cell.
    pub next_seq: u8,
    /// Number of its events.
    pub events: u8,
    /// Its Close.
    pub close: Option<Close>,
    /// Whether a Fence that names the target was seen.
    pub fenced: bool,
    /// Whether the document named it as active.
    pub is_active: bool,
}

/// A writer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Writer {
    /// Number of its appends that are over.
    pub appends: u8,
    /// Where its appends go, as it last saw it.
    pub route: Option<Route>,
    /// What it does.
    pub step: WriterStep,
}

/// Where appends go, as `router::route::Route`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// The stream.
    pub stream: Slot,
    /// The number of its next cell.
    pub next_seq: u8,
    /// Number of its events.
    pub events: u8,
    /// How often the object had changed.
    pub knows: u8,
}

/// What a writer does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WriterStep {
    /// Nothing.
    Idle,
    /// Waits for the answer.
    Sent(Sending),
    /// The outcome is unknown: it reads the cell back.
    Settle(Sending),
    /// It was refused: it reads back what is there.
    ReadBack(Sending),
    /// It has met a Close: it reads what it needs to know of its target.
    Behind(Behind),
    /// The cell holds something else: it loads the object, to find where the append goes now.
    Find(Sending),
    /// It may mirror the event that it has appended.
    MayMirror {
        /// The stream that it appended to.
        stream: Slot,
        /// The event's revision there.
        revision: u8,
        /// The append.
        root: u8,
    },
    /// Waits for the mirror's answer.
    Mirroring(Request),
    /// In the twins that write to the target first: the target has the event, the source not yet.
    TargetFirst(Sending, Request),
}

/// One append that is under way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sending {
    /// The append's number.
    pub root: u8,
    /// The stream it was sent to.
    pub stream: Slot,
    /// The number of its cell.
    pub seq: u8,
    /// Number of events before it.
    pub revision: u8,
    /// The position that is expected, if one is: a stream and a number of events; and how often the
    /// object had changed when the caller looked.
    pub expected: Option<(Slot, u8, u8)>,
    /// Whether it was sent before with an unknown outcome: then no answer makes the outcome known.
    pub unknown: bool,
}

impl Sending {
    /// The same append, to be sent along another route.
    pub(crate) fn along(self, route: Route) -> Self {
        Self {
            stream: route.stream,
            seq: route.next_seq,
            revision: route.events,
            unknown: false,
            ..self
        }
    }
}

/// What a writer that has met a Close knows of its target, which it reads at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Behind {
    /// The append.
    pub sending: Sending,
    /// The Close.
    pub close: Close,
    /// Whether the target's first cell names the closed stream, once it was read.
    pub first: Option<bool>,
    /// The target's end, once it was read.
    pub end: Option<End>,
    /// Whether the document names the target, once it was read.
    pub follows: Option<bool>,
}

/// The end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End {
    /// The number of the next cell.
    pub next_seq: u8,
    /// Number of events.
    pub events: u8,
    /// Whether the last cell is a Close.
    pub closed: bool,
    /// How often the object had changed.
    pub knows: u8,
}

/// One of the reads behind a Close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Of the target's first cell.
    First,
    /// Of the target's end.
    End,
    /// Of the document.
    Document,
}

impl Behind {
    /// What was not read yet, the end first.
    pub fn missing(&self) -> impl Iterator<Item = Part> {
        let first = self.first.is_none().then_some(Part::First);
        let end = self.end.is_none().then_some(Part::End);
        let document = self.follows.is_none().then_some(Part::Document);
        [end, first, document].into_iter().flatten()
    }
}

/// Somebody who reads the object from both streams.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reader {
    /// Has not begun.
    Idle,
    /// Has seen the source's end.
    Head {
        /// The source.
        stream: Slot,
        /// Number of its events.
        events: u8,
    },
    /// Is through. `true`: the target had what it needed.
    Read(bool),
}

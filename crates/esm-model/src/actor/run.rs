//! A run at one attempt: reads, decides, takes one action, and reads again.
//!
//! Represents `migration::run::object` and `cutover` (`attempt`, `copy`, `verify`, `close`): I/O
//! around `decisions::next`.

use esm_core::protocol::decisions::{Action, TargetState};

use crate::protocol::{Protocol, reversed};
use crate::scope::{Hint, Kind};
use crate::twin::Twin;
use crate::world::{
    Cell, Close, Data, Document, Entry, Event, Flaw, Held, Origin, Request, Run, Sight, Slot,
    SourceSight, Step, TargetSight, Then, World, backup, step,
};

impl Protocol {
    /// The steps of one attempt.
    pub(super) fn look_and_act(&self, world: &mut World, run: &mut Run, step: Step) -> Step {
        match step {
            Step::LookAtTarget => Step::LookAtSource(look_at_target(world, run)),
            Step::LookAtSource(target) => {
                let source = self.look_at_source(world, run);
                if self.looks_at_source_first() && !run.undo {
                    Step::LookAtTargetLast(source)
                } else {
                    self.decide(world, run, Sight { target, source })
                }
            }
            Step::LookAtTargetLast(source) => {
                let target = look_at_target(world, run);
                self.decide(world, run, Sight { target, source })
            }
            Step::EnsureInChargeAndVerify(sight, to) => {
                self.ensure_in_charge_and_verify(world, run, sight, to)
            }
            Step::Verify(sight, to) => self.verify(world, run, sight, to),
            Step::WaitForWindow => self.look(run),
            Step::FollowClose => self.follow_close(world, run),
            _ => Step::End,
        }
    }

    /// `Attempt::look`, from its beginning. R1: the target before the source.
    pub(crate) fn look(&self, run: &Run) -> Step {
        if run.undo || self.looks_at_source_first() {
            Step::LookAtSource(TargetSight::default())
        } else {
            Step::LookAtTarget
        }
    }

    fn looks_at_source_first(&self) -> bool {
        self.is(Twin::SourceLookedAtFirst) || self.is(Twin::SourceLookedAtFirstAndLiveUnseen)
    }

    pub(super) fn look_at_source(&self, world: &World, run: &Run) -> SourceSight {
        let source = world.stream(run.source);
        let names =
            |cell: &Cell| matches!(cell, Cell::Fence { target, .. } if *target == run.target);
        SourceSight {
            next_seq: source.next_seq(),
            events: source.next_revision(),
            close: source.close(),
            fenced: self.control_cells(world, run.source).any(names),
            is_active: run.closed || world.document.active == run.source,
        }
    }

    /// `chain::control_cells` (R4).
    pub(super) fn control_cells<'w>(
        &self,
        world: &'w World,
        stream: Slot,
    ) -> impl Iterator<Item = &'w Cell> {
        let unseen = if self.is(Twin::FencesBehindDataUnseen) {
            usize::from(world.stream(stream).next_seq()).saturating_sub(1)
        } else {
            0
        };
        let is_control = |cell: &&Cell| matches!(cell, Cell::Fence { .. } | Cell::Close(_));
        world.stream(stream).cells().skip(unseen).filter(is_control)
    }

    /// Decides by what was seen, and begins to do it.
    pub(super) fn decide(&self, world: &mut World, run: &mut Run, sight: Sight) -> Step {
        if run.undo {
            return self.decide_undo(world, run, sight.source);
        }
        if let Kind::Restore(count) = self.kind(run.migration) {
            return self.decide_restore(world, run, &sight, count);
        }
        run.findings |= sight.target.origin.is_some_and(|origin| origin.findings);
        let Some(target_state) = self.target_state(run, &sight) else {
            world.flaw(Flaw::StrangeTarget);
            return Step::End;
        };
        let to_copy = match reversed(world, run.source) {
            Some((originals, migrated)) if self.kind(run.migration) == Kind::Reverse => {
                originals.next_revision() + sight.source.events - migrated
            }
            _ => sight.source.events,
        };
        match self.names.decide(run, &sight, to_copy, target_state) {
            Action::Copy { from } => self.copy(world, run, sight, from.0 as u8),
            Action::Verify { to } if self.is(Twin::JournalReadInAdvance) => {
                Step::Verify(sight, to.0 as u8)
            }
            Action::Verify { to } => Step::EnsureInChargeAndVerify(sight, to.0 as u8),
            Action::Close { .. } if self.is_window_open(&sight) => self.end_window(run, sight),
            Action::Close { target_events, .. } => {
                let close = self.close_cell(run, &sight, target_events.0 as u8, true);
                self.close(world, run, sight, close)
            }
            Action::FollowClose | Action::CloseBooks => Step::FollowClose,
            Action::Superseded => {
                self.help(world);
                Step::Sent(Request::Discard(vec![run.target]), Then::End)
            }
            Action::NextAttempt => self.next_attempt(world, run, run.source, Vec::new()),
            Action::FenceAttempt => {
                Step::EnsureInCharge(Some(fence(run, sight.source)), Then::Look)
            }
            Action::LookAgain => self.look(run),
        }
    }

    /// `Attempt::target_state`; `None` if an unrelated stream has the target's name.
    fn target_state(&self, run: &Run, sight: &Sight) -> Option<TargetState> {
        let target = &sight.target;
        let is_over = sight.source.fenced || sight.source.close.is_some();
        if is_over || (target.next_seq == 0 && !target.gap) {
            return Some(TargetState::Absent);
        }
        let origin = target.origin.filter(|origin| {
            origin.source == run.source && origin.migration == run.migration && !target.gap
        })?;
        let ours = origin.attempt == run.attempt
            && origin.findings >= run.findings
            && !self.is_flush_beaten(sight);
        let sees_live =
            !self.is(Twin::LiveUnseen) && !self.is(Twin::SourceLookedAtFirstAndLiveUnseen);
        Some(match target.cursor {
            None if sees_live => TargetState::Live,
            cursor => TargetState::Copied {
                cursor: esm_core::event::Revision(u64::from(cursor.unwrap_or_default())),
                events: esm_core::event::Revision(u64::from(target.events)),
                ours,
            },
        })
    }

    /// `cutover::copy`: one source event, at the target's exact tail, with the cursor in the same cell.
    fn copy(&self, world: &World, run: &mut Run, sight: Sight, from: u8) -> Step {
        let mut held = self.state(run, &sight);
        let outputs = match self.kind(run.migration) {
            Kind::Forward => {
                let next = world.stream(run.source).events().nth(usize::from(from));
                next.map(|event| step(&self.scope, event, &mut held))
            }
            _ => {
                let copied = self.copied(world, run.migration, run.source);
                copied.get(usize::from(from)).cloned()
            }
        };
        let cursor = from + u8::from(outputs.is_some());
        if run.remembered.is_some() {
            run.remembered = Some(held);
        }
        put_copied(run, sight, outputs.unwrap_or_default(), cursor, held)
    }

    /// R25: the state of the fold is in the target's last cell, with the cursor that it belongs to.
    /// What a run remembers may be behind it: another may have copied since.
    fn state(&self, run: &mut Run, sight: &Sight) -> Held {
        let first = if self.is(Twin::StateBegunAnew) {
            None
        } else if self.is(Twin::StateKeptOverConflict) {
            sight.target.held
        } else {
            return sight.target.held;
        };
        *run.remembered.get_or_insert(first)
    }

    /// R26: no Close while the fold's window is open. What is open is a matter of the events before
    /// the tail that the Close is written at, so it needs no condition of its own.
    fn is_window_open(&self, sight: &Sight) -> bool {
        sight.target.held.is_some() && !self.is(Twin::CloseWithOpenWindow)
    }

    fn end_window(&self, run: &Run, sight: Sight) -> Step {
        let (Some(held), Some(cursor)) = (sight.target.held, sight.target.cursor) else {
            return Step::End;
        };
        if !self.scope.flush {
            return Step::WaitForWindow;
        }
        let data = Data {
            events: vec![held.alone()],
            cursor: Some(cursor),
            held: None,
            flushed: true,
            origin: None,
        };
        put_data(run, sight, data)
    }

    /// R27: what was flushed holds only if the source got no more events before its Close. Nobody copies
    /// behind it.
    fn is_flush_beaten(&self, sight: &Sight) -> bool {
        let target = &sight.target;
        target.flushed
            && target.cursor < Some(sight.source.events)
            && !self.is(Twin::CopiedBehindFlush)
    }

    fn close_cell(&self, run: &Run, sight: &Sight, target_events: u8, continues: bool) -> Close {
        let next = sight.target.next_seq;
        Close {
            target: run.target,
            events: sight.source.events,
            target_events,
            migration: run.migration,
            continues,
            target_last: match self.scope.hint {
                Hint::Right => next.saturating_sub(1),
                Hint::Ahead => next,
                Hint::Behind => 0,
            },
        }
    }

    /// `cutover::close`: the pivot.
    fn close(&self, world: &World, run: &mut Run, sight: Sight, close: Close) -> Step {
        let (stream, seq) = (run.source, sight.source.next_seq);
        let cell = Cell::Close(close);
        let request = put(stream, seq, cell);
        if self.is(Twin::CutoverByRoutingAlone) {
            let switched = switched(&world.document, run.source, close);
            return Step::Sent(switched, Then::Record(Entry::Completed));
        }
        if self.is(Twin::DocumentBeforeClose) {
            let switched = switched(&world.document, run.source, close);
            return Step::Sent(switched, Then::Send(Box::new(request)));
        }
        let source = SourceSight {
            next_seq: seq + 1,
            close: Some(close),
            is_active: true,
            ..sight.source
        };
        let then = Then::Decide(Sight { source, ..sight });
        match self.kind(run.migration) {
            // a restore has no journal of its own
            Kind::Restore(_) => Step::Sent(request, then),
            _ if std::mem::take(&mut run.in_charge) => Step::Sent(request, then),
            _ => Step::EnsureInCharge(Some(request), then),
        }
    }

    /// `ClosedStream::follow_own_close`, then the last record.
    fn follow_close(&self, world: &World, run: &Run) -> Step {
        let document = &world.document;
        let close = world.stream(run.source).close();
        let closes = match close.filter(|_| run.closed) {
            Some(own) => vec![(run.source, own)],
            None => world.chain(document.active).0,
        };
        match self.names.follow(document, &closes) {
            Some(next) => Step::Sent(Request::Document(next.into()), Then::Followed),
            None => self.record(world, run, Entry::Completed),
        }
    }

    /// `backup::restore`: writes the backup into the fresh stream, then takes the place of the
    /// active one.
    fn decide_restore(&self, world: &mut World, run: &mut Run, sight: &Sight, count: u8) -> Step {
        let target = &sight.target;
        match sight.source.close {
            Some(close) if close.target == run.target => return Step::FollowClose,
            Some(_) => {
                self.help(world);
                return Step::Sent(Request::Discard(vec![run.target]), Then::End);
            }
            None => {}
        }
        if target.next_seq == 0 {
            return put_copied(run, sight.clone(), backup(count), count, None);
        }
        if target.events == count && target.cursor == Some(count) {
            let close = self.close_cell(run, sight, count, false);
            self.close(world, run, sight.clone(), close)
        } else {
            self.look(run)
        }
    }
}

/// `Attempt::look_at_target`.
fn look_at_target(world: &World, run: &Run) -> TargetSight {
    let target = world.stream(run.target);
    TargetSight {
        next_seq: target.next_seq(),
        events: target.next_revision(),
        cursor: target.cursor(),
        held: target.held(),
        flushed: target.is_flushed(),
        origin: target.origin(),
        gap: target.has_gap(),
    }
}

fn put(stream: Slot, seq: u8, cell: Cell) -> Request {
    Request::Put {
        stream,
        seq,
        cell,
        knows: None,
    }
}

fn put_copied(run: &Run, sight: Sight, events: Vec<Event>, cursor: u8, held: Held) -> Step {
    let first = sight.target.next_seq == 0;
    let origin = first.then_some(Origin {
        source: run.source,
        migration: run.migration,
        attempt: run.attempt,
        findings: run.findings,
    });
    let data = Data {
        events,
        cursor: Some(cursor),
        held,
        flushed: false,
        origin,
    };
    put_data(run, sight, data)
}

fn put_data(run: &Run, sight: Sight, data: Data) -> Step {
    let target = TargetSight {
        next_seq: sight.target.next_seq + 1,
        events: sight.target.events + data.events.len() as u8,
        cursor: data.cursor,
        held: data.held,
        flushed: data.flushed,
        origin: data.origin.or(sight.target.origin),
        gap: false,
    };
    let request = put(run.target, sight.target.next_seq, Cell::Data(data));
    Step::Sent(request, Then::Decide(Sight { target, ..sight }))
}

/// The Fence that names the attempt's target, at the tail that was seen (R17).
pub(super) fn fence(run: &Run, source: SourceSight) -> Request {
    let (target, migration) = (run.target, run.migration);
    put(
        run.source,
        source.next_seq,
        Cell::Fence { target, migration },
    )
}

/// In twins: a document that is switched without a Close.
fn switched(document: &Document, source: Slot, close: Close) -> Request {
    let mut next = document.clone();
    next.version += 1;
    next.active = close.target;
    next.terminated.push((source, close));
    Request::Document(next.into())
}

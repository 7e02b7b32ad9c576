//! The comparison of both streams: beside the copy, and after it.
//!
//! Represents `cutover::verify` and `migration::run::object::copying`.

use crate::production::FINAL_ROUND;
use crate::protocol::Protocol;
use crate::twin::Twin;
use crate::world::{Cell, Data, Event, Flaw, Request, Run, Sight, Slot, Step, Then, World};

impl Protocol {
    /// `compare::follow`: while the copy continues, another lane compares the next source event that was
    /// acknowledged with its outputs. What was found equal is not compared again: the cells of a target
    /// do not change.
    pub(crate) fn compare_beside(&self, world: &World, run: &mut Run) {
        let (from, to) = (run.beside, run.beside + 1);
        let is_sent = acknowledged(run).is_some_and(|acknowledged| from >= acknowledged);
        let equal = is_sent || self.holds(world, run, from, to) == Some(true);
        run.differs = !equal;
        if equal || self.is(Twin::DifferenceHidden) {
            run.beside = to;
        }
    }

    /// Whether there is something to compare beside the copy.
    pub(crate) fn may_compare_beside(&self, world: &World, run: &Run) -> bool {
        let Some(mut end) = acknowledged(run).filter(|_| self.scope.beside && !run.differs) else {
            return false;
        };
        if self.is(Twin::ComparedAsSent) {
            end = sent(run).map_or(end, |(_, cursor)| cursor);
        }
        run.beside < end
            && (usize::from(run.beside) < self.copied(world, run.migration, run.source).len())
    }

    /// What follows from a write to the target, if the comparison has found a difference meanwhile: the
    /// copy ends, whatever the answer was.
    pub(super) fn after_copying(
        &self,
        world: &mut World,
        run: &mut Run,
        done: bool,
    ) -> Option<Step> {
        if !run.differs {
            return None;
        }
        if !done && self.is(Twin::DifferenceHidden) {
            run.differs = false;
            return None;
        }
        Some(self.differs(world, run))
    }

    /// `cutover::verify`: transforms again, reads the target again, and compares what was not compared
    /// yet.
    pub(super) fn verify(&self, world: &mut World, run: &mut Run, sight: Sight, to: u8) -> Step {
        let copied = self.copied(world, run.migration, run.source);
        let Some(images) = copied.get(..usize::from(to)) else {
            // the source was closed and deleted since: reading it fails, and so does the run
            return self.differs(world, run);
        };
        let mut expected = images.concat();
        let unflushed = expected.len();
        if sight.target.flushed {
            let held = self.held(world, run.migration, run.source, usize::from(to));
            expected.extend(held.map(Event::alone));
        }
        let equal = if self.is(Twin::TargetFirstCountCheck) {
            world.stream(run.target).events().count() == expected.len()
        } else {
            ends_with(world, run.target, &expected, to)
                && self.holds_state(world, run, to)
                && (world.stream(run.target).events().skip(unflushed))
                    .take(expected.len() - unflushed)
                    .eq(expected[unflushed..].iter().copied())
                && (self.is(Twin::ComparedBesideAlone) && run.beside > 0
                    || self.holds(world, run, run.beside.min(to), to) == Some(true))
        };
        if !equal {
            return self.differs(world, run);
        }
        if self.scope.beside {
            run.beside = to;
        }
        let before = run.compared.replace((to, expected.len() as u8));
        let is_short = to - before.map_or(0, |(compared, _)| compared) <= FINAL_ROUND;
        if is_short && before != run.compared {
            self.decide(world, run, sight)
        } else {
            self.look(run)
        }
    }

    /// A difference is no surprise where the attempt was decided meanwhile.
    fn differs(&self, world: &mut World, run: &mut Run) -> Step {
        let source = self.look_at_source(world, run);
        if source.fenced {
            return self.next_attempt(world, run, run.source, Vec::new());
        }
        match source.close {
            // R5: the next look decides what follows from it
            Some(close) if close.target != run.target => self.look(run),
            Some(_) => Step::End,
            None => {
                world.flaw(Flaw::VerificationFailed);
                Step::End
            }
        }
    }

    /// R25: whether the state that the target records for its last cursor is the state that a fold from
    /// the beginning has there. R26 decides by what is recorded.
    fn holds_state(&self, world: &World, run: &Run, to: u8) -> bool {
        let recorded = world
            .stream(run.target)
            .cells()
            .find_map(|cell| match cell {
                Cell::Data(data) if data.cursor == Some(to) => Some(data.held),
                _ => None,
            });
        let held = self.held(world, run.migration, run.source, usize::from(to));
        recorded.is_none_or(|recorded| recorded == held) || self.is(Twin::StateUncompared)
    }

    /// Whether the outputs of these source events are where they must be; nothing without such events.
    fn holds(&self, world: &World, run: &Run, from: u8, to: u8) -> Option<bool> {
        let copied = self.copied(world, run.migration, run.source);
        let before = copied.get(..usize::from(from))?.concat().len();
        let expected = copied.get(usize::from(from)..usize::from(to))?.concat();
        let found = world.stream(run.target).events().skip(before);
        Some(found.take(expected.len()).eq(expected))
    }
}

/// The cell of the target that a run waits for, and its cursor.
fn sent(run: &Run) -> Option<(&Data, u8)> {
    match &run.step {
        Step::Sent(Request::Put { stream, cell, .. }, Then::Decide(_)) if *stream == run.target => {
            let Cell::Data(data) = cell else { return None };
            Some((data, data.cursor?))
        }
        _ => None,
    }
}

/// The source events that the target was complete for before the cell that a run waits for.
fn acknowledged(run: &Run) -> Option<u8> {
    let (_, cursor) = sent(run)?;
    Some(cursor.saturating_sub(1))
}

/// Whether the target has as many events as expected, and no more of the first so many source events.
fn ends_with(world: &World, target: Slot, expected: &[Event], to: u8) -> bool {
    let mut found = 0;
    for cell in world.stream(target).cells() {
        let Cell::Data(data) = cell else { continue };
        if found >= expected.len() && !data.events.is_empty() {
            // another may have flushed since
            let is_later = data.flushed || data.cursor.is_some_and(|cursor| cursor > to);
            return found == expected.len() && is_later;
        }
        found += data.events.len();
    }
    found == expected.len()
}

//! The life of a migrator's run: lock, journal, triage, and the last record.
//!
//! Represents `run::process`, `run::triage` and `journal::log` of `migration`: I/O around
//! `JournalState::apply`, which says what may be recorded.

use crate::protocol::{Protocol, reversed};
use crate::scope::Kind;
use crate::twin::Twin;
use crate::world::{
    Answer, Cell, Close, Entry, Migrator, Record, Request, Run, Sight, Slot, Step, Then, World,
};

impl Protocol {
    /// Whether somebody may begin a run: `MigrationService::run`, `resume_run` and `roll_back_run`.
    pub(crate) fn may_begin(&self, world: &World, migration: u8, undo: bool) -> bool {
        let entries = |m: usize| world.journals[m].iter().map(|record| record.entry);
        let ended = |m| entries(m).any(|e| matches!(e, Entry::Completed | Entry::RolledBack));
        let at = usize::from(migration);
        let undoable = self.scope.undo
            && !matches!(self.kind(migration), Kind::Restore(_))
            && entries(at).any(|entry| entry == Entry::Planned);
        world.budget.runs > 0
            && !ended(at)
            && (self.scope.competing || (0..at).all(ended))
            && !(self.scope.lock && world.lock.is_some())
            && (!undo || undoable)
    }

    /// Begins a run.
    pub(crate) fn begin(&self, world: &mut World, at: usize, migration: u8, undo: bool) {
        let id = self.scope.budget.runs - world.budget.runs + 1;
        world.budget.runs -= 1;
        if self.scope.lock {
            world.lock = Some(id);
        }
        world.migrators[at] = Migrator::Running(Run {
            id,
            migration,
            undo,
            told: false,
            epoch: 0,
            records: 0,
            source: 0,
            attempt: 0,
            target: 0,
            findings: false,
            compared: None,
            beside: 0,
            differs: false,
            in_charge: false,
            closed: false,
            remembered: None,
            step: Step::Claim,
        });
    }

    /// The run's next read, and what follows from it.
    pub(crate) fn read(&self, world: &mut World, run: &mut Run) {
        run.step = match std::mem::replace(&mut run.step, Step::End) {
            Step::Claim => self.claim(world, run),
            Step::SettleRecord(request) => self.settle_record(world, run, request),
            Step::Triage => self.triage(world, run),
            Step::LookWhetherBegun => self.look_whether_begun(world, run),
            Step::EnsureInCharge(request, then) => self.ensure_in_charge(world, run, request, then),
            step => self.look_and_act(world, run, step),
        };
    }

    /// What follows from the answer to a write.
    pub(crate) fn answered(&self, world: &mut World, run: &mut Run, answer: Answer) {
        let Step::Sent(request, then) = std::mem::replace(&mut run.step, Step::End) else {
            return;
        };
        if matches!(then, Then::Decide(_))
            && let Some(step) = self.after_copying(world, run, answer == Answer::Done)
        {
            run.step = step;
            return;
        }
        run.step = match (then, answer) {
            (Then::Recorded, Answer::Done) => self.recorded(world, run, &request),
            (Then::Recorded, _) => Step::SettleRecord(request),
            (Then::Decide(sight), Answer::Done) => {
                run.closed |= sight.source.close.is_some();
                self.decide(world, run, sight)
            }
            (Then::Look | Then::Decide(_), _) => self.look(run),
            (Then::Followed, Answer::Done) => self.record(world, run, Entry::Completed),
            (Then::Followed, _) => Step::FollowClose,
            (Then::Send(next), Answer::Done) => Step::Sent(*next, Then::Look),
            (Then::Send(_), _) => self.look(run),
            // a discard may be repeated
            (then, Answer::Unknown) => Step::Sent(request, then),
            (Then::EnsureInCharge, _) => Step::EnsureInCharge(None, Then::Look),
            (Then::LookWhetherBegun, _) => Step::LookWhetherBegun,
            (Then::Record(entry), _) => self.record(world, run, entry),
            (Then::End, _) => Step::End,
        };
    }

    /// `Journal::claim`: claims the next epoch, after all records of the journal.
    fn claim(&self, world: &World, run: &Run) -> Step {
        let journal = &world.journals[usize::from(run.migration)];
        let state = self.names.journal(journal);
        let Some(state) = state.filter(|state| state.outcome.is_none()) else {
            return Step::End;
        };
        let epoch = state.epoch.0 as u8 + 1;
        self.put_record(run, journal, epoch, Entry::Claim)
    }

    /// `Journal::append`: in the claimed epoch and in no other, after what this run has read.
    pub(crate) fn record(&self, world: &World, run: &Run, entry: Entry) -> Step {
        let journal = &world.journals[usize::from(run.migration)];
        let read = &journal[..usize::from(run.records)];
        let in_charge = self
            .names
            .journal(read)
            .is_some_and(|state| state.epoch.0 == u64::from(run.epoch) && state.outcome.is_none());
        if in_charge {
            self.put_record(run, read, run.epoch, entry)
        } else {
            Step::End
        }
    }

    fn put_record(&self, run: &Run, after: &[Record], epoch: u8, entry: Entry) -> Step {
        let record = Record {
            epoch,
            run: run.id,
            entry,
        };
        let with: Vec<_> = after.iter().copied().chain([record]).collect();
        if self.names.journal(&with).is_none() {
            return Step::End;
        }
        let request = Request::Journal {
            migration: run.migration,
            number: after.len() as u8,
            record,
        };
        Step::Sent(request, Then::Recorded)
    }

    /// Reads back which record the journal has under the number.
    fn settle_record(&self, world: &World, run: &mut Run, request: Request) -> Step {
        let Request::Journal { number, record, .. } = &request else {
            return Step::End;
        };
        let journal = &world.journals[usize::from(run.migration)];
        match journal.get(usize::from(*number)) {
            Some(found) if found == record => self.recorded(world, run, &request),
            Some(_) => self.not_recorded(world, run, &request),
            None => Step::Sent(request, Then::Recorded),
        }
    }

    /// The number has another record: sends the same entry again behind it, if this run is still
    /// the holder.
    fn not_recorded(&self, world: &World, run: &mut Run, request: &Request) -> Step {
        let Request::Journal { record, .. } = request else {
            return Step::End;
        };
        if record.entry == Entry::Claim {
            return Step::Claim;
        }
        run.records = world.journals[usize::from(run.migration)].len() as u8;
        self.record(world, run, record.entry)
    }

    fn recorded(&self, world: &World, run: &mut Run, request: &Request) -> Step {
        let Request::Journal { number, record, .. } = request else {
            return Step::End;
        };
        run.records = number + 1;
        match record.entry {
            Entry::Claim => {
                run.epoch = record.epoch;
                let read = usize::from(run.records);
                let journal = &world.journals[usize::from(run.migration)][..read];
                let Some(state) = self.names.journal(journal) else {
                    return Step::End;
                };
                let rolling_back = state.rolling_back.is_some();
                let asked = run.undo;
                // once it is being undone, it can only be undone, or refused
                run.told |= rolling_back && !asked;
                run.undo |= rolling_back;
                match (asked && !rolling_back, state.plan.is_some()) {
                    (true, _) => self.record(world, run, Entry::RollingBack),
                    (false, false) => self.record(world, run, Entry::Planned),
                    (false, true) => Step::Triage,
                }
            }
            // a run that failed undoes the attempt that it was at
            Entry::RollingBack if run.target != 0 && !run.told => self.look(run),
            Entry::Planned | Entry::RollingBack => Step::Triage,
            Entry::RollBackRefused if run.told => {
                (run.undo, run.told) = (false, false);
                Step::Triage
            }
            Entry::RollBackRefused | Entry::Completed | Entry::RolledBack => Step::End,
        }
    }

    /// `triage`, and its counterpart `UndoRun::undo_object`: brings the object's
    /// document up to date, finds out whether its source is closed, and clears away what earlier
    /// holders have left.
    fn triage(&self, world: &mut World, run: &mut Run) -> Step {
        self.help(world);
        let own = |(_, close): &&(Slot, Close)| close.migration == run.migration;
        if let Some((source, close)) = world.document.terminated.iter().find(own) {
            (run.source, run.target) = (*source, close.target);
            return if run.undo {
                self.record(world, run, Entry::RollBackRefused)
            } else {
                Step::FollowClose
            };
        }
        let source = world.document.active;
        if self.kind(run.migration) == Kind::Reverse && reversed(world, source).is_none() {
            return Step::End;
        }
        let mut left = Vec::new();
        if run.epoch > 1 {
            left = self.superseded(world, run.migration);
        }
        self.next_attempt(world, run, source, left)
    }

    /// `Attempt::current`: the number of the attempt is the number of the migration's Fences.
    pub(super) fn next_attempt(
        &self,
        world: &World,
        run: &mut Run,
        source: Slot,
        mut left: Vec<Slot>,
    ) -> Step {
        let attempt = self.own_fences(world, run.migration, source);
        let target = |attempt| self.names.target(run.migration, source, attempt);
        left.extend((0..attempt).filter_map(target));
        let Some(target) = target(attempt) else {
            // the scope ends here
            return Step::End;
        };
        (run.source, run.attempt, run.target) = (source, attempt, target);
        (run.compared, run.beside, run.differs) = (None, 0, false);
        run.in_charge = self.is(Twin::JournalReadInAdvance);
        let then = match (run.undo, attempt > 0) {
            (true, _) => Then::LookWhetherBegun,
            (false, true) => Then::EnsureInCharge,
            (false, false) => Then::Look,
        };
        match (left.is_empty(), run.undo) {
            (false, _) => Step::Sent(Request::Discard(left), then),
            (true, true) => Step::LookWhetherBegun,
            (true, false) => self.look(run),
        }
    }

    /// `roll_back::discard_superseded`: the targets that this migration had begun at streams which
    /// others have closed since.
    fn superseded(&self, world: &World, migration: u8) -> Vec<Slot> {
        let target = |(stream, close): &(Slot, Close)| {
            let attempt = self.own_fences(world, migration, *stream);
            let target = self.names.target(migration, *stream, attempt)?;
            let is_left = target != close.target && world.stream(target).next_seq() > 0;
            is_left.then_some(target)
        };
        world
            .document
            .terminated
            .iter()
            .filter_map(target)
            .collect()
    }

    fn own_fences(&self, world: &World, migration: u8, stream: Slot) -> u8 {
        let own =
            |cell: &&Cell| matches!(cell, Cell::Fence { migration: m, .. } if *m == migration);
        self.control_cells(world, stream).filter(own).count() as u8
    }

    /// `chain::help`: makes the document name the chain's end (R12).
    pub(super) fn help(&self, world: &mut World) {
        let (closes, _) = world.chain(world.document.active);
        if let Some(next) = self.names.follow(&world.document, &closes) {
            self.apply(world, &Request::Document(next.into()));
        }
    }

    /// `ObjectRun::verify`: the journal is read at the same time as both streams ([R24](esm_core::protocol#r24)).
    /// Here it is read before them, which is the earliest.
    pub(super) fn ensure_in_charge_and_verify(
        &self,
        world: &World,
        run: &mut Run,
        sight: Sight,
        to: u8,
    ) -> Step {
        if self.is_taken_over(world, run) {
            return Step::End;
        }
        run.in_charge = true;
        Step::Verify(sight, to)
    }

    fn is_taken_over(&self, world: &World, run: &Run) -> bool {
        let read = usize::from(run.records);
        let records = &world.journals[usize::from(run.migration)][read..];
        let taken_over = records.iter().any(|record| record.epoch != run.epoch);
        taken_over && !self.is(Twin::TakeoverUnseen)
    }

    /// `Context::ensure_in_charge`: no record of another epoch came since this run read the journal.
    fn ensure_in_charge(
        &self,
        world: &World,
        run: &Run,
        request: Option<Request>,
        then: Then,
    ) -> Step {
        match (self.is_taken_over(world, run), request) {
            (true, _) => Step::End,
            (false, Some(request)) => Step::Sent(request, then),
            (false, None) => self.look(run),
        }
    }
}

//! Everything that may happen next, and what it does to the world.

use crate::actor::sent;
use crate::protocol::Protocol;
use crate::scope::Kind;
use crate::world::{
    Answer, Data, Entry, Migrator, Part, Reader, Request, Run, Slot, Step, World, Writer,
    WriterStep,
};

/// One thing that happens. Between any two of them anything else may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A migrator begins a run: `MigrationService::run`, `resume_run` or `roll_back_run`.
    Begin {
        /// The migrator.
        at: usize,
        /// The migration.
        migration: u8,
        /// Whether to undo it.
        undo: bool,
    },
    /// A migrator reads once, and decides.
    Migrate(usize),
    /// A run fails before the pivot, and undoes what it did: `with_rollback`.
    Fail(usize),
    /// A run receives the command to undo what it did: `roll_back` of its handle.
    Tell(usize),
    /// A copier finds a schema retired that the target's first cell does not name ([R11](esm_core::protocol#r11)), and so
    /// writes no more to that target.
    FindRetired(usize),
    /// A run has waited for the end of the fold's window as long as it may ([R26](esm_core::protocol#r26)).
    StopWaiting(usize),
    /// Another lane of a run compares an event that was copied, while the next is copied.
    Compare(usize),
    /// The cell that a copier writes has another content than it should.
    Damage(usize),
    /// The lock's lease expires: its holder continues, and another run may begin.
    Expire,
    /// A writer loads the object: `ObjectClient::load`.
    Load(usize),
    /// A writer begins its next append: `ObjectClient::append`.
    Append(usize),
    /// A writer reads once, and continues.
    Write(usize),
    /// A writer that has met a Close reads this.
    Ask(usize, Part),
    /// A writer mirrors what it has appended to this stream ([R16](esm_core::protocol#r16)).
    Mirror(usize, Slot),
    /// A reader reads the end of the source ([R15](esm_core::protocol#r15)).
    ReadHead,
    /// The reader reads this target.
    ReadTarget(Slot),
    /// The closed stream is deleted ([R22](esm_core::protocol#r22)).
    Delete(Slot),
    /// A write takes effect or is refused, and its sender learns which.
    Deliver(Actor),
    /// A write takes effect or is refused, and the answer is lost.
    LoseAnswer(Actor),
    /// The sender gives up waiting; the write may still take effect at any later time.
    GiveUp(Actor),
    /// The process is killed. A write that it has sent may still take effect.
    Crash(Actor),
    /// A write takes effect, or is refused, whose sender no longer waits.
    Arrive(usize),
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A migrator.
    Migrator(usize),
    /// A writer.
    Writer(usize),
}

impl Protocol {
    /// Everything that may happen next.
    pub(crate) fn possible(&self, world: &World, actions: &mut Vec<Action>) {
        for at in 0..world.migrators.len() {
            self.possible_of_migrator(world, at, actions);
        }
        for at in 0..world.writers.len() {
            self.possible_of_writer(world, at, actions);
        }
        if world.lock.is_some() && world.budget.expiries > 0 {
            actions.push(Action::Expire);
        }
        actions.extend((0..world.late.len()).map(Action::Arrive));
        if self.scope.dual_read {
            match world.reader {
                Reader::Idle => actions.push(Action::ReadHead),
                Reader::Head { stream, .. } => {
                    actions.extend(targets_of(world, stream).map(Action::ReadTarget));
                }
                Reader::Read(_) => {}
            }
        }
        if self.scope.deletion {
            let left = world.document.terminated.iter().map(|(stream, _)| *stream);
            let kept = left.filter(|stream| {
                let stream = world.stream(*stream);
                !stream.is_deleted() && stream.next_revision() > 0
            });
            actions.extend(kept.map(Action::Delete));
        }
    }

    fn possible_of_migrator(&self, world: &World, at: usize, actions: &mut Vec<Action>) {
        let run = match &world.migrators[at] {
            Migrator::Running(run) => run,
            // those that are idle are alike
            Migrator::Idle if at > 0 && world.migrators[at - 1] == Migrator::Idle => return,
            Migrator::Idle => {
                for migration in 0..self.scope.migrations.len() as u8 {
                    let undo = [false, true].into_iter();
                    let may = undo.filter(|undo| self.may_begin(world, migration, *undo));
                    actions.extend(may.map(|undo| Action::Begin {
                        at,
                        migration,
                        undo,
                    }));
                }
                return;
            }
        };
        let budget = world.budget;
        match &run.step {
            Step::Sent(..) => self.possible_answers(world, Actor::Migrator(at), actions),
            Step::WaitForWindow => {
                actions.extend([Action::Migrate(at), Action::StopWaiting(at)]);
            }
            _ => actions.push(Action::Migrate(at)),
        }
        if budget.findings > 0 && !run.findings && is_copying_on(run) {
            actions.push(Action::FindRetired(at));
        }
        if self.may_compare_beside(world, run) {
            actions.push(Action::Compare(at));
        }
        let holds = |data: &Data| !data.events.is_empty() || data.held.is_some();
        if budget.damages > 0 && run.step.copied().is_some_and(holds) {
            actions.push(Action::Damage(at));
        }
        let looks = matches!(
            run.step,
            Step::LookAtTarget | Step::LookAtSource(_) | Step::Verify(..) | Step::WaitForWindow
        );
        let undoable = !run.undo && !matches!(self.kind(run.migration), Kind::Restore(_));
        if budget.failures > 0 && looks && undoable {
            actions.push(Action::Fail(at));
        }
        if budget.commands > 0 && looks && undoable {
            actions.push(Action::Tell(at));
        }
        if budget.crashes > 0 {
            actions.push(Action::Crash(Actor::Migrator(at)));
        }
    }

    fn possible_of_writer(&self, world: &World, at: usize, actions: &mut Vec<Action>) {
        let writer = &world.writers[at];
        let is_through = self.next_append(world, at).is_none();
        match &writer.step {
            WriterStep::Idle | WriterStep::MayMirror { .. } if !is_through => {
                match writer.route {
                    Some(_) => actions.push(Action::Append(at)),
                    None => actions.push(Action::Load(at)),
                }
                if writer.route.is_some() && is_stale(world, writer) {
                    actions.push(Action::Load(at));
                }
            }
            _ => {}
        }
        match &writer.step {
            WriterStep::Idle => return,
            WriterStep::MayMirror { stream, .. } => {
                let possible = targets_of(world, *stream)
                    .filter(|target| self.mirror(world, &writer.step, *target).is_some());
                actions.extend(possible.map(|target| Action::Mirror(at, target)));
                return;
            }
            WriterStep::Settle(_) | WriterStep::ReadBack(_) | WriterStep::Find(_) => {
                actions.push(Action::Write(at));
            }
            WriterStep::Behind(behind) => {
                let at_once = if self.scope.any_order { 3 } else { 1 };
                let parts = behind.missing().take(at_once);
                actions.extend(parts.map(|part| Action::Ask(at, part)));
            }
            _ => self.possible_answers(world, Actor::Writer(at), actions),
        }
        if world.budget.crashes > 0 {
            actions.push(Action::Crash(Actor::Writer(at)));
        }
    }

    fn possible_answers(&self, world: &World, actor: Actor, actions: &mut Vec<Action>) {
        actions.push(Action::Deliver(actor));
        if world.budget.losses > 0 {
            actions.extend([Action::LoseAnswer(actor), Action::GiveUp(actor)]);
        }
    }

    /// The world after that.
    pub(crate) fn after(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Begin {
                at,
                migration,
                undo,
            } => self.begin(&mut next, at, migration, undo),
            Action::Migrate(at) => {
                self.run(&mut next, at, |world, run| self.read(world, run))?;
            }
            Action::Fail(at) => {
                next.budget.failures -= 1;
                self.run(&mut next, at, |world, run| {
                    self.turn_back(world, run, false)
                })?;
            }
            Action::Tell(at) => {
                next.budget.commands -= 1;
                self.run(&mut next, at, |world, run| self.turn_back(world, run, true))?;
            }
            Action::FindRetired(at) => {
                next.budget.findings -= 1;
                self.run(&mut next, at, |_, run| {
                    run.findings = true;
                    run.step = self.look(run);
                })?;
            }
            Action::StopWaiting(at) => {
                self.run(&mut next, at, |_, run| run.step = Step::End)?;
            }
            Action::Compare(at) => {
                self.run(&mut next, at, |world, run| self.compare_beside(world, run))?;
            }
            Action::Damage(at) => {
                next.budget.damages -= 1;
                self.run(&mut next, at, |_, run| run.step.damage())?;
            }
            Action::Expire => {
                next.budget.expiries -= 1;
                next.lock = None;
            }
            Action::Load(at) => next.writers[at].route = Some(self.load(&mut next)?),
            Action::Append(at) => next.writers[at].step = self.append(world, at)?,
            Action::Write(at) => {
                let mut writer = next.writers[at].clone();
                self.writer_reads(&mut next, &mut writer);
                next.writers[at] = writer;
            }
            Action::Ask(at, part) => {
                let mut writer = next.writers[at].clone();
                self.ask(&next, &mut writer, part);
                next.writers[at] = writer;
            }
            Action::Mirror(at, target) => {
                let request = self.mirror(world, &world.writers[at].step, target)?;
                next.writers[at].step = WriterStep::Mirroring(request);
            }
            Action::ReadHead => self.read_head(&mut next),
            Action::ReadTarget(target) => self.read_target(&mut next, target),
            Action::Delete(stream) => self.delete(&mut next, stream),
            Action::Deliver(actor) => {
                let request = waits_for(&next, actor)?;
                let done = self.apply(&mut next, &request);
                let answer = if done { Answer::Done } else { Answer::Refused };
                self.answer(&mut next, actor, answer)?;
            }
            Action::LoseAnswer(actor) => {
                next.budget.losses -= 1;
                let request = waits_for(&next, actor)?;
                self.apply(&mut next, &request);
                self.answer(&mut next, actor, Answer::Unknown)?;
            }
            Action::GiveUp(actor) => {
                next.budget.losses -= 1;
                let request = waits_for(&next, actor)?;
                self.answer(&mut next, actor, Answer::Unknown)?;
                next.late.push(request);
            }
            Action::Crash(actor) => {
                next.budget.crashes -= 1;
                next.late.extend(waits_for(&next, actor));
                match actor {
                    Actor::Migrator(at) => next.migrators[at] = Migrator::Idle,
                    Actor::Writer(at) => crash_of_writer(&mut next.writers[at]),
                }
            }
            Action::Arrive(at) => {
                let request = next.late.remove(at);
                self.apply(&mut next, &request);
            }
        }
        next.late.sort();
        next.migrators.sort();
        (next != *world).then_some(next)
    }

    fn turn_back(&self, world: &World, run: &mut Run, told: bool) {
        (run.undo, run.told) = (true, told);
        run.step = self.record(world, run, Entry::RollingBack);
    }

    fn answer(&self, world: &mut World, actor: Actor, answer: Answer) -> Option<()> {
        match actor {
            Actor::Migrator(at) => {
                self.run(world, at, |world, run| self.answered(world, run, answer))
            }
            Actor::Writer(at) => {
                let mut writer = world.writers[at].clone();
                self.writer_answered(world, &mut writer, answer);
                world.writers[at] = writer;
                Some(())
            }
        }
    }

    /// Lets a run continue. A run that is over releases the lock if it still holds it.
    fn run(
        &self,
        world: &mut World,
        at: usize,
        go_on: impl FnOnce(&mut World, &mut Run),
    ) -> Option<()> {
        let Migrator::Running(mut run) =
            std::mem::replace(&mut world.migrators[at], Migrator::Idle)
        else {
            return None;
        };
        go_on(world, &mut run);
        if run.step != Step::End {
            world.migrators[at] = Migrator::Running(run);
        } else if world.lock == Some(run.id) {
            world.lock = None;
        }
        Some(())
    }
}

/// Whether a run is about to write a cell of its target that is not the first.
fn is_copying_on(run: &Run) -> bool {
    match &run.step {
        Step::Sent(Request::Put { stream, seq, .. }, _) => *stream == run.target && *seq > 0,
        _ => false,
    }
}

fn waits_for(world: &World, actor: Actor) -> Option<Request> {
    match actor {
        Actor::Migrator(at) => match &world.migrators[at] {
            Migrator::Running(Run {
                step: Step::Sent(request, _),
                ..
            }) => Some(request.clone()),
            _ => None,
        },
        Actor::Writer(at) => sent(&world.writers[at].step),
    }
}

/// What was under way is forgotten: nobody will retry it.
fn crash_of_writer(writer: &mut Writer) {
    if !matches!(writer.step, WriterStep::Mirroring(_)) {
        writer.appends += 1;
    }
    writer.route = None;
    writer.step = WriterStep::Idle;
}

fn is_stale(world: &World, writer: &Writer) -> bool {
    let stream = world.document.active;
    writer.route.is_none_or(|route| {
        route.stream != stream || route.next_seq != world.stream(stream).next_seq()
    })
}

fn targets_of(world: &World, source: Slot) -> impl Iterator<Item = Slot> {
    (0..world.streams.len() as Slot).filter(move |slot| {
        let origin = world.stream(*slot).origin();
        origin.is_some_and(|origin| origin.source == source)
    })
}

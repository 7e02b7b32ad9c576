//! What has been read but not written: a lane an object, all of them within one budget.
//!
//! Decides only what to write next, and does no I/O, so that its bounds can be tested.

use std::collections::{HashMap, VecDeque};

use esm_core::id::ObjectId;

/// A line that was read: its text, which takes a third of the memory of the event that it is.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) line: u64,
    pub(crate) text: Box<str>,
}

impl Pending {
    /// About how much memory it takes.
    fn cost(&self) -> u64 {
        self.text.len() as u64 + 48
    }
}

/// Consecutive events of one object, to be written at once.
#[derive(Debug)]
pub(crate) struct Batch<S> {
    pub(crate) object: ObjectId,
    /// The sequence of the first event.
    pub(crate) first: u64,
    pub(crate) events: Vec<Pending>,
    /// What is known of the object in the store, from the batch before.
    pub(crate) state: Option<S>,
    cost: u64,
}

/// How much more memory lines take while they are written: as events, as a cell, compressed.
const WRITING: u64 = 4;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneLimits {
    /// A lane with that many events is written.
    pub(crate) batch_events: usize,
    /// A lane with that many bytes of events is written.
    pub(crate) batch_bytes: u64,
    /// All lanes together, what is being written included; about bytes.
    pub(crate) budget: u64,
    /// Number of objects that are remembered.
    pub(crate) lanes: usize,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self {
            batch_events: 500,
            batch_bytes: 1 << 20,
            budget: 24 << 20,
            lanes: 20_000,
        }
    }
}

/// The lanes of all objects; `S` is what the writer remembers of an object.
#[derive(Debug)]
pub(crate) struct Lanes<S> {
    limits: LaneLimits,
    lanes: HashMap<ObjectId, Lane<S>>,
    /// Objects that are to be written next, in this order.
    queue: VecDeque<ObjectId>,
    /// Cost of what waits, of the part of it that is queued, and of what is being written.
    waiting: u64,
    queued: u64,
    writing: u64,
    /// Number of lanes that go once they are written.
    leaving: usize,
    /// Number of lanes in which several batches wait.
    crowded: usize,
    clock: u64,
}

#[derive(Debug)]
struct Lane<S> {
    state: Option<S>,
    first: u64,
    events: VecDeque<Pending>,
    bytes: u64,
    cost: u64,
    touched: u64,
    queued: bool,
    /// Whether it is written to its end, or only as far as batches are full.
    drain: bool,
    crowded: bool,
    busy: bool,
    leaving: bool,
}

impl<S> Lane<S> {
    fn new() -> Self {
        Self {
            state: None,
            first: 0,
            events: VecDeque::new(),
            bytes: 0,
            cost: 0,
            touched: 0,
            queued: false,
            drain: false,
            crowded: false,
            busy: false,
            leaving: false,
        }
    }

    fn is_full(&self, limits: &LaneLimits) -> bool {
        self.events.len() >= limits.batch_events || self.bytes >= limits.batch_bytes
    }

    fn is_crowded(&self, limits: &LaneLimits) -> bool {
        self.events.len() >= 4 * limits.batch_events || self.bytes >= 4 * limits.batch_bytes
    }
}

impl<S> Lanes<S> {
    /// No lanes.
    pub(crate) fn new(limits: LaneLimits) -> Self {
        Self {
            limits,
            lanes: HashMap::new(),
            queue: VecDeque::new(),
            waiting: 0,
            queued: 0,
            writing: 0,
            leaving: 0,
            crowded: 0,
            clock: 0,
        }
    }

    /// Adds the next event of an object.
    pub(crate) fn push(&mut self, object: &ObjectId, sequence: u64, pending: Pending) {
        self.clock += 1;
        let limits = self.limits;
        if !self.lanes.contains_key(object) {
            self.lanes.insert(object.clone(), Lane::new());
        }
        let Some(lane) = self.lanes.get_mut(object) else {
            return;
        };
        if lane.events.is_empty() {
            lane.first = sequence;
        }
        let cost = pending.cost();
        lane.bytes += pending.text.len() as u64;
        lane.cost += cost;
        lane.touched = self.clock;
        if std::mem::take(&mut lane.leaving) {
            self.leaving -= 1;
        }
        lane.events.push_back(pending);
        self.waiting += cost;
        if !lane.crowded && lane.is_crowded(&limits) {
            lane.crowded = true;
            self.crowded += 1;
        }
        let full = lane.is_full(&limits);
        if lane.queued {
            self.queued += cost;
        } else if full {
            lane.queued = true;
            self.queued += lane.cost;
            self.queue.push_back(object.clone());
        }
        if self.waiting - self.queued > limits.budget / 2 {
            self.relieve();
        }
        if self.lanes.len() - self.leaving > limits.lanes / 4 * 3 {
            self.forget_oldest();
        }
    }

    /// Whether more may be read. A single object may wait for its writer with a few batches, not
    /// with all of the budget.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting + self.writing < self.limits.budget
            && self.lanes.len() < self.limits.lanes
            && self.crowded == 0
    }

    /// Queues everything: the input has ended.
    pub(crate) fn queue_all(&mut self) {
        let mut rest: Vec<_> = self
            .lanes
            .iter_mut()
            .filter(|(_, lane)| !lane.queued && !lane.events.is_empty())
            .map(|(object, lane)| {
                lane.queued = true;
                (lane.touched, object.clone())
            })
            .collect();
        rest.sort();
        self.lanes.values_mut().for_each(|lane| lane.drain = true);
        self.queued = self.waiting;
        self.queue
            .extend(rest.into_iter().map(|(_, object)| object));
    }

    /// The next batch to write, if there is one. An object's batches come one at a time: the next
    /// after [`written`](Self::written).
    pub(crate) fn next_batch(&mut self) -> Option<Batch<S>> {
        if self.writing > self.limits.budget / 2 {
            return None;
        }
        for _ in 0..self.queue.len() {
            let object = self.queue.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&object) else {
                continue;
            };
            if lane.busy {
                self.queue.push_back(object);
                continue;
            }
            let Some(batch) = take(&object, lane, &self.limits) else {
                lane.queued = false;
                continue;
            };
            self.waiting -= batch.cost;
            self.queued -= batch.cost;
            self.writing += WRITING * batch.cost;
            if lane.crowded && !lane.is_crowded(&self.limits) {
                lane.crowded = false;
                self.crowded -= 1;
            }
            // a long stream becomes full cells, also where it is written faster than read
            match lane.is_full(&self.limits) || lane.drain && !lane.events.is_empty() {
                true => self.queue.push_back(object),
                false => {
                    lane.queued = false;
                    lane.drain = false;
                    self.queued -= lane.cost;
                }
            }
            return Some(batch);
        }
        None
    }

    /// A batch was written, and this is what is known of the object now.
    pub(crate) fn written(&mut self, object: &ObjectId, cost: u64, state: S) {
        self.writing -= WRITING * cost;
        let Some(lane) = self.lanes.get_mut(object) else {
            return;
        };
        lane.busy = false;
        lane.state = Some(state);
        if lane.leaving && lane.events.is_empty() {
            self.leaving -= 1;
            self.lanes.remove(object);
        }
    }

    /// Queues the fattest lanes until only a quarter of the budget waits unqueued.
    fn relieve(&mut self) {
        let mut idle: Vec<_> = self
            .lanes
            .iter_mut()
            .filter(|(_, lane)| !lane.queued && !lane.events.is_empty())
            .collect();
        idle.sort_by_key(|(_, lane)| (std::cmp::Reverse(lane.cost), lane.touched));
        for (object, lane) in idle {
            if self.waiting - self.queued <= self.limits.budget / 4 {
                break;
            }
            lane.queued = true;
            lane.drain = true;
            self.queued += lane.cost;
            self.queue.push_back(object.clone());
        }
    }

    /// Lets go of the objects that nothing was read of for the longest time, a quarter of all.
    fn forget_oldest(&mut self) {
        let mut oldest: Vec<_> = self
            .lanes
            .iter()
            .filter(|(_, lane)| !lane.leaving)
            .map(|(object, lane)| (lane.touched, object.clone()))
            .collect();
        oldest.sort();
        for (_, object) in oldest.into_iter().take(self.limits.lanes / 4 + 1) {
            let Some(lane) = self.lanes.get_mut(&object) else {
                continue;
            };
            if lane.events.is_empty() && !lane.busy {
                self.lanes.remove(&object);
                continue;
            }
            lane.leaving = true;
            lane.drain = true;
            self.leaving += 1;
            if !lane.queued && !lane.events.is_empty() {
                lane.queued = true;
                self.queued += lane.cost;
                self.queue.push_back(object);
            }
        }
    }
}

impl<S> Batch<S> {
    /// What it takes of the budget.
    pub(crate) fn cost(&self) -> u64 {
        self.cost
    }
}

/// Takes as many events as one write may hold.
fn take<S>(object: &ObjectId, lane: &mut Lane<S>, limits: &LaneLimits) -> Option<Batch<S>> {
    let mut bytes = 0;
    let count = lane
        .events
        .iter()
        .take(limits.batch_events)
        .take_while(|pending| {
            bytes += pending.text.len() as u64;
            bytes <= limits.batch_bytes
        })
        .count()
        // the first is always taken, however large
        .max(1)
        .min(lane.events.len());
    if count == 0 {
        return None;
    }
    let events: Vec<_> = lane.events.drain(..count).collect();
    let cost: u64 = events.iter().map(Pending::cost).sum();
    lane.bytes -= events.iter().map(|p| p.text.len() as u64).sum::<u64>();
    lane.cost -= cost;
    lane.busy = true;
    let batch = Batch {
        object: object.clone(),
        first: lane.first,
        events,
        state: lane.state.take(),
        cost,
    };
    lane.first += count as u64;
    Some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use esm_core::Result;

    fn pending(line: u64) -> Result<Pending> {
        let text = "x".repeat(1000).into();
        Ok(Pending { line, text })
    }

    fn object(number: u64) -> Result<ObjectId> {
        format!("order/{number}").parse()
    }

    fn limits() -> LaneLimits {
        LaneLimits {
            batch_events: 10,
            batch_bytes: 1 << 20,
            budget: 200_000,
            lanes: 50,
        }
    }

    #[test]
    fn a_long_stream_is_cut_into_full_batches_in_order() -> Result<()> {
        let mut lanes = Lanes::<()>::new(limits());
        let a = object(1)?;
        let mut firsts = Vec::new();
        for sequence in 0..35 {
            lanes.push(&a, sequence, pending(sequence)?);
            if let Some(batch) = lanes.next_batch() {
                firsts.push((batch.first, batch.events.len()));
                lanes.written(&a, batch.cost(), ());
            }
        }
        lanes.queue_all();
        while let Some(batch) = lanes.next_batch() {
            firsts.push((batch.first, batch.events.len()));
            lanes.written(&a, batch.cost(), ());
        }
        assert_eq!(firsts, [(0, 10), (10, 10), (20, 10), (30, 5)]);
        Ok(())
    }

    #[test]
    fn an_object_has_one_batch_at_a_time() -> Result<()> {
        let mut lanes = Lanes::new(limits());
        let a = object(1)?;
        for sequence in 0..25 {
            lanes.push(&a, sequence, pending(sequence)?);
        }
        let first = lanes.next_batch().unwrap();
        assert!(lanes.next_batch().is_none());
        lanes.written(&a, first.cost(), "state");
        let second = lanes.next_batch().unwrap();
        assert_eq!((second.first, second.state), (10, Some("state")));
        Ok(())
    }

    #[test]
    fn interleaved_objects_stay_within_the_budget_and_nothing_is_left_behind() -> Result<()> {
        let mut lanes = Lanes::<()>::new(limits());
        let (mut written, mut most) = (0, 0);
        let mut write = |lanes: &mut Lanes<()>| match lanes.next_batch() {
            None => false,
            Some(batch) => {
                written += batch.events.len();
                lanes.written(&batch.object, batch.cost(), ());
                true
            }
        };
        for round in 0..20 {
            for number in 0..200 {
                while !lanes.has_room() {
                    assert!(write(&mut lanes), "no room, and nothing to write");
                }
                lanes.push(&object(number)?, round, pending(1)?);
                most = most.max(lanes.waiting + lanes.writing);
            }
        }
        lanes.queue_all();
        while write(&mut lanes) {}
        assert_eq!(written, 4_000);
        assert!(most < limits().budget + 50_000, "{most}");
        assert!(lanes.lanes.len() <= limits().lanes);
        assert_eq!((lanes.waiting, lanes.writing), (0, 0));
        Ok(())
    }
}

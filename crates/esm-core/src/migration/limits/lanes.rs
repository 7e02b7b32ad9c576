//! The lanes of a run: one for each object under way, and those that compare an object meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The lanes that are taken, and how many of them wait.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    taken: AtomicUsize,
    waiting: AtomicUsize,
}

/// A lane, until it is dropped.
#[derive(Debug)]
pub(crate) struct LaneTaken<'a>(&'a Lanes);

/// A lane whose object is ready and waits for a command or a time, until it is dropped.
#[derive(Debug)]
pub(crate) struct LaneWaits(Arc<Lanes>);

impl Lanes {
    /// Takes a lane for an object. The caller bounds the number of objects.
    pub(crate) fn take(&self) -> LaneTaken<'_> {
        self.taken.fetch_add(1, Ordering::AcqRel);
        LaneTaken(self)
    }

    /// Takes another lane, if fewer than this many are taken.
    pub(crate) fn spare(&self, allowed: usize) -> Option<LaneTaken<'_>> {
        let another = |taken| (taken < allowed).then_some(taken + 1);
        let taken = (self.taken).fetch_update(Ordering::AcqRel, Ordering::Acquire, another);
        taken.ok().map(|_| LaneTaken(self))
    }

    /// Notes that the object of a lane waits.
    pub(crate) fn wait(self: &Arc<Self>) -> LaneWaits {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        LaneWaits(Arc::clone(self))
    }

    /// Whether all objects under way wait.
    pub(crate) fn all_wait(&self) -> bool {
        self.waiting.load(Ordering::Acquire) >= self.taken.load(Ordering::Acquire)
    }
}

impl Drop for LaneTaken<'_> {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for LaneWaits {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_come_first_and_the_rest_is_spare() {
        let lanes = Lanes::default();
        let objects = [lanes.take(), lanes.take()];
        assert!(lanes.spare(2).is_none());
        let spare = lanes.spare(3);
        assert!(spare.is_some() && lanes.spare(3).is_none());
        drop((objects, spare));
        assert!(lanes.spare(1).is_some());
    }

    #[test]
    fn a_run_waits_when_all_its_objects_do() {
        let lanes = Arc::new(Lanes::default());
        let (first, _second) = (lanes.take(), lanes.take());
        let _waits = lanes.wait();
        assert!(!lanes.all_wait());
        drop(first);
        assert!(lanes.all_wait());
        let _third = lanes.take();
        assert!(!lanes.all_wait());
    }
}

//! The lanes of a run: one for each object under way, and those that compare an object meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The lanes that are taken.
#[derive(Debug, Default)]
pub(crate) struct Lanes(AtomicUsize);

/// A lane, until it is dropped.
#[derive(Debug)]
pub(crate) struct LaneTaken<'a>(&'a Lanes);

impl Lanes {
    /// Takes a lane for an object. The caller bounds the number of objects.
    pub(crate) fn take(&self) -> LaneTaken<'_> {
        self.0.fetch_add(1, Ordering::AcqRel);
        LaneTaken(self)
    }

    /// Takes another lane, if fewer than this many are taken.
    pub(crate) fn spare(&self, allowed: usize) -> Option<LaneTaken<'_>> {
        let another = |taken| (taken < allowed).then_some(taken + 1);
        let taken = (self.0).fetch_update(Ordering::AcqRel, Ordering::Acquire, another);
        taken.ok().map(|_| LaneTaken(self))
    }
}

impl Drop for LaneTaken<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
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
}

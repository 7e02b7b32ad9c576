//! Choices that a seed determines.

use esm_core::clock::Randomness as _;
use esm_testkit::SeededRandomness;

/// Choices that a seed determines.
#[derive(Debug)]
pub(crate) struct Dice(SeededRandomness);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededRandomness::new(seed))
    }

    /// A number below this one, which is not 0.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        (self.0.draw() % u128::from(bound)) as u64
    }

    /// Whether one of so many times.
    pub(crate) fn one_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A number from 1 to 2 to this power, small ones as likely as large ones: what happens early
    /// is met as often as what happens late.
    pub(crate) fn magnitude(&self, power: u64) -> u64 {
        let top = 1_u64 << self.below(power + 1);
        top - self.below((top / 2).max(1))
    }

    /// One of several.
    pub(crate) fn pick<T: Copy>(&self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_the_choices_and_all_are_within_bounds() {
        let (a, b) = (Dice::new(5), Dice::new(5));
        let mut met = std::collections::BTreeSet::new();
        for _ in 0..500 {
            let drawn = a.magnitude(4);
            assert_eq!(drawn, b.magnitude(4));
            met.insert(drawn);
        }
        assert_eq!(met, (1..=16).collect());
    }
}

//! Verification: the proof that nothing was lost.

mod rolling_hash;

pub use rolling_hash::RollingHash;

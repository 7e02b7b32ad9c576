//! The providers on real storages: the conformance suites, and what they cannot see.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod damage;
mod opening;
mod places;
mod scripted;
mod settling;

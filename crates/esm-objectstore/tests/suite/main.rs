//! The providers on real storages: the conformance suites, and what they cannot see.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(all(unix, feature = "aws"))]
mod answers;
mod conformance;
mod damage;
mod machine;
mod marker;
mod opening;
mod places;
mod restore;
mod scripted;
#[cfg(all(unix, any(feature = "aws", feature = "azure")))]
mod servers;
mod settling;
mod zombies;

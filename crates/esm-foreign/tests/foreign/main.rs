//! Event stores that are not esm's own, through their adapters.
#![expect(
    clippy::unwrap_used,
    reason = "a test says by panicking what went wrong"
)]

mod conformance;
mod deficient;
mod existing;
mod faults;
mod fixture;
mod formats;
mod kurrent;
mod live;
mod migration;
mod places;
mod self_test;
mod sweeps;

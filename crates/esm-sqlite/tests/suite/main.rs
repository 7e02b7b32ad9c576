//! The store on real files: the conformance suites, and what they cannot see.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod files;
mod machine;
mod migrations;
mod place;
mod sweeps;
mod uploads;

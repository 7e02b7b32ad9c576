//! Transformations of events with jq programs, from outside.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod as_jq;
mod asked_about;
mod compile_errors;
mod docs;
mod events;
mod identity;
mod language;
mod limits;
mod loan;
mod map;
mod masking;
mod outputs;
mod upcasters;

//! The codec from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backup;
mod cell;
mod cloudevent;
mod ndjson;
mod round_trip;
mod samples;
mod snapshots;
mod strategies;

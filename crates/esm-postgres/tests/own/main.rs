//! A store of esm's own, on real servers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod interrupted;
mod local_server;
mod opening;
mod place;
mod pooler;
mod proxy;
mod round_trips;
mod uploads;

//! The console over HTTP: what it shows, what it refuses, what it costs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attacks;
mod control;
mod cost;
mod live;
mod pages;
mod proxy;
mod sockets;
mod trouble;
mod upkeep;
mod world;

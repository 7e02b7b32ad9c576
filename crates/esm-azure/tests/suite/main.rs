//! The provider on Azurite, and on an Azurite whose answers are spoilt on the way.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clock;
mod conformance;
mod damage;
mod interrupted;
mod leases;
mod migrations;
mod opening;
mod place;
mod proxy;
mod requests;
mod secrets;
mod signature;
mod spoilt;
mod sweeps;

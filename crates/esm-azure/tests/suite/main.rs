//! The provider on Azurite, and on an Azurite whose answers are spoilt on the way.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clock;
mod conformance;
mod damage;
mod leases;
mod opening;
mod place;
mod proxy;
mod requests;
mod signature;
mod spoilt;

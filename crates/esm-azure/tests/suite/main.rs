//! The provider on a real server, and on one whose answers are spoilt on the way.
//!
//! `cargo xtask test` starts Azurite and says where it is; without it what needs it is left out,
//! and listed by name at the end of that run.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod place;
mod requests;
mod signature;

//! The integration tests of esm-core, on the fakes of esm-testkit.
//!
//! They are one binary, because each binary takes seconds to link. A test's name begins with its
//! area: `cargo test -p esm-core --test all router::`.
#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]

mod backup;
mod crash_sweep;
mod damage;
mod ids;
mod journal;
mod live;
mod long_chain;
mod repair;
mod reverse;
mod router;
mod routing;
mod saga;
mod seen;
mod stores;
mod world;

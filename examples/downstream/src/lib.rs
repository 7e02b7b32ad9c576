//! A shop's orders, as its code of the first and of the second edition sees them, and the
//! transformation between the two.
//!
//! `tests/migration.rs` is what this crate is there for: it tests the transformation, and the
//! migration with it, in ten lines.

pub mod first;
pub mod second;
mod upgrade;

pub use upgrade::upgrade;

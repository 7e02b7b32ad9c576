//! esm-core: the model, the traits and the saga of esm.

pub mod backoff;
pub mod backup;
pub mod clock;
mod cutover;
mod difference;
pub mod error;
pub mod event;
pub mod id;
pub mod migration;
pub mod object;
mod progress;
pub mod protocol;
mod rolling_hash;
pub mod router;
pub mod store;
pub mod transform;

pub use difference::difference;
pub use error::{Error, ErrorKind, Result};
pub use rolling_hash::RollingHash;

//! esm-core: the model, the traits and the saga of esm.

pub mod backup;
pub mod chain;
pub mod clock;
pub mod document;
pub mod error;
pub mod event;
pub mod foreign;
pub mod id;
pub mod known_stores;
pub mod migration;
pub mod router;
pub mod routing;
pub mod store;
pub mod transform;
pub mod verify;

pub use error::{Error, ErrorKind, Result};

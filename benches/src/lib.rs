//! What measurements have in common: requests to a storage, counted.

pub mod counting;

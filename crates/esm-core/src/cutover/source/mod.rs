//! What an attempt copies.

pub(crate) mod down;
pub(crate) mod originals;
pub(crate) mod retired;
pub(crate) mod scan;
pub(crate) mod segment;

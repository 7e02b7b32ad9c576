//! lock

pub(crate) mod held_lock;
pub(crate) mod options;
pub(crate) mod scope;

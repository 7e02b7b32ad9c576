//! What a migration, a rollback and a restore share: from a source to the Close that replaces it.

pub(crate) mod attempt;
pub(crate) mod checks;
pub(crate) mod close;
pub(crate) mod compare;
pub(crate) mod copy;
pub(crate) mod meter;
pub(crate) mod schemas;
pub(crate) mod source;
pub(crate) mod undo;

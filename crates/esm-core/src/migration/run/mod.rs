//! run

pub(crate) mod drive;
pub(crate) mod each;
pub(crate) mod object;
pub(crate) mod process;
pub(crate) mod scope;
pub(crate) mod triage;
pub(crate) mod undo;

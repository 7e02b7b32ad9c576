//! step

pub(crate) mod back_up;
pub(crate) mod close_books;
pub(crate) mod phases;
pub(crate) mod pin;
pub(crate) mod readiness;
pub(crate) mod standing;
pub(crate) mod undo;

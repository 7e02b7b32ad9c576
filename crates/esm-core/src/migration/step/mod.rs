//! The steps of the saga, a file each.

pub(super) mod analyse;
pub(super) mod back_up;
pub(super) mod close_books;
pub(super) mod copy;
pub(super) mod cut_over;
pub(super) mod roll_back;
pub(super) mod verify;

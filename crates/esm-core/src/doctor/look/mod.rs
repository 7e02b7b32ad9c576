//! What is examined, and what is found there: a subject a file.

pub(super) mod object;
pub(super) mod stored;
pub(super) mod stray;
mod stream;
pub(super) mod work;

//! Reports: the progress of a run, its result, the newest migrations, and counts of appends by old
//! code.

pub(crate) mod accepted;
pub(crate) mod estimate;
pub(crate) mod newest;
pub(crate) mod progress;
pub(crate) mod result;

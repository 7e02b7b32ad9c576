//! plan

pub(crate) mod plan;
pub(crate) mod planner;
pub(crate) mod scanned;
pub(crate) mod warnings;
pub(crate) mod way_back;

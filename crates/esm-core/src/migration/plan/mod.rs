//! Plans: analyse the sources without a write, estimate the cost, list assumptions and risks.

mod histories;
pub(crate) mod migration_plan;
pub(crate) mod planner;
pub(crate) mod scanned;
pub(crate) mod warnings;
pub(crate) mod way_back;

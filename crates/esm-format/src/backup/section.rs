//! A line of the file of sections.

use esm_core::store::{BackupSection, SectionSummary};
use serde::{Deserialize, Serialize};

/// One section with what it turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SectionLine {
    #[serde(flatten)]
    pub(super) section: BackupSection,
    #[serde(flatten)]
    pub(super) summary: SectionSummary,
}

//! What a plan says of its reversal, and of the migration that it reverses.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{Fingerprint, MigrationId};
use crate::transform::{EventTransformer as _, Identity, composed_fingerprint};

/// The migration that a migration reverses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverses {
    /// The migration.
    pub migration: MigrationId,
    /// Its transformation.
    pub fingerprint: Fingerprint,
    /// The transformation of events that were appended after it; identity where there is none.
    pub down: Fingerprint,
}

impl Reverses {
    /// The identity of what is done to events: that of the migration, and both transformations.
    pub fn fingerprint(&self) -> Fingerprint {
        let migration = self.migration.to_string();
        let parts = [&migration, self.fingerprint.as_str(), self.down.as_str()];
        composed_fingerprint("reverse", parts)
    }

    /// Whether the migration left every event as it was. Then all events may go back as they are.
    pub(crate) fn left_all_unchanged(&self) -> bool {
        self.fingerprint == Identity.fingerprint()
    }
}

/// What the plan says of undoing a migration after its pivot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WayBack {
    /// The transformation from the new schemas to the old ones that its plan was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<Fingerprint>,
    /// How long after its end it can be undone; absent means unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
}

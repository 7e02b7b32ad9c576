//! Commands to a migration that is on.

use serde_json::{Value, json};

/// A command to a migration that is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Steering {
    Pause,
    Resume,
    /// Lift the limit of its rate.
    Unlimited,
    CutOver,
    /// Withdraw the command to cut over.
    Withdraw,
    Cancel,
}

impl Steering {
    /// The arguments of `esm`.
    pub(super) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Pause => &["pause"],
            Self::Resume => &["resume"],
            Self::Unlimited => &["set", "--events-per-second", "unlimited"],
            Self::CutOver => &["cutover"],
            Self::Withdraw => &["cutover", "--withdraw"],
            Self::Cancel => &["cancel"],
        }
    }

    /// The end of the address that the console's page posts to, and what it posts.
    pub(crate) fn posted(self) -> (&'static str, Value) {
        let nothing = json!({});
        match self {
            Self::Pause => ("pause", nothing),
            Self::Resume => ("resume", nothing),
            Self::Unlimited => {
                let settings = json!({"events_per_second": "unlimited"});
                ("set", json!({ "settings": settings }))
            }
            Self::CutOver => ("cutover", nothing),
            Self::Withdraw => ("withdraw", nothing),
            Self::Cancel => ("cancel", nothing),
        }
    }
}

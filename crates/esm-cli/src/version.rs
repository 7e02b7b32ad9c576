//! `esm --version --verbose`

use esm_core::migration::MigrationPlan;
use esm_core::store::BackupManifest;

use crate::output::Facts;

/// The version, the commit, the stores and the formats.
pub(crate) fn details() -> Facts {
    let mut facts = Facts::new();
    facts
        .add("esm", env!("CARGO_PKG_VERSION"))
        .add("commit", env!("ESM_COMMIT"))
        .add(
            "stores",
            "file:, sqlite:, postgres:, memory:, s3:, gs:, az:",
        )
        .add(
            "formats",
            format!(
                "cells {}, backups {}, plans {}",
                esm_format::cell::FORMAT,
                BackupManifest::FORMAT,
                MigrationPlan::FORMAT
            ),
        );
    facts
}

/// Whether the details are requested, and not the version alone.
pub(crate) fn is_verbose() -> bool {
    std::env::args_os().any(|argument| argument == "--verbose")
}

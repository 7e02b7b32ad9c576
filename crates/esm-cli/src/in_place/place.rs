//! The table of a session.

use std::sync::Arc;

use esm_core::transform::EventTransformer;
use esm_core::{Error, Result};
use esm_postgres::{InPlace, InPlaceOptions, Rewrite, Settings};

use crate::args::Global;
use crate::migration::{IdPart, author};
use crate::processes::LocalProcesses;
use crate::progress::Progress;
use crate::session::Session;

/// Returns whether the store of the global options is the tables of another library.
pub(crate) fn is_layout(global: &Global) -> bool {
    let address = global.store.as_deref().unwrap_or_default();
    let address = global.settings.address(address);
    Settings::is_address(address) && !esm_postgres::is_store_address(address)
}

/// Returns migrations in place, if the store is the tables of another library.
pub(crate) fn in_place(session: &Session) -> Option<InPlace> {
    of_layout(session, None, false)
}

/// As [`in_place`], with a progress display, and whether triggers may run.
pub(crate) fn of_layout(
    session: &Session,
    progress: Option<Progress>,
    allow_triggers: bool,
) -> Option<InPlace> {
    let store = session.layout()?;
    let nonce = session.environment().uuid_v4().simple().to_string();
    let holder = format!("{}:{}:{}", author(), std::process::id(), &nonce[..8]);
    let environment = session.environment().clone();
    let mut options = InPlaceOptions::new(environment, holder, Arc::new(LocalProcesses));
    options.allow_triggers = allow_triggers;
    let interrupt = session.interrupt().clone();
    options.should_stop = Arc::new(move || interrupt.requested());
    if let Some(progress) = progress {
        options.on_progress = Arc::new(move |events| progress.at(events));
    }
    Some(InPlace::new(store, options))
}

/// A transformation as the store can hold it.
pub(crate) fn fitted(
    session: &Session,
    transformer: Arc<dyn EventTransformer>,
) -> Arc<dyn EventTransformer> {
    match in_place(session) {
        Some(in_place) => in_place.transformer(transformer),
        None => transformer,
    }
}

/// Returns the migration that is named, or else the newest one for which `is_meant` holds.
///
/// # Errors
/// `NotFound`; `Invalid` for an ambiguous name.
pub(crate) async fn found(
    in_place: &InPlace,
    named: Option<&IdPart>,
    what: &str,
    is_meant: impl Fn(&Rewrite) -> bool,
) -> Result<Rewrite> {
    let mut known = in_place.migrations().await?;
    if let Some(part) = named {
        let ids = known.iter().map(|known| known.migration).collect();
        let id = part.migration_among(ids)?;
        known.retain(|known| known.migration == id);
    } else {
        known.retain(is_meant);
    }
    let found = known.into_iter().next();
    found.ok_or_else(|| {
        Error::not_found(format!("no migration {what}"))
            .with_hint("list the migrations of this table with `esm status --all`")
    })
}

/// The error of a command for the tables of another library.
pub(crate) fn no_layout() -> Error {
    Error::unsupported("the command is for the tables of another library").with_hint(
        "the store is one of esm's own: `esm status` shows its migrations, `esm backup` its backups",
    )
}

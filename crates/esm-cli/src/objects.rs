//! Objects as commands see them: their documents, and the chain of streams behind them.

use esm_core::id::StreamRef;
use esm_core::object::ObjectDocument;
use esm_core::object::chain::{self, ChainEnd};
use esm_core::{Error, ErrorKind, Result};

use crate::session::Session;

/// The oldest stream that a document knows of.
pub(crate) fn oldest(document: &ObjectDocument) -> &StreamRef {
    let terminated = document.terminated.first().map(|t| &t.stream);
    terminated.unwrap_or(&document.active)
}

/// The stream that is active by the streams themselves, whatever the document says. Reads only.
///
/// # Errors
/// Those of [`chain::follow_in`]; `Deleted`.
pub(crate) async fn active(session: &Session, document: &ObjectDocument) -> Result<ChainEnd> {
    let end = chain::follow_in(session.stores(), document.active.clone()).await?;
    match end.tail.close() {
        None => Ok(end),
        Some(_) => Err(Error::new(
            ErrorKind::Deleted,
            format!("object was deleted: {}", document.object),
        )),
    }
}

//! Protects the originals from deletion while they are copied.

use crate::cutover::source::originals::Originals;
use crate::error::{Error, ErrorKind, Result};
use crate::id::ObjectId;
use crate::migration::context::Context;

/// Pins the originals in the object's document, before anything is copied (R18). A pin is void when
/// its migration's journal has ended.
///
/// # Errors
/// `NotFound` when the document no longer names them; those of the records.
pub(crate) async fn pin(context: &Context, object: &ObjectId, originals: &Originals) -> Result<()> {
    let migration = context.migration();
    let mut found = false;
    let documents = &context.services.documents;
    let pinning = documents.update_terminated(object, &originals.stream, |document| {
        let entry = document.terminated_mut(&originals.stream);
        found = entry.is_some();
        entry.is_some_and(|entry| entry.pins.insert(migration))
    });
    pinning.await?;
    if found {
        return Ok(());
    }
    let message = format!(
        "the document no longer names the originals: {}",
        originals.stream
    );
    Err(Error::new(ErrorKind::NotFound, message))
}

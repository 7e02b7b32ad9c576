//! Trying whether a storage keeps what everything rests on.

use bytes::Bytes;
use esm_core::{Error, Result};

use crate::backend::{Backend, Creation};

/// Tries whether the storage keeps the one promise that everything rests on: of two writes that
/// create the same object, the second fails.
pub(crate) async fn self_test(backend: &Backend) -> Result<()> {
    let key = backend.layout().self_test(backend.environment().uuid_v4());
    let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
    let created = backend
        .create(&key, &first, |found| Ok(*found == first))
        .await?;
    let again = backend
        .create(&key, &second, |found| Ok(*found == second))
        .await?;
    let kept = backend.get(&key).await?;
    // a probe that stays behind is harmless
    let _ = backend.delete([key]).await;
    let lawful = created == Creation::Created
        && again == Creation::Taken(first.clone())
        && kept == Some(first);
    if lawful {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "storage lets a second writer create the same object again: {}",
        backend.location()
    ))
    .with_hint(
        "use a storage with conditional writes (If-None-Match); switch them on if it has a switch",
    ))
}

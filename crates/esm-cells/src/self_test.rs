//! Trying whether a storage keeps what everything rests on.

use bytes::Bytes;
use esm_core::{Error, Result};

use crate::backend::{Backend, Creation};
use crate::key::Key;

/// What a test has written.
#[must_use]
pub(crate) struct Tested(Key);

impl Tested {
    /// Removes it. An object that stays behind is harmless.
    pub(crate) async fn remove(self, backend: &Backend) {
        let _ = backend.delete([self.0]).await;
    }
}

/// Tries whether the storage keeps the one promise that everything rests on: of two writes that
/// create the same object, the second fails.
pub(crate) async fn self_test(backend: &Backend) -> Result<Tested> {
    let key = backend.layout().self_test(backend.environment().uuid_v4());
    let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
    let created = backend
        .create(&key, &first, |found| Ok(*found == first))
        .await?;
    // what it was refused for was read after it
    let again = backend
        .create(&key, &second, |found| Ok(*found == second))
        .await?;
    let tested = Tested(key);
    if created == Creation::Created && again == Creation::Taken(first) {
        return Ok(tested);
    }
    tested.remove(backend).await;
    Err(Error::unsupported(format!(
        "storage lets a second writer create the same object again: {}",
        backend.location()
    ))
    .with_hint(
        "use a storage with conditional writes (If-None-Match); switch them on if it has a switch",
    ))
}

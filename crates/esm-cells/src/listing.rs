//! Listing for storages that return keys in pages.

use esm_core::{Error, Result};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use crate::key::Key;

/// Lists keys page by page. `page` returns the keys that follow a key, in order, `limit` of them as
/// long as there are so many: a shorter page is the last. The first page follows the empty text.
/// Memory does not grow with the number of keys.
///
/// # Errors
/// Those of `page`; the stream then ends.
pub fn list_in_pages<F>(
    limit: usize,
    page: impl Fn(String) -> F + Send + 'static,
) -> BoxStream<'static, Result<Key>>
where
    F: Future<Output = Result<Vec<String>>> + Send + 'static,
{
    let pages = stream::try_unfold(Some(String::new()), move |after| {
        let page = after.map(&page);
        async move {
            let Some(page) = page else {
                return Ok(None);
            };
            let found = page.await?;
            let next = found.last().filter(|_| found.len() == limit).cloned();
            Ok::<_, Error>(Some((found, next)))
        }
    });
    pages
        .map_ok(|keys| stream::iter(keys).map(|key| Ok(Key::new(&key))))
        .try_flatten()
        .boxed()
}

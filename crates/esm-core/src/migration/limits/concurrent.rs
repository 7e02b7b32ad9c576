//! Bounded concurrency.

use futures::stream::{FuturesUnordered, StreamExt as _};

use crate::error::Result;

/// Processes all items, at most `concurrency` at a time; that limit may change meanwhile.
///
/// # Errors
/// The first error of an item. After it no further item starts; items in flight finish first.
pub(crate) async fn for_each_concurrent<'a, T, F, Fut>(
    concurrency: impl Fn() -> usize,
    items: &'a [T],
    mut work: F,
) -> Result<()>
where
    F: FnMut(&'a T) -> Fut,
    Fut: Future<Output = Result<()>>,
{
    let mut running = FuturesUnordered::new();
    let mut waiting = items.iter();
    let mut failure = None;
    loop {
        while failure.is_none() && running.len() < concurrency().max(1) {
            let Some(item) = waiting.next() else { break };
            running.push(work(item));
        }
        match running.next().await {
            None => return failure.map_or(Ok(()), Err),
            Some(Err(error)) if failure.is_none() => failure = Some(error),
            Some(_) => {}
        }
    }
}

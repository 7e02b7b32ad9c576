//! Working on several things at once, in bounded numbers.

use futures::stream::{FuturesUnordered, StreamExt as _};

use crate::error::Result;

/// Works on all items, at most `concurrency` at a time, which may change meanwhile. After the first error nothing more is
/// begun, what is under way is finished, and that error is answered.
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

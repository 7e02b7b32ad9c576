//! A lane: one pass over the streams of an object, with few requests in flight.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

tokio::task_local! {
    static CURRENT: Lane;
}

/// What triages an object, copies it, or compares it while another lane copies it. At most
/// [`REQUESTS`](Self::REQUESTS) requests of a lane are in flight. Clones are the same lane.
///
/// One call of a store may take several requests, and only its provider knows how many. So a provider
/// that sends several at once waits for a [`turn`](Self::turn) before each. The lane is that of the
/// task ([`run`](Self::run)) and no parameter: every trait method would have to pass it on.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use esm_core::store::Lane;
///
/// let request = async {
///     let _turn = Lane::turn().await;
///     "a response"
/// };
/// assert_eq!(Lane::default().run(request).await, "a response");
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct Lane(Arc<Semaphore>);

impl Default for Lane {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(Self::REQUESTS)))
    }
}

/// A request of a lane may be in flight until this is dropped.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

impl Lane {
    /// Requests of a lane that may be in flight.
    pub const REQUESTS: usize = 4;

    /// Runs work in this lane instead of the current one. Tasks that it spawns are outside of it.
    ///
    /// # Cancel safety
    /// That of the work. Work that is no longer polled, and not dropped, keeps its turns.
    pub async fn run<F: Future>(&self, work: F) -> F::Output {
        CURRENT.scope(self.clone(), work).await
    }

    /// Returns work, to be spawned, that stays in the current lane.
    pub(crate) fn staying<F: Future>(work: F) -> impl Future<Output = F::Output> {
        let lane = CURRENT.try_with(Self::clone).ok();
        async move {
            match lane {
                Some(lane) => lane.run(work).await,
                None => work.await,
            }
        }
    }

    /// Waits until another request of the current lane may be sent, first come, first served. Outside
    /// of lanes there is nothing to wait for.
    ///
    /// A caller must not wait for a second turn while it holds one.
    pub async fn turn() -> Option<Turn> {
        let lane = CURRENT.try_with(Self::clone).ok()?;
        // never closed
        lane.0.acquire_owned().await.ok().map(Turn)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn at_most_four_requests_are_in_flight_and_who_waits_gets_the_next() {
        let lane = Lane::default();
        let turn = || lane.run(Lane::turn());
        let mut held: Vec<_> = (0..Lane::REQUESTS)
            .map(|_| turn().now_or_never().flatten().expect("there is room"))
            .collect();
        let (mut fifth, mut sixth) = (Box::pin(turn()), Box::pin(turn()));
        assert!((&mut fifth).now_or_never().is_none());
        assert!((&mut sixth).now_or_never().is_none());
        held.pop();
        assert!((&mut sixth).now_or_never().is_none());
        assert!(fifth.now_or_never().flatten().is_some());
        // another lane does not wait, nor does anybody outside of lanes
        assert!(Lane::default().run(Lane::turn()).now_or_never().is_some());
        assert!(matches!(Lane::turn().now_or_never(), Some(None)));
    }

    #[tokio::test]
    async fn spawned_work_stays_in_the_lane_where_that_is_wanted() {
        let lane = Lane::default();
        let (staying, leaving) = lane
            .run(async {
                let staying = tokio::spawn(Lane::staying(Lane::turn()));
                (staying.await, tokio::spawn(Lane::turn()).await)
            })
            .await;
        assert!(staying.is_ok_and(|turn| turn.is_some()));
        assert!(leaving.is_ok_and(|turn| turn.is_none()));
    }
}

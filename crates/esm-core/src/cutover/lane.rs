//! A lane: one pass over the streams of an object, with few requests in flight.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, ErrorKind, Result};

/// Requests of a lane that may be in flight.
const REQUESTS: usize = 4;

/// What copies an object, or compares it while another lane copies it. Its reads and writes have at
/// most 4 requests in flight together. Clones are the same lane.
#[derive(Debug, Clone)]
pub(crate) struct Lane(Arc<Semaphore>);

impl Default for Lane {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(REQUESTS)))
    }
}

/// Requests that may be in flight until this is dropped.
#[derive(Debug)]
pub(crate) struct Share(OwnedSemaphorePermit);

impl Share {
    /// Returns their number.
    pub(crate) fn requests(&self) -> usize {
        self.0.num_permits()
    }
}

impl Lane {
    /// Waits until a request may be sent, in turn, and takes as many more as may be sent at the same
    /// time, up to this number.
    pub(crate) async fn share(&self, most: usize) -> Result<Share> {
        let first = Arc::clone(&self.0).acquire_owned().await;
        let mut share = first.map_err(|e| Error::new(ErrorKind::Unavailable, e.to_string()))?;
        while share.num_permits() < most
            && let Ok(another) = Arc::clone(&self.0).try_acquire_owned()
        {
            share.merge(another);
        }
        Ok(Share(share))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn at_most_four_requests_are_in_flight_and_who_waits_gets_the_next() {
        let lane = Lane::default();
        let share = |most| lane.share(most).now_or_never().map(Result::unwrap);
        let pages = share(9).unwrap();
        assert_eq!(pages.requests(), REQUESTS);
        let mut append = Box::pin(lane.share(1));
        assert!((&mut append).now_or_never().is_none());
        drop(pages);
        let append = append.now_or_never().unwrap().unwrap();
        assert_eq!(append.requests(), 1);
        assert_eq!(share(9).unwrap().requests(), REQUESTS - 1);
    }
}

//! A client of the router that records its appends in a history.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use esm_core::event::Event;
use esm_core::id::{CommitId, ObjectId};
use esm_core::router::{AmbiguousAppend, AppendError, Appended, ExpectedRevision, ObjectClient};

use crate::observe::{Attempted, History};

/// A client that appends to one object. It records in a [`History`] what it begins to append and
/// each outcome, with the revision.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use esm_core::router::ExpectedRevision;
/// use esm_testkit::event;
/// use esm_testkit::faults::FaultPlan;
/// use esm_testkit::memory::MemoryWorld;
/// use esm_testkit::observe::History;
/// use esm_testkit::record::RecordedClient;
///
/// let world = MemoryWorld::new(esm_testkit::environment(1));
/// let client = FaultPlan::new().actor("app").client(&world);
/// let history = History::new();
/// let client = RecordedClient::new(client, "order/1".parse()?, history.clone());
/// client.append(ExpectedRevision::NoStream, vec![event("e1", "Paid")]).await?;
/// assert_eq!(history.check(&[event("e1", "Paid")]), Ok(()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// A history is of one object, so a client is too; several clients of an object share its history.
#[derive(Debug)]
pub struct RecordedClient {
    client: ObjectClient,
    object: ObjectId,
    history: History,
    /// Appends whose outcome is unknown so far, by the commit that they were sent as.
    unsettled: Mutex<BTreeMap<CommitId, Attempted>>,
}

impl RecordedClient {
    /// Appends to this object with this client, and records that in this history.
    pub fn new(client: ObjectClient, object: ObjectId, history: History) -> Self {
        Self {
            client,
            object,
            history,
            unsettled: Mutex::default(),
        }
    }

    /// Returns the history.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// As [`ObjectClient::append`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there; in the history the outcome stays unknown.
    pub async fn append(
        &self,
        expected: ExpectedRevision,
        events: Vec<Event>,
    ) -> Result<Appended, AppendError> {
        let attempted = self.history.begin(events.clone());
        let outcome = self.client.append(&self.object, expected, events).await;
        self.note(attempted, &outcome);
        outcome
    }

    /// As [`ObjectClient::settle`]. Records the outcome for the append that it settles.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there; in the history the outcome stays unknown.
    pub async fn settle(&self, token: AmbiguousAppend) -> Result<Appended, AppendError> {
        let attempted = self.unsettled(|unsettled| unsettled.remove(&token.commit()));
        let outcome = self.client.settle(token).await;
        if let Some(attempted) = attempted {
            self.note(attempted, &outcome);
        }
        outcome
    }

    fn note(&self, attempted: Attempted, outcome: &Result<Appended, AppendError>) {
        match outcome.as_ref().map_err(AppendError::token) {
            Ok(appended) => attempted.acknowledged_at(appended.first.revision),
            Err(None) => attempted.failed(),
            Err(Some(token)) => {
                self.unsettled(|unsettled| unsettled.insert(token.commit(), attempted));
            }
        }
    }

    fn unsettled<T>(&self, change: impl FnOnce(&mut BTreeMap<CommitId, Attempted>) -> T) -> T {
        change(
            &mut self
                .unsettled
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

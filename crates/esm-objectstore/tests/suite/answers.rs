//! Responses that a local S3 never gives, over a real connection, and the outcome of the write.
//!
//! What lost and wrong responses mean for the protocol is in `settling`; these tests check how the
//! client reads statuses.

use esm_core::ErrorKind;
use esm_core::clock::Environment;
use esm_core::id::StreamId;
use esm_core::store::{Append, Tail};
use esm_objectstore::{OpenOptions, Store};
use esm_testkit::intercept::{Answer, Interceptor};
use esm_testkit::{containers, event};

use crate::servers::s3;

/// A store behind an interceptor, which lets its creation pass.
struct Place {
    interceptor: Interceptor,
    store: Store,
    stream: StreamId,
}

impl Place {
    async fn new() -> Option<Self> {
        let server = containers::s3().await?;
        let interceptor = Interceptor::before(&server.url()).await.unwrap();
        let client = s3::client_at(&interceptor.url(), &server);
        let prefix = format!("answers/{}", Environment::system().uuid_v4());
        let store =
            esm_objectstore::open_or_create_with_client(client, &prefix, OpenOptions::new()).await;
        Some(Self {
            interceptor,
            store: store.unwrap(),
            stream: StreamId::new("order-1").unwrap(),
        })
    }

    async fn append(&self) -> esm_core::Result<Tail> {
        let environment = Environment::system();
        let event = event(environment.uuid_v4().to_string(), "T");
        let append = Append::events(environment.commit_id(), vec![event.into()]);
        let events = self.store.event_store();
        events.append(&self.stream, &Tail::default(), append).await
    }

    /// Number of events in the stream.
    async fn count(&self) -> u64 {
        let tail = self.store.event_store().tail(&self.stream).await;
        tail.unwrap().next_revision().0
    }
}

#[tokio::test]
async fn a_status_that_says_it_did_happen_or_may_have_is_settled() {
    for answer in [
        Answer::Afterwards(500),
        Answer::Afterwards(503),
        Answer::Lost,
        // from a gateway, which does not know
        Answer::Afterwards(403),
    ] {
        let Some(place) = Place::new().await else {
            return;
        };
        place.interceptor.next(1, "PUT", "/c/", answer);
        let appended = place.append().await;
        assert!(appended.is_ok(), "{answer:?}: {appended:?}");
        assert!(place.interceptor.is_done(), "{answer:?}");
        assert_eq!(place.count().await, 1, "{answer:?}");
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    for status in [429, 500, 503] {
        let Some(place) = Place::new().await else {
            return;
        };
        place
            .interceptor
            .next(2, "PUT", "/c/", Answer::Instead(status));
        let appended = place.append().await;
        assert!(appended.is_ok(), "{status}: {appended:?}");
        assert!(place.interceptor.is_done(), "{status}");
        assert_eq!(place.count().await, 1, "{status}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_as_one_and_nothing_has_happened() {
    let Some(place) = Place::new().await else {
        return;
    };
    place
        .interceptor
        .next(1, "PUT", "/c/", Answer::Instead(403));
    let error = place.append().await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
    assert_eq!(place.count().await, 0);
}

#[tokio::test]
async fn a_server_that_stays_busy_is_unavailable_or_unknown_and_never_a_success() {
    for (answer, happened) in [(Answer::Instead(503), 0), (Answer::Afterwards(503), 1)] {
        let Some(place) = Place::new().await else {
            return;
        };
        place.interceptor.next(1000, "PUT", "/c/", answer);
        place
            .interceptor
            .next(1000, "GET", "/c/", Answer::Instead(503));
        let error = place.append().await.unwrap_err();
        let told = matches!(error.kind(), ErrorKind::Ambiguous | ErrorKind::Unavailable);
        assert!(told, "{answer:?}: {error:?}");
        // where it happened, nobody may say that it did not
        assert!(
            happened == 0 || error.may_have_applied(),
            "{answer:?}: {error:?}"
        );
    }
}

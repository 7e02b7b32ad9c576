//! How often an append waits for the server.

use esm_core::clock::Environment;
use esm_core::id::{ObjectId, StreamId};
use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_core::store::{Append, Tail};
use esm_testkit::containers::PostgresVersion;

use crate::place::{Place, event};
use crate::proxy::{Proxy, behind};

/// Every 16th cell is written with a hint of the stream's end, at the same time.
fn expected(cell: usize) -> usize {
    1 + usize::from(cell > 0 && cell.is_multiple_of(16))
}

/// The messages that are answered during an operation.
async fn counted(proxy: &Proxy, operation: impl Future<Output = ()>) -> usize {
    let before = proxy.round_trips();
    operation.await;
    proxy.round_trips() - before
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_waits_for_the_server_once() {
    for version in [PostgresVersion::V15, PostgresVersion::V18] {
        let Some(place) = Place::fresh(version).await else {
            continue;
        };
        place.store().await;
        let (proxy, behind) = behind(&place).await;
        let plain = format!("{}&sslmode=disable", behind.address);
        let store = Place::at(plain, place.password).store_in_real_time().await;
        let (events, stream) = (store.event_store(), StreamId::new("s").unwrap());
        let mut tail = Tail::default();
        // from the first one on, which creates the stream
        for cell in 0..20 {
            let found = counted(&proxy, async {
                let commit = Environment::system().commit_id();
                let append = Append::events(commit, vec![event(&cell.to_string()).into()]);
                tail = events.append(&stream, &tail, append).await.unwrap();
            });
            assert_eq!(found.await, expected(cell), "cell {cell}");
        }

        // an application, whose object has its first event
        let client = ObjectClient::new(store.records(), events, Environment::system());
        let object: ObjectId = "order/1".parse().unwrap();
        let new = ExpectedRevision::NoStream;
        client.append(&object, new, vec![event("a")]).await.unwrap();
        for id in ["b", "c", "d"] {
            let found = counted(&proxy, async {
                let any = ExpectedRevision::Any;
                client.append(&object, any, vec![event(id)]).await.unwrap();
            });
            assert_eq!(found.await, 1, "{id}");
        }
    }
}

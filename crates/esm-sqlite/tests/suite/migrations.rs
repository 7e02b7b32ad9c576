//! A migration in the file, and into it from another one.

use std::sync::Arc;

use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{EventId, EventType, ObjectId};
use esm_core::migration::MigrationService;
use esm_core::router::{ExpectedRevision, ObjectClient, ReadPosition};
use esm_testkit::{Rule, Rules};
use futures::TryStreamExt as _;

use crate::place::Place;

#[tokio::test]
async fn objects_are_migrated_rolled_back_and_read_by_a_process_that_knows_nothing() {
    let place = Place::default();
    let store = place.store().await;
    let client = ObjectClient::new(store.records(), store.event_store(), Environment::system());
    for n in 0..20 {
        let object: ObjectId = format!("order/{n}").parse().unwrap();
        let events = ["Kept", "Dropped", "Split"].map(|name| {
            let id = EventId::new(name).unwrap();
            Event::new(id, EventType::new(name).unwrap(), "{}")
        });
        client
            .append(&object, ExpectedRevision::NoStream, events.to_vec())
            .await
            .unwrap();
    }
    let service = MigrationService::new(store.event_store(), store.records(), store.locks());
    let rules = Rules::new([("Dropped", Rule::Drop), ("Split", Rule::Split(2))]);
    let result = service
        .migrate_all()
        .transform(rules)
        .execute()
        .await
        .unwrap();
    assert!(result.is_success(), "{:?}", result.error);
    assert_eq!(result.statistics.migrated, 20);
    assert_eq!(ids(&place, "order/7").await, ["Kept", "Split.0", "Split.1"]);
    let back = service.roll_back(result.migration).execute().await.unwrap();
    assert!(back.is_success(), "{:?}", back.error);
    assert_eq!(ids(&place, "order/7").await, ["Kept", "Dropped", "Split"]);
}

async fn ids(place: &Place, object: &str) -> Vec<String> {
    let store = place.store().await;
    let client = ObjectClient::new(store.records(), store.event_store(), Environment::system());
    let events = client.read(&object.parse().unwrap(), ReadPosition::Start);
    events
        .map_ok(|recorded| recorded.event.id.to_string())
        .try_collect()
        .await
        .unwrap()
}

/// Of appends that all expect the same end, in handles that share nothing but the file, one
/// succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_racing_appends_one_succeeds() {
    let place = Arc::new(Place::default());
    place.store().await;
    for round in 0..20 {
        let object: ObjectId = format!("race/{round}").parse().unwrap();
        let racers = (0..8).map(|n| {
            let (place, object) = (Arc::clone(&place), object.clone());
            tokio::spawn(async move {
                let store = place.store().await;
                let client =
                    ObjectClient::new(store.records(), store.event_store(), Environment::system());
                let id = EventId::new(n.to_string()).unwrap();
                let event = Event::new(id, EventType::new("Placed").unwrap(), "{}");
                client
                    .append(&object, ExpectedRevision::NoStream, vec![event])
                    .await
                    .is_ok()
            })
        });
        let won = futures::future::join_all(racers).await;
        let won = won.into_iter().filter(|won| *won.as_ref().unwrap()).count();
        assert_eq!(won, 1, "round {round}");
        assert_eq!(ids(&place, &object.to_string()).await.len(), 1);
    }
}

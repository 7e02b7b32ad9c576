//! What migrations cost in requests, against the protocol's budget, with locks that are leases.
//! `docs/azure.md` has the printed numbers.

use std::fmt;

use esm_core::clock::Environment;
use esm_core::id::ObjectId;
use esm_core::migration::{MigrationResult, MigrationService};
use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_testkit::event;

use crate::place::Place;

/// Streams of the counted batch: less than a batch has, because Azurite is slow.
const STREAMS: u64 = 64;
/// Events of the long stream, unless `ESM_LONG_STREAM` says another number.
const LONG: u64 = 20_480;

/// Requests that were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sent {
    writes: u64,
    reads: u64,
}

impl Sent {
    /// Those about folders of the store that are meant.
    fn of(requests: &[(String, String)], is_meant: impl Fn(&str) -> bool) -> Self {
        let mut sent = Self::default();
        for (what, _) in requests.iter().filter(|(_, folder)| is_meant(folder)) {
            if what.starts_with("GET") || what.starts_with("HEAD") {
                sent.reads += 1;
            } else {
                sent.writes += 1;
            }
        }
        sent
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} writes, {} reads", self.writes, self.reads)
    }
}

/// Objects on a fresh store, and who migrates them.
struct Scene {
    place: Place,
    client: ObjectClient,
    service: MigrationService,
}

impl Scene {
    async fn new() -> Option<Self> {
        let place = Place::fresh().await?;
        let store = place.store().await;
        let environment = Environment::system();
        Some(Self {
            client: ObjectClient::new(store.records(), store.event_store(), environment),
            service: MigrationService::new(store.event_store(), store.records(), store.locks()),
            place,
        })
    }

    /// An object with so many events, in cells as large as a migration's.
    async fn fill(&self, object: &ObjectId, events: u64) {
        self.client.create(object).await.unwrap();
        let numbers: Vec<u64> = (0..events).collect();
        for numbers in numbers.chunks(512) {
            let events = numbers.iter();
            let events = events.map(|number| event(format!("{object}-{number}"), "Counted"));
            let (any, events) = (ExpectedRevision::Any, events.collect());
            self.client.append(object, any, events).await.unwrap();
        }
    }

    /// What was sent since this was last asked, but for what comes with time, on a busy machine
    /// more of it: heartbeats and the progress that is published. Of a lock's lease, which here is
    /// one, two requests are none: it is asked for and given back.
    fn sent(&self) -> Vec<(String, String)> {
        let mut requests = self.place.requests_below();
        let mut leases = 0;
        requests.retain(|(what, folder)| {
            leases += u64::from(what == "PUT lease");
            folder != "progress" && (what != "PUT lease" || leases <= 2)
        });
        requests
    }
}

fn migrated(ended: esm_core::Result<MigrationResult>) -> MigrationResult {
    let result = ended.unwrap();
    assert!(result.is_success(), "{result:?}");
    result
}

#[tokio::test]
async fn a_small_stream_alone_costs_at_most_nine_writes() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let object: ObjectId = "order/1".parse().unwrap();
    scene.fill(&object, 8).await;
    scene.sent();
    migrated(scene.service.migrate(object.clone()).execute().await);
    let requests = scene.sent();
    let all = Sent::of(&requests, |_| true);
    println!("one small stream alone: {all}");
    assert!(all.writes <= 9, "{requests:#?}");

    // its lock was held before
    migrated(scene.service.migrate(object).again().execute().await);
    let requests = scene.sent();
    let all = Sent::of(&requests, |_| true);
    println!("one small stream alone, again: {all}");
    assert!(all.writes <= 9, "{requests:#?}");
}

#[tokio::test]
async fn each_of_many_streams_costs_three_writes_of_its_own() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    for number in 0..STREAMS {
        scene
            .fill(&format!("order/{number}").parse().unwrap(), 8)
            .await;
    }
    scene.sent();
    migrated(scene.service.migrate_all().execute().await);
    let requests = scene.sent();
    let is_own = |folder: &str| matches!(folder, "streams" | "documents");
    let own = Sent::of(&requests, is_own);
    let shared = Sent::of(&requests, |folder| !is_own(folder));
    println!("{STREAMS} small streams: {own}; what they share: {shared}");
    assert_eq!(own.writes, 3 * STREAMS, "{requests:#?}");
    assert!(shared.writes <= 8, "{requests:#?}");
}

#[tokio::test]
async fn a_long_stream_costs_a_write_for_each_cell() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let events = std::env::var("ESM_LONG_STREAM").map_or(LONG, |number| number.parse().unwrap());
    let object: ObjectId = "order/long".parse().unwrap();
    scene.fill(&object, events).await;
    scene.sent();
    let result = migrated(scene.service.migrate(object).execute().await);
    let requests = scene.sent();
    let all = Sent::of(&requests, |_| true);
    let cells = result.statistics.cells;
    println!("a stream of {events} events: {all}; {cells} data cells");
    assert!(cells <= events.div_ceil(512) + 4, "{cells}");
    // the others are the lock, the journal, hints of where the target ends
    assert!(all.writes <= cells + 40 + cells / 16, "{}", all.writes);
}

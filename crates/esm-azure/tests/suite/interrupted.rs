//! Migrations to which something happens in the middle: each ends with a clear error, and completes
//! once that is mended, with nothing lost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use azure_storage_blob::models::BlobContainerClientListBlobsOptions;
use bytes::Bytes;
use esm_azure::{OpenOptions, Store};
use esm_core::clock::{Clock, Environment, SystemClock};
use esm_core::event::{Event, Revision};
use esm_core::id::{HolderId, ObjectId, StreamId};
use esm_core::migration::{MigrationBuilder, MigrationResult, MigrationService};
use esm_core::router::{ExpectedRevision, ObjectClient, ReadPosition};
use esm_core::store::Stores;
use esm_core::transform::Mapper;
use esm_core::{Error, ErrorKind};
use esm_testkit::containers;
use esm_testkit::faults::{At, Fault, FaultPlan, Interjection};
use esm_testkit::memory::MemoryWorld;
use esm_testkit::observe::History;
use esm_testkit::{Rule, Rules, event};
use futures::{FutureExt as _, TryStreamExt as _};
use jiff::Timestamp;

use crate::clock::BriskClock;
use crate::place::{Place, blob, change, connection, container, names};
use crate::proxy::{Proxy, Spoil};
use crate::signature::Signature;

/// The copier's append that something happens before.
const MIDDLE: At = At::Named("event_store.append", 3);

fn order() -> ObjectId {
    "order/7".parse().unwrap()
}

fn rules() -> Rules {
    Rules::new([("Placed", Rule::Split(2))])
}

/// Forty events in ten cells.
fn events() -> Vec<Vec<Event>> {
    let mut events = esm_testkit::events("e", ["Placed", "Paid"].into_iter().cycle());
    (0..10).map(|_| events.by_ref().take(4).collect()).collect()
}

/// An order in a store, and what its application was acknowledged.
async fn placed(client: &ObjectClient) -> History {
    let history = History::new();
    client.create(&order()).await.unwrap();
    for events in events() {
        let attempted = history.begin(events.clone());
        let any = ExpectedRevision::Any;
        client.append(&order(), any, events).await.unwrap();
        attempted.acknowledged();
    }
    history
}

fn client(store: &Store) -> ObjectClient {
    ObjectClient::new(store.records(), store.event_store(), Environment::system())
}

/// A migrator whose calls the plan sees.
fn migrator(store: &Store, plan: &FaultPlan) -> MigrationService {
    let actor = plan.actor("migrator");
    let events = actor.event_store(store.event_store());
    MigrationService::new(events, store.records(), store.locks())
        .with_holder(HolderId::new("first").unwrap())
}

/// The migration of the order, in small cells. The lock is renewed often, so that its loss is
/// noticed soon.
fn migration(service: &MigrationService) -> MigrationBuilder {
    let migration = service
        .migrate(order())
        .transform(rules())
        .cells(4, 1 << 20);
    migration.lock(|lock| lock.heartbeat(Duration::from_millis(200)))
}

/// The error that it ends with.
async fn fails(migration: MigrationBuilder) -> Error {
    let error = match migration.execute().await {
        Ok(MigrationResult { error, status, .. }) => {
            error.unwrap_or_else(|| panic!("no error, but {status:?}"))
        }
        Err(error) => error,
    };
    assert!(error.hint().is_some(), "{error:?}");
    let shown = format!("{error:?}");
    assert!(!shown.contains("sig="), "{shown}");
    error
}

/// Another process continues it, after an operator has broken the lock of the first where that
/// could not give it back.
async fn go_on(store: &Store) {
    let locks = store.locks();
    for left in locks.list().await.unwrap() {
        locks.break_lock(&left.name, left.token).await.unwrap();
    }
    let service = migrator(store, &FaultPlan::new()).with_holder(HolderId::new("second").unwrap());
    let active: Vec<_> = service.active().try_collect().await.unwrap();
    let [state] = active.as_slice() else {
        panic!("not one migration is on: {active:?}");
    };
    let resumed = service.resume(state.migration).transform(rules()).execute();
    let ended = resumed.await.unwrap();
    assert!(ended.is_success(), "{ended:?}");
}

/// Every event is there once, in order, in the new schema; and one more can be appended.
async fn nothing_is_lost(client: &ObjectClient, history: &History) {
    let read = client.read(&order(), ReadPosition::Start);
    let found: Vec<Event> = read
        .map_ok(|found| found.event)
        .try_collect()
        .await
        .unwrap();
    let mapper = Mapper::new(Arc::new(rules()));
    let image = |event: &Event| {
        let mapped = mapper.map(&order(), Revision::START, event);
        Ok(vec![mapped.map_err(|failure| failure.to_string())?.outputs])
    };
    history.check_images(&found, image).unwrap();
    let active = client.load(&order()).await.unwrap().stream().stream.clone();
    assert_ne!(active, StreamId::first(&order()));
    let (order, any) = (order(), ExpectedRevision::Any);
    let more = vec![event("more", "Paid")];
    client.append(&order, any, more).await.unwrap();
}

/// Happens before the copier's append in the middle, if it is not over by then.
fn in_the_middle<F>(step: impl Fn() -> F + Send + Sync + 'static) -> FaultPlan
where
    F: Future<Output = ()> + Send + 'static,
{
    FaultPlan::new().with(MIDDLE, Fault::Interject(Interjection::new(step)))
}

#[tokio::test]
async fn a_key_that_is_withdrawn() {
    let Some(azurite) = containers::azurite().await else {
        return;
    };
    let clock = BriskClock::new();
    let proxy = Arc::new(Proxy::before(&azurite.url(), Arc::clone(&clock.give_up)).await);
    let place = Place::behind(azurite, &proxy.url);
    let store = place.store().await;
    let history = placed(&client(&store)).await;

    let withdrawing = Arc::clone(&proxy);
    let plan = in_the_middle(move || {
        for method in ["GET", "PUT"] {
            let refused = Spoil::Instead(403, "AuthenticationFailed", "");
            withdrawing.spoil(method, "", usize::MAX, refused);
        }
        std::future::ready(())
    });
    let error = fails(migration(&migrator(&store, &plan))).await;
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error:?}");
    assert!(error.hint().unwrap().contains("key"), "{error:?}");

    proxy.relent();
    go_on(&place.store().await).await;
    nothing_is_lost(&client(&store), &history).await;
}

#[tokio::test]
async fn a_signature_that_expires() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let store = place.store().await;
    let history = placed(&client(&store)).await;

    let soon = Environment::system().clock.now() + Duration::from_secs(15);
    let expiry = soon.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let expiring = Signature {
        expiry: &expiry,
        ..Signature::default()
    };
    let expiring = expiring.connection(&place.azurite);
    let expiring = esm_azure::open(&expiring, &place.address, OpenOptions::new()).await;
    let expiring = expiring.unwrap();
    let records = expiring.records();
    let plan = in_the_middle(move || {
        let records = Arc::clone(&records);
        async move {
            let clock = Environment::system().clock;
            let index = esm_core::store::RecordKey::Index;
            while records.latest(&index).await.is_ok() {
                clock.sleep(Duration::from_millis(50)).await;
            }
        }
    });
    let error = fails(migration(&migrator(&expiring, &plan))).await;
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error:?}");
    assert!(error.hint().unwrap().contains("expired"), "{error:?}");

    go_on(&place.store().await).await;
    nothing_is_lost(&client(&store), &history).await;
}

/// A clock that can be set wrong.
#[derive(Debug, Clone, Default)]
struct SkewedClock {
    system: SystemClock,
    behind: Arc<Mutex<Duration>>,
}

#[async_trait]
impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        self.system.now() - *self.behind.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.system.sleep(duration).await;
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let clock = SkewedClock::default();
    let environment = Environment {
        clock: Arc::new(clock.clone()),
        ..Environment::system()
    };
    let options = OpenOptions::new().with_environment(environment);
    let store = place.store_with(options).await;
    let history = placed(&client(&store)).await;

    let set_back = Arc::clone(&clock.behind);
    let plan = in_the_middle(move || {
        *set_back.lock().unwrap() = Duration::from_secs(3 * 60 * 60);
        std::future::ready(())
    });
    let error = fails(migration(&migrator(&store, &plan))).await;
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error:?}");
    assert!(error.hint().unwrap().contains("clock"), "{error:?}");

    *clock.behind.lock().unwrap() = Duration::ZERO;
    go_on(&store).await;
    nothing_is_lost(&client(&store), &history).await;
}

#[tokio::test]
async fn a_lease_that_is_broken() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let place = Arc::new(place);
    let store = place.store().await;
    let history = placed(&client(&store)).await;

    let (operator, requests) = (place.store().await.locks(), Arc::clone(&place));
    let plan = in_the_middle(move || {
        let (operator, requests) = (Arc::clone(&operator), Arc::clone(&requests));
        async move {
            let held = operator.list().await.unwrap();
            assert!(!held.is_empty(), "the migrator holds no lock");
            for lock in held {
                operator.break_lock(&lock.name, lock.token).await.unwrap();
            }
            // the copier hangs here until its heartbeat has found out
            requests.requests();
            let clock = Environment::system().clock;
            while !requests.requests().iter().any(|sent| sent == "PUT lease") {
                clock.sleep(Duration::from_millis(20)).await;
            }
        }
    });
    let error = fails(migration(&migrator(&store, &plan))).await;
    assert_eq!(error.kind(), &ErrorKind::LockLost, "{error:?}");

    go_on(&place.store().await).await;
    nothing_is_lost(&client(&store), &history).await;
}

/// The first holder loses its lease, and hangs until another has brought the migration to its end.
#[tokio::test]
async fn a_lease_that_another_takes_over() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let (store, other) = (place.store().await, place.store().await);
    let history = placed(&client(&store)).await;

    let ended = Arc::new(Mutex::new(None));
    let meanwhile = Arc::clone(&ended);
    let plan = in_the_middle(move || {
        // it continues when the first has learned that its lease is lost, and hangs no longer
        let other = other.clone();
        let takeover = tokio::spawn(async move { go_on(&other).await });
        let takeover = takeover.map(Result::unwrap).shared();
        *meanwhile.lock().unwrap() = Some(takeover.clone());
        takeover
    });
    let error = fails(migration(&migrator(&store, &plan))).await;
    let takeover = ended.lock().unwrap().take().unwrap();
    takeover.await;
    let kinds = [ErrorKind::LockLost, ErrorKind::Fenced];
    assert!(kinds.contains(error.kind()), "{error:?}");
    nothing_is_lost(&client(&store), &history).await;
    let service = migrator(&store, &plan);
    let active: Vec<_> = service.active().try_collect().await.unwrap();
    assert!(active.is_empty(), "{active:?}");
}

#[tokio::test]
async fn a_cell_that_is_changed_behind_its_back() {
    // the last byte but one of a cell of the target that was copied already, and of the source
    for (which, end) in [
        ("its target", "/c/00000000000000000001"),
        ("its source", "/c/00000000000000000009"),
    ] {
        let Some(place) = Place::fresh().await else {
            return;
        };
        let place = Arc::new(place);
        let store = place.store().await;
        let history = placed(&client(&store)).await;
        let source = format!("{}/c/", source_of(&place).await);

        let (spoilt, is_source) = (Arc::clone(&place), which == "its source");
        let cell = Arc::new(Mutex::new(None));
        let found = Arc::clone(&cell);
        let plan = in_the_middle(move || {
            let (place, found, source) = (Arc::clone(&spoilt), Arc::clone(&found), source.clone());
            async move {
                let names = names(&place).await;
                let is_meant =
                    |name: &&String| name.ends_with(end) && name.contains(&source) == is_source;
                let name = names.iter().find(is_meant).unwrap().clone();
                flip(&place, &name).await;
                *found.lock().unwrap() = Some(name);
            }
        });
        // in one lane, which compares behind the copy: what was compared before is not read again
        let migration = migration(&migrator(&store, &plan)).concurrency(1);
        let error = fails(migration).await;
        assert_eq!(error.kind(), &ErrorKind::Corrupt, "{which}: {error:?}");
        let name = cell.lock().unwrap().clone().unwrap();
        let shown = format!("{error:?}");
        assert!(
            shown.contains(name.trim_start_matches('/')),
            "{which}: {shown}"
        );

        flip(&place, &name).await;
        go_on(&place.store().await).await;
        nothing_is_lost(&client(&store), &history).await;
    }
}

/// The folder of the only stream that there is.
async fn source_of(place: &Place) -> String {
    let names = names(place).await;
    let cell = names.iter().find(|name| name.contains("/c/")).unwrap();
    cell.split("/c/").next().unwrap().to_owned()
}

/// Changes a blob, and changes it back the second time.
async fn flip(place: &Place, name: &str) {
    change(&blob(place, name).await, |bytes| {
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
    })
    .await;
}

/// The target's container is deleted under the migrator: applications notice nothing, and when the
/// container is restored, as soft delete does it, the migration continues.
#[tokio::test]
async fn a_container_that_is_deleted() {
    let Some(azurite) = containers::azurite().await else {
        return;
    };
    let name = format!("gone-{}", Environment::system().uuid_v4());
    let account = connection(&azurite, &azurite.url());
    let address = format!("az://{name}");
    let there = esm_azure::open_or_create(&account, &address, OpenOptions::new());
    let there = there.await.unwrap();
    let home = MemoryWorld::new(Environment::system());
    let stores = Stores::new(home.event_store()).with(there.event_store());
    let client = ObjectClient::new(home.records(), stores, home.environment.clone());
    let history = placed(&client).await;

    let kept = Arc::new(Mutex::new(Vec::new()));
    let (deleted, keep) = (azurite.clone(), Arc::clone(&kept));
    let plan = FaultPlan::new();
    let to = plan.actor("migrator").event_store(there.event_store());
    let gone = name.clone();
    let deletion = Interjection::new(move || {
        let (azurite, keep, name) = (deleted.clone(), Arc::clone(&keep), gone.clone());
        async move {
            let blobs = copied(&azurite, &name).await;
            container(&azurite, &name).delete(None).await.unwrap();
            *keep.lock().unwrap() = blobs;
        }
    });
    plan.inject(MIDDLE, Fault::Interject(deletion));
    let service = |to| {
        let stores = Stores::new(home.event_store()).with(to);
        MigrationService::new(stores, home.records(), home.locks())
    };
    let first = service(Arc::clone(&to));
    let error = fails(migration(&first).to_store(to)).await;
    assert_eq!(error.kind(), &ErrorKind::NotFound, "{error:?}");
    let shown = format!("{error:?}");
    assert!(shown.contains("container does not exist"), "{shown}");
    let meanwhile = event("meanwhile", "Paid");
    let attempted = history.begin(vec![meanwhile.clone()]);
    let (order, any) = (order(), ExpectedRevision::Any);
    client.append(&order, any, vec![meanwhile]).await.unwrap();
    attempted.acknowledged();

    let blobs = std::mem::take(&mut *kept.lock().unwrap());
    restored(&azurite, &name, blobs).await;
    let second = service(there.event_store());
    let active: Vec<_> = second.active().try_collect().await.unwrap();
    let resumed = second.resume(active[0].migration).transform(rules());
    let ended = resumed.execute().await.unwrap();
    assert!(ended.is_success(), "{ended:?}");
    nothing_is_lost(&client, &history).await;
}

/// All blobs of a container.
async fn copied(azurite: &containers::Azurite, name: &str) -> Vec<(String, Bytes)> {
    let blobs = container(azurite, name);
    let options = BlobContainerClientListBlobsOptions::default();
    let pages = blobs.list_blobs(Some(options)).unwrap().into_pages();
    let pages: Vec<_> = pages.try_collect().await.unwrap();
    let mut copies = Vec::new();
    for page in pages {
        for blob in page.into_model().unwrap().blob_items {
            let name = blob.name.unwrap();
            let read = blobs.blob_client(&name).download(None).await.unwrap();
            copies.push((name, read.body.collect().await.unwrap()));
        }
    }
    copies
}

/// Makes the container again, with these blobs.
async fn restored(azurite: &containers::Azurite, name: &str, copies: Vec<(String, Bytes)>) {
    let blobs = container(azurite, name);
    blobs.create(None).await.unwrap();
    for (name, body) in copies {
        let blob = blobs.blob_client(&name);
        blob.upload(body.into(), None).await.unwrap();
    }
}

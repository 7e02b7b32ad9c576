//! Connections that are cut, and servers that are killed, in the middle of writes.

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::clock::Environment;
use esm_core::id::{CommitId, ObjectId, StreamId};
use esm_core::migration::MigrationService;
use esm_core::router::{ExpectedRevision, ObjectClient, ReadPosition};
use esm_core::store::{Append, EventStore, PageLimit, ReadFrom, Tail};
use esm_testkit::containers::PostgresVersion;
use esm_testkit::{Rule, Rules};
use futures::TryStreamExt as _;
use tokio::sync::mpsc;

use crate::local_server::LocalServer;
use crate::place::{Place, event};
use crate::proxy::{Cut, behind};

fn stream() -> StreamId {
    StreamId::new("s").unwrap()
}

fn append(commit: CommitId, id: &str) -> Append {
    Append::events(commit, vec![event(id).into()])
}

async fn events(store: &dyn EventStore) -> Vec<String> {
    let limit = PageLimit::default();
    let page = store
        .read(&stream(), ReadFrom::Seq(0), limit)
        .await
        .unwrap();
    let events = page.cells.into_iter().flat_map(|cell| cell.events);
    events.map(|copied| copied.event.id.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_connection_was_cut_takes_place_once() {
    let Some(place) = Place::fresh(PostgresVersion::V18).await else {
        return;
    };
    place.store().await;
    let (proxy, behind) = behind(&place).await;
    let store = behind.store_in_real_time().await.event_store();
    let mut tail = Tail::default();
    let cuts = [
        &[Cut::Before][..],
        &[Cut::After],
        &[Cut::Before, Cut::After],
        &[Cut::After, Cut::Before],
    ];
    let mut expected = Vec::new();
    for (number, cuts) in cuts.iter().enumerate() {
        proxy.cut(cuts);
        let id = number.to_string();
        let commit = Environment::system().commit_id();
        let appended = store.append(&stream(), &tail, append(commit, &id)).await;
        tail = appended.unwrap();
        expected.push(id);
        assert_eq!(events(&*store).await, expected, "{cuts:?}");
        proxy.cut(&[]);
    }
    assert!(proxy.made() >= 5, "{}", proxy.made());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_cannot_be_read_back_is_ambiguous_and_settled_by_its_commit() {
    let Some(place) = Place::fresh(PostgresVersion::V18).await else {
        return;
    };
    place.store().await;
    for (cut, takes_place) in [(Cut::Before, false), (Cut::After, true)] {
        let (proxy, behind) = behind(&place).await;
        let store = behind.brisk_store().await.event_store();
        let tail = store.tail(&stream()).await.unwrap();
        let before = events(&*place.store().await.event_store()).await.len();
        let commit = Environment::system().commit_id();
        proxy.close_after(cut);
        let id = format!("{cut:?}");
        let error = store.append(&stream(), &tail, append(commit, &id)).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Ambiguous, "{error:?}");
        assert!(!format!("{error:?}").contains("PGPASSWORD"), "{error:?}");
        proxy.open();
        let found = events(&*place.store().await.event_store()).await;
        assert_eq!(found.len() > before, takes_place, "{found:?}");
        // the same append again: it is done once, whatever became of the first
        store
            .append(&stream(), &tail, append(commit, &id))
            .await
            .unwrap();
        let found = events(&*place.store().await.event_store()).await;
        assert_eq!(found.len(), before + 1, "{found:?}");
    }
}

/// Appends one event after another until nobody receives them; reports each that was acknowledged.
async fn write(
    client: Arc<ObjectClient>,
    object: ObjectId,
    acknowledged: mpsc::UnboundedSender<String>,
) {
    for number in 0.. {
        let id = format!("{object}-{number}");
        let any = ExpectedRevision::Any;
        let appended = client.append(&object, any, vec![event(&id)]).await;
        if appended.is_ok() && acknowledged.send(id).is_err() {
            return;
        }
        if acknowledged.is_closed() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_loses_nothing_that_it_acknowledged() {
    let test = "interrupted::a_server_that_is_killed_loses_nothing_that_it_acknowledged";
    let Some(mut server) = LocalServer::new(test) else {
        return;
    };
    server.start().await;
    let place = Place::at(server.address(), "");
    let store = place.store_in_real_time().await;
    let environment = Environment::system();
    let client = ObjectClient::new(store.records(), store.event_store(), environment);
    let client = Arc::new(client);
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let objects: Vec<ObjectId> = (0..3)
        .map(|n| format!("order/{n}").parse().unwrap())
        .collect();
    let writers: Vec<_> = objects
        .iter()
        .map(|object| tokio::spawn(write(Arc::clone(&client), object.clone(), sender.clone())))
        .collect();
    drop(sender);
    let mut acknowledged = Vec::new();
    for _ in 0..3 {
        for _ in 0..40 {
            acknowledged.push(receiver.recv().await.unwrap());
        }
        server.kill();
        server.start().await;
    }
    receiver.close();
    while let Some(id) = receiver.recv().await {
        acknowledged.push(id);
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let mut found = Vec::new();
    for object in &objects {
        let read = client.read(object, ReadPosition::Start);
        let ids = read.map_ok(|read| read.event.id.to_string());
        found.extend(ids.try_collect::<Vec<_>>().await.unwrap());
    }
    for id in &acknowledged {
        let times = found.iter().filter(|found| *found == id).count();
        assert_eq!(times, 1, "{id} of {} acknowledged", acknowledged.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_whose_server_is_killed_is_completed() {
    let test = "interrupted::a_migration_whose_server_is_killed_is_completed";
    let Some(mut server) = LocalServer::new(test) else {
        return;
    };
    server.start().await;
    let place = Place::at(server.address(), "");
    let store = place.store_in_real_time().await;
    let environment = Environment::system();
    let client = ObjectClient::new(store.records(), store.event_store(), environment);
    let objects: Vec<ObjectId> = (0..40)
        .map(|n| format!("order/{n}").parse().unwrap())
        .collect();
    for object in &objects {
        let new = ExpectedRevision::NoStream;
        let events = vec![event("1"), event("2"), event("3")];
        client.append(object, new, events).await.unwrap();
    }
    let rules = || Rules::new([("Placed", Rule::Split(2))]);
    let service = MigrationService::new(store.event_store(), store.records(), store.locks());
    let running = {
        let builder = service.migrate_all().transform(rules());
        tokio::spawn(builder.execute())
    };
    let closed = "SELECT count(*) FROM esm.object WHERE key LIKE 'streams/%-v2%/c/%'";
    let watcher = place.client().await;
    while watcher
        .query_one(closed, &[])
        .await
        .unwrap()
        .get::<_, i64>(0)
        < 5
    {
        tokio::task::yield_now().await;
    }
    server.kill();
    server.start().await;
    let ended = running.await.unwrap();
    let is_done = ended.as_ref().is_ok_and(|result| result.is_success());
    if !is_done {
        let fresh = place.store_in_real_time().await;
        let locks = fresh.locks();
        for left in locks.list().await.unwrap() {
            locks.break_lock(&left.name, left.token).await.unwrap();
        }
        let service = MigrationService::new(fresh.event_store(), fresh.records(), locks);
        let active: Vec<_> = service.active().try_collect().await.unwrap();
        let resumed = service.resume(active[0].migration).transform(rules());
        let resumed = resumed.execute().await.unwrap();
        assert!(resumed.is_success(), "{resumed:?} after {ended:?}");
    }
    for object in &objects {
        let read = client.read(object, ReadPosition::Start);
        let ids: Vec<String> = read
            .map_ok(|read| read.event.id.to_string())
            .try_collect()
            .await
            .unwrap();
        assert_eq!(ids, ["1.0", "1.1", "2.0", "2.1", "3.0", "3.1"], "{object}");
    }
}

//! What operations cost in requests.

use esm_core::clock::Environment;
use esm_core::id::{HolderId, LockName, StreamId};
use esm_core::store::{Append, LockAttempt, LockRequest, PageLimit, ReadFrom, RecordKey, Tail};
use esm_testkit::event;

use crate::place::Place;

fn append(environment: &Environment, number: u64) -> Append {
    let event = event(number.to_string(), "Counted");
    Append::events(environment.commit_id(), vec![event.into()])
}

#[tokio::test]
async fn a_warm_append_is_one_request_and_nothing_is_listed() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let environment = Environment::system();
    let events = place.store().await.event_store();
    let stream = StreamId::new("stream").unwrap();
    place.requests();

    let mut tail = Tail::default();
    for number in 0..3 {
        tail = events
            .append(&stream, &tail, append(&environment, number))
            .await
            .unwrap();
        assert_eq!(place.requests(), ["PUT blob"], "append {number}");
    }
    let page = events
        .read(&stream, ReadFrom::Seq(0), PageLimit::default())
        .await
        .unwrap();
    assert_eq!(page.cells.len(), 3);
    let requests = place.requests();
    // the three, the end, and perhaps one that was asked for while the end was not known
    assert!((4..=5).contains(&requests.len()), "{requests:?}");
    assert!(requests.iter().all(|request| request == "GET blob"));
}

#[tokio::test]
async fn a_record_is_read_by_one_request_and_put_by_one() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let records = place.store().await.records();
    let key = RecordKey::Document("order/7".parse().unwrap());
    place.requests();

    records.put(&key, 0, "a".into()).await.unwrap();
    assert_eq!(place.requests(), ["PUT blob"], "the first version");
    records.put(&key, 1, "b".into()).await.unwrap();
    assert_eq!(
        place.requests(),
        ["PUT blob"],
        "a version of a record that is known"
    );
    records.latest(&key).await.unwrap();
    assert_eq!(place.requests(), ["GET blob"], "the newest version");

    let other = place.store().await.records();
    place.requests();
    other.put(&key, 2, "c".into()).await.unwrap();
    assert_eq!(
        place.requests(),
        ["GET blob", "PUT blob"],
        "a version of one that is not"
    );
    assert!(records.put(&key, 2, "d".into()).await.is_err());
    assert_eq!(
        place.requests(),
        ["PUT blob", "GET blob"],
        "a version that is taken"
    );
    let found = records.get(&key, 0).await.unwrap();
    assert_eq!(found.unwrap().body, "a");
    assert_eq!(place.requests(), [""; 0], "a version that was seen");
}

#[tokio::test]
async fn a_lock_costs_what_it_must() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let locks = place.store().await.locks();
    let name = LockName::new("order/7").unwrap();
    let request = LockRequest {
        holder: HolderId::new("somebody").unwrap(),
        lease: std::time::Duration::from_secs(60),
        migration: None,
        at: Environment::system().clock.now(),
        process: None,
    };
    let acquire = async || match locks.try_acquire(&name, &request).await.unwrap() {
        LockAttempt::Acquired(grant) => grant,
        LockAttempt::Held(info) => panic!("held: {info:?}"),
    };
    place.requests();

    let grant = acquire().await;
    assert_eq!(
        place.requests(),
        ["GET blob", "PUT blob", "PUT lease"],
        "the first time"
    );
    locks.renew(&grant).await.unwrap();
    assert_eq!(place.requests(), ["PUT lease"], "a heartbeat");
    locks.release(&grant).await.unwrap();
    assert_eq!(place.requests(), ["PUT lease"], "the release");
    acquire().await;
    assert_eq!(
        place.requests(),
        ["GET blob", "PUT lease", "PUT blob"],
        "any later time"
    );
    let attempt = locks.try_acquire(&name, &request).await.unwrap();
    assert!(matches!(attempt, LockAttempt::Held(_)), "{attempt:?}");
    assert_eq!(place.requests(), ["GET blob"], "one that another holds");
}

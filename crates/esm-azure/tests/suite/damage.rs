//! Blobs that were changed or removed behind the store's back.

use esm_core::ErrorKind;
use esm_core::clock::Environment;
use esm_core::id::{HolderId, LockName, StreamId};
use esm_core::store::{
    Append, EventStore, LockAttempt, LockRequest, PageLimit, ReadFrom, RecordKey, Tail,
};
use esm_testkit::event;

use crate::place::{Place, blob, change};

async fn appended(events: &dyn EventStore, stream: &StreamId, count: u64) -> Tail {
    let mut tail = Tail::default();
    for number in 0..count {
        let event = event(number.to_string(), "Counted");
        let append = Append::events(Environment::system().commit_id(), vec![event.into()]);
        tail = events.append(stream, &tail, append).await.unwrap();
    }
    tail
}

#[tokio::test]
async fn a_cell_that_was_changed_is_corrupt_and_named() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let stream = StreamId::new("stream").unwrap();
    appended(&*place.store().await.event_store(), &stream, 3).await;
    let cell = blob(&place, "/c/00000000000000000001").await;
    change(&cell, |bytes| {
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
    })
    .await;
    let events = place.store().await.event_store();
    let read = events.read(&stream, ReadFrom::Seq(0), PageLimit::default());
    let error = read.await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Corrupt, "{error:?}");
    assert!(
        error.to_string().contains("00000000000000000001"),
        "{error}"
    );
}

#[tokio::test]
async fn a_cell_that_was_removed_is_gone_and_not_the_end() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let stream = StreamId::new("stream").unwrap();
    let events = place.store().await.event_store();
    appended(&*events, &stream, 3).await;
    blob(&place, "/c/00000000000000000001")
        .await
        .delete(None)
        .await
        .unwrap();
    let read = events.read(&stream, ReadFrom::Seq(0), PageLimit::default());
    assert_eq!(read.await.unwrap_err().kind(), &ErrorKind::Gone);
}

#[tokio::test]
async fn a_record_that_was_changed_is_corrupt_for_readers_and_writers() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let records = place.store().await.records();
    let key = RecordKey::Document("order/7".parse().unwrap());
    records.put(&key, 0, "{\"a\":1}".into()).await.unwrap();
    change(&blob(&place, "/latest").await, |bytes| {
        let last = bytes.len() - 2;
        bytes[last] = b'2';
    })
    .await;
    for error in [
        records.latest(&key).await.unwrap_err(),
        records.put(&key, 1, "b".into()).await.unwrap_err(),
        place
            .store()
            .await
            .records()
            .latest(&key)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), &ErrorKind::Corrupt, "{error:?}");
        assert!(
            error.to_string().contains("documents/order/7/latest"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_record_that_was_removed_is_not_written_over() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let records = place.store().await.records();
    let key = RecordKey::Document("order/7".parse().unwrap());
    records.put(&key, 0, "a".into()).await.unwrap();
    blob(&place, "/latest").await.delete(None).await.unwrap();
    let error = records.put(&key, 1, "b".into()).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Conflict { .. }),
        "{error:?}"
    );
    assert_eq!(records.latest(&key).await.unwrap(), None);
}

#[tokio::test]
async fn versions_that_were_put_aside_are_found_and_missed() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let records = place.store().await.records();
    let body = |number: u64| bytes::Bytes::from(format!("{number} {}", "x".repeat(30_000)));
    for number in 0..8 {
        records
            .put(&RecordKey::Index, number, body(number))
            .await
            .unwrap();
    }
    let other = place.store().await.records();
    for number in 0..8 {
        let found = other.get(&RecordKey::Index, number).await.unwrap().unwrap();
        assert_eq!(found.body, body(number));
    }
    assert_eq!(other.get(&RecordKey::Index, 8).await.unwrap(), None);
    blob(&place, "/index/00000000000000000002")
        .await
        .delete(None)
        .await
        .unwrap();
    let fresh = place.store().await.records();
    let error = fresh.get(&RecordKey::Index, 0).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Corrupt, "{error:?}");
    assert_eq!(
        fresh
            .latest(&RecordKey::Index)
            .await
            .unwrap()
            .unwrap()
            .number,
        7
    );
}

#[tokio::test]
async fn a_lock_whose_blob_was_changed_is_named_broken_and_acquired_and_one_that_was_removed_is_free()
 {
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
    let LockAttempt::Acquired(grant) = locks.try_acquire(&name, &request).await.unwrap() else {
        panic!("a fresh lock is held");
    };
    locks.release(&grant).await.unwrap();
    let lease = blob(&place, "/lease").await;
    change(&lease, |bytes| bytes.clear()).await;
    let seen = locks.inspect(&name).await.unwrap().unwrap();
    assert!(seen.damage.is_some_and(|what| what.contains("lease")) && !seen.held);
    // the service knows that it is free, and its next number is above the lost one
    let LockAttempt::Acquired(next) = locks.try_acquire(&name, &request).await.unwrap() else {
        panic!("a damaged lock that is free is held");
    };
    assert!(next.token > grant.token, "{next:?}");
    locks.break_lock(&name, next.token).await.unwrap();
    lease.delete(None).await.unwrap();
    let attempt = locks.try_acquire(&name, &request).await.unwrap();
    assert!(matches!(attempt, LockAttempt::Acquired(_)), "{attempt:?}");
}

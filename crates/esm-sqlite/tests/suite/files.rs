//! Files that are missing, damaged, foreign, read-only or locked.

use std::fs;

use esm_core::ErrorKind;
use esm_core::event::Event;
use esm_core::id::{EventId, EventType, ObjectId};
use esm_core::router::{ExpectedRevision, ObjectClient, ReadPosition};
use esm_sqlite::OpenOptions;
use futures::TryStreamExt as _;

use crate::place::Place;

async fn refused(address: &str, options: OpenOptions) -> esm_core::Error {
    esm_sqlite::open(address, options).await.unwrap_err()
}

#[tokio::test]
async fn what_is_not_there_is_not_created_by_reading() {
    let place = Place::default();
    let error = refused(&place.address(), OpenOptions::new().read_only()).await;
    assert_eq!(error.kind(), &ErrorKind::NotFound);
    let error = esm_sqlite::open_or_create(&place.address(), OpenOptions::new().read_only())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::NotFound);
    assert!(!place.path().exists());
}

#[tokio::test]
async fn several_that_create_a_store_get_the_same() {
    let place = Place::default();
    for round in 0..10 {
        let address = format!("{}{round}", place.address());
        let open = || esm_sqlite::open_or_create(&address, OpenOptions::new());
        let opened = futures::future::try_join_all((0..8).map(|_| open())).await;
        let opened = opened.unwrap();
        assert!(opened.iter().all(|store| store.id() == opened[0].id()));
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let place = Place::default();
    let tables = "CREATE TABLE customer (name TEXT); INSERT INTO customer VALUES ('Zoë');";
    place.connection().execute_batch(tables).unwrap();
    let before = fs::read(place.path()).unwrap();
    let error = esm_sqlite::open_or_create(&place.address(), OpenOptions::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Invalid);
    assert!(error.to_string().contains("another program"), "{error}");
    assert_eq!(fs::read(place.path()).unwrap(), before);
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let place = Place::default();
    place.store().await;
    let newer = "PRAGMA user_version = 7";
    place.connection().execute_batch(newer).unwrap();
    let error = refused(&place.address(), OpenOptions::new()).await;
    assert_eq!(error.kind(), &ErrorKind::Unsupported);
    assert!(error.to_string().contains("newer format 7"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let place = Place::default();
    fs::write(
        place.path(),
        "no database at all, but long enough".repeat(200),
    )
    .unwrap();
    for options in [OpenOptions::new(), OpenOptions::new().read_only()] {
        let error = refused(&place.address(), options).await;
        assert_eq!(error.kind(), &ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("shop.db"), "{error}");
    }
}

#[tokio::test]
async fn a_writer_that_holds_a_transaction_open_holds_up_and_breaks_nothing() {
    let place = Place::default();
    let store = place.store().await;
    let client = ObjectClient::new(
        store.records(),
        store.event_store(),
        esm_core::clock::Environment::system(),
    );
    let object: ObjectId = "order/1".parse().unwrap();
    let other = place.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let event = Event::new(
        EventId::new("1").unwrap(),
        EventType::new("Placed").unwrap(),
        "{}",
    );
    let append = client.append(&object, ExpectedRevision::NoStream, vec![event]);
    tokio::pin!(append);
    // it waits for the other's transaction; a reader does not
    assert!(futures::poll!(append.as_mut()).is_pending());
    let listed: Vec<_> = store
        .records()
        .list(esm_core::store::RecordCollection::Journals)
        .try_collect()
        .await
        .unwrap();
    assert!(listed.is_empty());
    other.execute_batch("COMMIT").unwrap();
    append.await.unwrap();
    let read = client.read(&object, ReadPosition::Start);
    assert_eq!(read.try_collect::<Vec<_>>().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_for_a_process_that_opens_the_file_anew() {
    let place = Place::default();
    let store = place.store().await;
    let key = esm_core::store::RecordKey::Index;
    for number in 0..20 {
        let body = number.to_string().into();
        store.records().put(&key, number, body).await.unwrap();
        let other = esm_sqlite::open(&place.address(), OpenOptions::new().read_only())
            .await
            .unwrap();
        let newest = other.records().latest(&key).await.unwrap().unwrap();
        assert_eq!(newest.number, number);
    }
}

//! What opening a store tests, and what it leaves behind.

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::foreign::{CloseProof, ForeignEventStore};
use esm_core::store::{EventStore, Shortcoming, Tail};
use esm_testkit::environment;

use super::fixture::{append, event, open, stream};
use super::kurrent::{Adapter, Kurrent, NEW};

#[tokio::test]
async fn a_store_gets_one_id_and_is_tested_once() {
    let kurrent = Kurrent::rolled_out();
    let first = open(Adapter::new(&kurrent), 1).await;
    assert_eq!(first.finding(), None);
    assert_eq!(first.capabilities().shortcoming, None);
    let (streams, events) = (kurrent.streams(), kurrent.events());
    assert_eq!(
        streams.len(),
        2,
        "the marker and one closed probe: {streams:?}"
    );
    let again = open(Adapter::new(&kurrent), 2).await;
    assert_eq!((again.id(), again.finding()), (first.id(), None));
    assert_eq!(
        kurrent.events(),
        events,
        "later openings leave nothing behind"
    );
}

#[tokio::test]
async fn those_who_open_a_store_first_at_the_same_time_meet() {
    let kurrent = Kurrent::rolled_out();
    let adapter = Adapter::new(&kurrent);
    let opened = [1, 2, 3, 4].map(|seed| open(adapter.clone(), seed));
    let opened = futures::future::join_all(opened).await;
    assert!(opened.iter().all(|store| store.id() == opened[0].id()));
    assert!(opened.iter().all(|store| store.finding().is_none()));
    assert_eq!(open(adapter, 5).await.id(), opened[0].id());
}

#[tokio::test]
async fn reading_writes_nothing() {
    let kurrent = Kurrent::rolled_out();
    let read_only = || ForeignEventStore::open_read_only(Arc::new(Adapter::new(&kurrent)));
    let refused = read_only().await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::NotFound);
    assert!(refused.hint().is_some());
    assert_eq!(kurrent.streams(), [""; 0]);

    let environment = environment(1);
    let writing = open(Adapter::new(&kurrent), 1).await;
    append(&*writing, &environment, &stream("s"), vec![event("e", "E")]).await;
    let events = kurrent.events();
    let reading = read_only().await.unwrap();
    assert_eq!(reading.id(), writing.id());
    let tail = reading.tail(&stream("s")).await.unwrap();
    assert_eq!(tail, writing.tail(&stream("s")).await.unwrap());
    let append =
        esm_core::store::Append::events(environment.commit_id(), vec![event("x", "X").into()]);
    let refused = reading.append(&stream("t"), &Tail::default(), append).await;
    assert_eq!(*refused.unwrap_err().kind(), ErrorKind::Unsupported);
    let capabilities = reading.capabilities();
    assert!(!capabilities.discard && !capabilities.fence);
    assert_eq!(
        capabilities.shortcoming, None,
        "a dry run can be made on it"
    );
    assert_eq!(kurrent.events(), events);
}

#[tokio::test]
async fn a_store_that_loses_what_it_kept_is_found_out_and_may_be_mended() {
    let kurrent = Kurrent::rolled_out();
    assert_eq!(open(Adapter::new(&kurrent), 1).await.finding(), None);
    let before = kurrent.clone();
    kurrent.let_everybody_write();
    let store = open(Adapter::new(&before), 2).await;
    let finding = store.finding().unwrap();
    assert_eq!(finding.shortcoming, Shortcoming::CloseNotHonoured);
    assert!(
        finding.seen.contains("a writer of old appended at its end"),
        "{finding:?}"
    );
    let read_only = ForeignEventStore::open_read_only(Arc::new(Adapter::new(&kurrent)));
    let known = read_only.await.unwrap().capabilities().shortcoming;
    assert_eq!(known, Some(Shortcoming::CloseNotHonoured));
    // the same again adds no more than probes
    open(Adapter::new(&kurrent), 3).await;
    let marker = kurrent.read("esm-store", 0, 100).len();
    open(Adapter::new(&kurrent), 4).await;
    assert_eq!(kurrent.read("esm-store", 0, 100).len(), marker);

    kurrent.let_only_new_writers_write();
    assert_eq!(open(Adapter::new(&kurrent), 5).await.finding(), None);
}

#[tokio::test]
async fn another_proof_is_tested_anew() {
    let kurrent = Kurrent::rolled_out();
    let first = open(Adapter::new(&kurrent), 1).await;
    let claims = Adapter::new(&kurrent).with(|mut profile| {
        profile.proof = CloseProof::StoreRefuses;
        profile
    });
    let store = open(claims, 2).await;
    assert_eq!(store.id(), first.id());
    let finding = store.finding().unwrap();
    assert_eq!(finding.shortcoming, Shortcoming::CloseNotHonoured);
    assert!(
        finding.seen.contains("the store took an append"),
        "{finding:?}"
    );
}

#[tokio::test]
async fn an_application_stream_under_the_markers_name_is_no_marker() {
    let kurrent = Kurrent::rolled_out();
    let data = super::kurrent::data_of(&event("e", "E"));
    let any = super::kurrent::Expected::Any;
    kurrent.append(NEW, "esm-store", any, vec![data]).unwrap();
    let native = Arc::new(Adapter::new(&kurrent));
    let refused = ForeignEventStore::open(native, &environment(1))
        .await
        .unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Corrupt);
    assert!(refused.hint().is_some());
}

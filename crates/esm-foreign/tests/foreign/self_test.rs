//! What opening a store tests, and what it leaves behind.

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::store::{EventStore, Shortcoming, Tail};
use esm_foreign::{CloseProof, ForeignEventStore, NativeStore, Profile};
use esm_testkit::environment;
use esm_testkit::memory::MemoryNativeStore;

use super::deficient::{Defect, Deficient};
use super::fixture::{append, event, open, stream};

/// A store whose old writers are kept out.
fn rolled_out() -> MemoryNativeStore {
    MemoryNativeStore::new(Profile::new(CloseProof::FormatMarker).with_delete(true))
}

/// Number of entries in all streams.
fn entries(native: &MemoryNativeStore) -> usize {
    let streams = native.stream_ids();
    streams.iter().map(|id| native.snapshot(id).len()).sum()
}

#[tokio::test]
async fn a_store_gets_one_id_and_is_tested_once() {
    let native = rolled_out();
    let first = open(native.clone(), 1).await;
    assert_eq!(first.finding(), None);
    assert_eq!(first.capabilities().shortcoming, None);
    let (streams, events) = (native.stream_ids(), entries(&native));
    assert_eq!(
        streams.len(),
        2,
        "the marker and one closed probe: {streams:?}"
    );
    let again = open(native.clone(), 2).await;
    assert_eq!((again.id(), again.finding()), (first.id(), None));
    assert_eq!(
        entries(&native),
        events,
        "later openings leave nothing behind"
    );
}

#[tokio::test]
async fn reading_writes_nothing() {
    let native = rolled_out();
    let read_only = || ForeignEventStore::open_read_only(Arc::new(native.clone()));
    let refused = read_only().await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::NotFound);
    assert!(refused.hint().is_some());
    assert_eq!(native.stream_ids(), []);

    let environment = environment(1);
    let writing = open(native.clone(), 1).await;
    append(&*writing, &environment, &stream("s"), vec![event("e", "E")]).await;
    let events = entries(&native);
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
    assert_eq!(entries(&native), events);
}

#[tokio::test]
async fn a_store_that_loses_what_it_kept_is_found_out_and_may_be_mended() {
    let native = rolled_out();
    assert_eq!(open(native.clone(), 1).await.finding(), None);
    let lost = Deficient::new(&native, Defect::OldWritersAtWork);
    let store = open(lost.clone(), 2).await;
    let finding = store.finding().unwrap();
    assert_eq!(finding.shortcoming, Shortcoming::CloseNotHonoured);
    assert!(
        finding.seen.contains("a writer of old appended at its end"),
        "{finding:?}"
    );
    let read_only = ForeignEventStore::open_read_only(Arc::new(native.clone()));
    let known = read_only.await.unwrap().capabilities().shortcoming;
    assert_eq!(known, Some(Shortcoming::CloseNotHonoured));
    // the same again adds no more than probes
    open(lost.clone(), 3).await;
    let marker = native.snapshot(&stream("esm-store"));
    open(lost, 4).await;
    assert_eq!(native.snapshot(&stream("esm-store")), marker);

    assert_eq!(open(native, 5).await.finding(), None);
}

#[tokio::test]
async fn another_proof_is_tested_anew() {
    let native = rolled_out();
    let first = open(native.clone(), 1).await;
    let store = open(Deficient::new(&native, Defect::NobodyRefuses), 2).await;
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
    let native = rolled_out();
    let written = vec![event("e", "E").into()];
    native
        .append(&stream("esm-store"), 0, written)
        .await
        .unwrap();
    let native = Arc::new(native);
    let refused = ForeignEventStore::open(native, &environment(1))
        .await
        .unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Corrupt);
    assert!(refused.hint().is_some());
}

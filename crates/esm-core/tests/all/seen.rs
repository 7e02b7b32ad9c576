//! What a process has seen of a record saves it a read, and nothing rests on it.

use std::sync::Arc;

use esm_core::event::Revision;
use esm_core::id::{MigrationId, ObjectId, StoreId, StreamId, StreamRef};
use esm_core::object::{Documents, ObjectDocument};
use esm_core::store::Close;
use esm_testkit::faults::FaultPlan;
use esm_testkit::memory::MemoryRecords;

fn stream(name: &str) -> StreamRef {
    let store = StoreId::from_uuid(uuid::Uuid::from_u128(1));
    StreamRef::new(store, StreamId::new(name).unwrap())
}

fn close(target: &str) -> Close {
    Close {
        target: Some(stream(target)),
        events: Revision(1),
        target_events: Revision(1),
        migration: MigrationId::from_uuid(uuid::Uuid::from_u128(2)),
        continues: true,
        target_last: None,
    }
}

/// The documents as this actor sees them.
fn documents(plan: &FaultPlan, records: &Arc<MemoryRecords>, actor: &str) -> Documents {
    Documents::new(plan.actor(actor).records(records.clone()))
}

async fn created(documents: &Documents) -> ObjectId {
    let object: ObjectId = "order/1".parse().unwrap();
    let document = ObjectDocument::new(object.clone(), stream("s"), jiff::Timestamp::UNIX_EPOCH);
    documents.create(&document).await.unwrap();
    object
}

#[tokio::test]
async fn a_change_of_what_was_seen_is_one_write() {
    let (plan, records) = (FaultPlan::new(), Arc::new(MemoryRecords::new()));
    let one = documents(&plan, &records, "one");
    let object = created(&one).await;
    let before = plan.log().names();
    let changed = one.update(&object, |d| d.follow(&stream("s"), &close("t")));
    assert_eq!(changed.await.unwrap().active, stream("t"));
    let after = plan.log().names();
    assert_eq!(after["records.put"], before["records.put"] + 1);
    assert!(!after.contains_key("records.latest"), "{after:?}");
}

#[tokio::test]
async fn an_outdated_version_is_read_again_and_nobodys_change_is_lost() {
    let (plan, records) = (FaultPlan::new(), Arc::new(MemoryRecords::new()));
    let (one, two) = (
        documents(&plan, &records, "one"),
        documents(&plan, &records, "two"),
    );
    let object = created(&one).await;
    two.load(&object).await.unwrap();
    let changed = one.update(&object, |d| d.follow(&stream("s"), &close("t")));
    changed.await.unwrap();

    // done already, which the version that was seen does not show
    let mut calls = 0;
    let again = two.update(&object, |document| {
        calls += 1;
        document.follow(&stream("s"), &close("t"))
    });
    assert_eq!(again.await.unwrap().active, stream("t"));
    assert_eq!(calls, 2);
    assert_eq!(two.load(&object).await.unwrap().version, 1);

    // the next change keeps it
    let further = two.update(&object, |d| d.follow(&stream("t"), &close("u")));
    further.await.unwrap();
    // by the version before: that there is nothing to change is not believed
    let behind = one.update(&object, |_| false).await.unwrap();
    assert_eq!(behind.active, stream("u"));
    assert_eq!(behind.generation(), 2);
}

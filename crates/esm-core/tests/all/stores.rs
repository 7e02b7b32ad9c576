//! Which store an id means, where stores have had other ids before; and copies of a store.

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::id::{StoreId, StreamId, StreamRef};
use esm_core::store::{EventStore, Stores};
use esm_testkit::memory::MemoryEventStore;

const A: u128 = 0xA;
const B: u128 = 0xB;
const C: u128 = 0xC;

fn id(number: u128) -> StoreId {
    StoreId::from_uuid(uuid::Uuid::from_u128(number))
}

fn store(own: u128, aliases: &[u128]) -> Arc<dyn EventStore> {
    let aliases = aliases.iter().copied().map(id);
    Arc::new(MemoryEventStore::new(id(own)).with_aliases(aliases))
}

fn placed(own: u128, aliases: &[u128], place: &str) -> Arc<dyn EventStore> {
    let aliases = aliases.iter().copied().map(id);
    let store = MemoryEventStore::new(id(own)).with_aliases(aliases);
    Arc::new(store.at_place(place))
}

/// The own id of the store that an id means.
fn meant(stores: &Stores, number: u128) -> Option<StoreId> {
    let stream = StreamRef::new(id(number), StreamId::new("s").unwrap());
    let found = stores.of(&stream);
    if let Err(error) = &found {
        assert_eq!(error.kind(), &ErrorKind::UnknownStore);
    }
    found.ok().map(|store| store.id())
}

#[test]
fn an_earlier_id_means_the_store_that_had_it() {
    let stores = Stores::new(store(B, &[A])).with(store(C, &[]));
    assert_eq!(meant(&stores, A), Some(id(B)));
    assert_eq!(meant(&stores.read_only(), A), Some(id(B)));
    let stores = Stores::new(store(C, &[])).with(store(B, &[A]));
    assert_eq!(meant(&stores, A), Some(id(B)));
}

#[test]
fn an_own_id_wins_over_an_earlier_id_of_another_store() {
    let stores = Stores::new(store(A, &[])).with(store(B, &[A]));
    assert_eq!(meant(&stores, A), Some(id(A)));
    assert_eq!(meant(&stores, B), Some(id(B)));
    let stores = Stores::new(store(C, &[]))
        .with(store(B, &[A]))
        .with(store(A, &[]));
    assert_eq!(meant(&stores, A), Some(id(A)));
}

#[test]
fn home_wins_where_two_stores_had_the_same_id() {
    let stores = Stores::new(store(B, &[A])).with(store(C, &[A]));
    assert_eq!(meant(&stores, A), Some(id(B)));
}

#[test]
fn an_earlier_id_of_two_other_stores_means_none_of_them() {
    let home = Stores::new(store(0xD, &[]));
    let stores = home.with(store(B, &[A])).with(store(C, &[A]));
    assert_eq!(meant(&stores, A), None);
    assert_eq!(meant(&stores, C), Some(id(C)));
}

#[test]
fn a_copy_with_the_same_id_is_refused() {
    let stores = Stores::new(placed(A, &[], "/original")).with(placed(B, &[], "/b"));
    stores.ensure_apart(&*placed(A, &[], "/original")).unwrap();
    // without a place nothing is known
    stores.ensure_apart(&*store(A, &[])).unwrap();
    for (copied, copy) in [(A, "/original"), (B, "/b")] {
        let error = stores
            .ensure_apart(&*placed(copied, &[], "/copy"))
            .unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Invalid);
        let text = error.to_string();
        assert!(text.contains(copy) && text.contains("/copy"), "{text}");
        assert!(error.hint().is_some_and(|hint| hint.contains("new-id")));
    }
}

#[test]
fn a_copy_is_not_home_beside_the_store_that_its_documents_name() {
    let copy = Stores::new(placed(B, &[A], "/copy"));
    let error = copy
        .ensure_apart(&*placed(A, &[], "/original"))
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Invalid);
    let text = error.to_string();
    assert!(
        text.contains("/copy") && text.contains("/original"),
        "{text}"
    );
    copy.ensure_apart(&*placed(C, &[A], "/original")).unwrap();
    // the original's documents name the original
    let original = Stores::new(placed(A, &[], "/original"));
    original.ensure_apart(&*placed(B, &[A], "/copy")).unwrap();
}

//! Streams that a document leaves out: found, read, translated; and what damage to their versions
//! does.

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::event::{Position, Revision};
use esm_core::migration::MigrationService;
use esm_core::object::ObjectDocument;
use esm_core::router::{ObjectReader, ReadPosition, Translation};
use esm_core::store::{EarlierStreams, RecordsExt as _};
use esm_core::transform::Identity;
use esm_testkit::damage::{Damage, DamagedRecords};
use futures::TryStreamExt as _;

use super::Long;
use crate::world::race;

#[tokio::test(start_paused = true)]
async fn every_stream_of_forty_migrations_is_located_read_and_translated() {
    let long = Long::chain(40).await;
    long.is_sound(40).await;
    let (client, order) = (long.world.client(), &long.world.order);
    let reader = ObjectReader::new(
        long.world.storage.records(),
        long.world.storage.event_store(),
    );
    let (loaded, whole) = (reader.load(order).await.unwrap(), long.whole().await);
    for (number, end) in long.ends.iter().enumerate() {
        let translated = reader.translate(order, end).await.unwrap();
        let next = whole.terminated[number].continuation.clone();
        let revision = end.revision;
        let expected = match whole.generation_of(&next) {
            Some(40) => Translation::Active(Position {
                stream: next.stream,
                revision,
            }),
            // an event was appended there before the next Close
            _ => Translation::History {
                stream: next,
                revision,
            },
        };
        assert_eq!(translated, expected);
        // what was appended behind it, over every Close since
        let rest = client.read(order, ReadPosition::At(end.clone()));
        let rest: Vec<_> = rest.try_collect().await.unwrap();
        assert_eq!(
            rest.len() as u64,
            loaded.position().revision.0 - end.revision.0
        );
    }
    let chain = reader.chain(order, &long.ends[0].stream).await.unwrap();
    assert_eq!(chain.closes.len(), 40);
    let unknown = Position {
        stream: "another.stream".parse().unwrap(),
        revision: Revision(1),
    };
    let error = reader.translate(order, &unknown).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound);
}

/// The document knows how many events a stream has at least, also one that it leaves out.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_left_out_and_lost_cells_is_gone() {
    let long = Long::chain(30).await;
    let (order, store) = (&long.world.order, &long.world.storage.event_store);
    let reader = ObjectReader::new(
        long.world.storage.records(),
        long.world.storage.event_store(),
    );
    let end = &long.ends[10];
    let whole = long.whole().await;
    let listed = long.document().await;
    assert!(listed.terminated(&whole.terminated[10].stream).is_none());
    let cells = store.snapshot(&end.stream).len() as u64;
    // its Close, then an event, then all
    for seq in [cells - 1, cells - 2, 0] {
        store.lose_from(&end.stream, seq);
        for from in [&long.ends[0], end] {
            let error = reader.translate(order, from).await.unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Gone, "{error}");
            assert!(error.to_string().contains(end.stream.as_str()), "{error}");
            let at = ReadPosition::At(Position {
                stream: from.stream.clone(),
                revision: Revision(0),
            });
            let read = reader.read(order, at).try_collect::<Vec<_>>().await;
            assert_eq!(*read.unwrap_err().kind(), ErrorKind::Gone);
        }
        reader.load(order).await.expect("newer streams are whole");
        reader
            .translate(order, &long.ends[11])
            .await
            .expect("it is newer");
    }
}

/// What needs the streams that are left out names the version; all else works.
#[tokio::test(start_paused = true)]
async fn a_damaged_version_that_has_earlier_streams_is_named_and_blocks_nothing_else() {
    let long = Long::chain(30).await;
    let (order, storage) = (&long.world.order, &long.world.storage);
    let document = long.document().await;
    let page = document.left_out().unwrap().version;
    for damage in [Damage::Unreadable, Damage::Lost] {
        let records = Arc::new(DamagedRecords::new(storage.records()));
        let kind = match damage {
            Damage::Lost => ErrorKind::Gone,
            Damage::Unreadable => ErrorKind::Corrupt,
        };
        records.damage(&long.key(), page, damage);
        let reader = ObjectReader::new(Arc::clone(&records) as _, storage.event_store());
        // the first stream, and those that are left out
        let left_out = document.left_out().unwrap().count as usize;
        for end in &long.ends[..=left_out] {
            let error = reader.translate(order, end).await.unwrap_err();
            assert_eq!(*error.kind(), kind, "{error}");
            let named = format!("version {page}");
            assert!(error.to_string().contains(&named), "{error}");
        }
        let newest = long.ends.last().unwrap();
        reader.translate(order, newest).await.unwrap();
        let service = MigrationService::new(
            storage.event_store(),
            Arc::clone(&records) as _,
            storage.locks(),
        );
        let service = service.with_environment(storage.environment.clone());
        let migrated = service.migrate(order.clone()).transform(Identity).again();
        let migrated = long.world.succeeded(migrated.execute().await);
        // so is the rollback of the newest
        let back = service.roll_back(migrated.migration).execute().await;
        long.world.succeeded(back);
    }
}

/// A version is a page only for what it has.
#[tokio::test(start_paused = true)]
async fn a_version_without_the_streams_that_are_left_to_it_is_corrupt() {
    let long = Long::chain(30).await;
    let records = long.world.storage.records();
    let newest = records.latest_as::<ObjectDocument>(&long.key()).await;
    let (newest, document) = newest.unwrap().unwrap();
    let right = document.left_out().unwrap().clone();
    let wrong: [fn(&mut EarlierStreams); 4] = [
        |earlier| earlier.version = 3,
        |earlier| earlier.version = u64::MAX,
        |earlier| earlier.count += 1,
        |earlier| earlier.count = 0,
    ];
    for (number, change) in (newest + 1..).zip(wrong) {
        let mut changed = document.clone();
        let mut earlier = right.clone();
        change(&mut earlier);
        changed.earlier_streams = Some(earlier.clone());
        records.put_as(&long.key(), number, &changed).await.unwrap();
        let error = long.documents().whole(changed).await.unwrap_err();
        let damage = [ErrorKind::Corrupt, ErrorKind::Gone];
        assert!(damage.contains(error.kind()), "{earlier:?}: {error}");
        assert!(error.to_string().contains("document of order/1"), "{error}");
    }
}

/// The list of an older version of esm, which leaves out nothing.
#[tokio::test(start_paused = true)]
async fn concurrent_updates_of_a_document_that_lists_all_its_streams_lose_none() {
    let long = Long::chain(30).await;
    let (documents, order) = (long.documents(), &long.world.order);
    let whole = long.whole().await;
    let next = documents.load(order).await.unwrap().version + 1;
    let records = long.world.storage.records();
    records.put_as(&long.key(), next, &whole).await.unwrap();
    let results = race(8, |number| {
        let (documents, order) = (documents.clone(), order.clone());
        async move {
            let update = documents.update(&order, |document| {
                let field = format!("user-{number}");
                document.extra.insert(field, number.into());
                true
            });
            update.await
        }
    });
    for updated in results.await {
        updated.unwrap();
    }
    assert_eq!(long.document().await.extra.len(), 8);
    assert_eq!(long.whole().await.terminated, whole.terminated);
    long.is_sound(30).await;
}

/// Two that change the same stream, one of them on the basis of what the other has replaced.
#[tokio::test(start_paused = true)]
async fn concurrent_changes_of_a_stream_that_is_left_out_are_all_kept() {
    let long = Long::chain(30).await;
    let (documents, order) = (long.documents(), &long.world.order);
    let stream = long.whole().await.terminated[5].stream.clone();
    let results = race(24, |number| {
        let (documents, order, stream) = (documents.clone(), order.clone(), stream.clone());
        async move {
            let update = documents.update_terminated(&order, &stream, |document| {
                let entry = document
                    .terminated_mut(&stream)
                    .expect("it is the object's");
                let key = format!("user-{number}");
                entry.metadata.insert(key, "x".to_owned()).is_none()
            });
            update.await
        }
    });
    for updated in results.await {
        assert!(updated.unwrap().terminated(&stream).is_some());
    }
    assert_eq!(long.whole().await.terminated[5].metadata.len(), 24);
    long.is_sound(30).await;
}

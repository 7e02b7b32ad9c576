//! Objects of several parts: the data files of backups.

use esm_core::backup::{BackupOptions, BackupService};
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{EventId, EventType, ObjectId};
use esm_core::migration::Scope;
use esm_core::router::{ExpectedRevision, ObjectClient};

use crate::place::Place;

#[tokio::test]
async fn a_backup_of_several_parts_is_read_again_and_its_rows_go_with_it() {
    let place = Place::default();
    let store = place.store().await;
    let client = ObjectClient::new(store.records(), store.event_store(), Environment::system());
    let object: ObjectId = "order/1".parse().unwrap();
    // 40 events of 100 KB that do not compress
    let payload = |n: u32| {
        let mut state = n.wrapping_add(1);
        let noise: String = (0..100_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(b'!' + (state >> 24) as u8 % 90)
            })
            .filter(|c| !matches!(c, '"' | '\\'))
            .collect();
        format!("\"{noise}\"")
    };
    for n in 0..40 {
        let id = EventId::new(n.to_string()).unwrap();
        let event = Event::new(id, EventType::new("Placed").unwrap(), payload(n));
        client
            .append(&object, ExpectedRevision::Any, vec![event])
            .await
            .unwrap();
    }
    let service = BackupService::new(store.event_store(), store.records(), store.backups());
    let backup = service
        .create(&Scope::All, BackupOptions::new())
        .await
        .unwrap();
    let parts = |what: &str| -> u32 {
        let query = format!("SELECT count(*) FROM {what}");
        place
            .connection()
            .query_row(&query, (), |row| row.get(0))
            .unwrap()
    };
    assert!(parts("part") >= 3, "{} parts", parts("part"));
    service.verify(&backup.id).await.unwrap();
    store.backups().delete(&backup.id).await.unwrap();
    assert_eq!((parts("part"), parts("upload")), (0, 0));
}

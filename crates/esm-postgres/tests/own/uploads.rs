//! Objects of several parts: the data files of backups.

use esm_core::backup::{BackupOptions, BackupService};
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::ObjectId;
use esm_core::migration::Scope;
use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_testkit::containers::PostgresVersion;

use crate::place::{Place, event};

async fn count(place: &Place, table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM esm.{table}");
    let counted = place.client().await.query_one(&count, &[]).await;
    counted.unwrap().get(0)
}

/// An object with 4 MB of text that hardly compresses.
async fn filled(place: &Place) -> esm_postgres::Store {
    let store = place.store_in_real_time().await;
    let environment = Environment::system();
    let client = ObjectClient::new(store.records(), store.event_store(), environment.clone());
    let object: ObjectId = "order/1".parse().unwrap();
    for n in 0..40 {
        let noise: String = (0..3_000)
            .map(|_| environment.uuid_v4().simple().to_string())
            .collect();
        let event = Event {
            payload: format!("\"{noise}\"").into(),
            ..event(&n.to_string())
        };
        let any = ExpectedRevision::Any;
        client.append(&object, any, vec![event]).await.unwrap();
    }
    store
}

#[tokio::test]
async fn a_backup_of_several_parts_is_read_again_and_its_rows_go_with_it() {
    let Some(place) = Place::fresh(PostgresVersion::V15).await else {
        return;
    };
    let store = filled(&place).await;
    let service = BackupService::new(store.event_store(), store.records(), store.backups());
    let backup = service
        .create(&Scope::All, BackupOptions::new())
        .await
        .unwrap();
    assert!(count(&place, "part").await >= 2);
    assert_eq!(count(&place, "upload").await, 0);
    service.verify(&backup.id).await.unwrap();
    store.backups().delete(&backup.id).await.unwrap();
    assert_eq!(count(&place, "part").await, 0);
}

#[tokio::test]
async fn parts_of_a_process_that_died_are_swept_and_those_of_a_running_one_stay() {
    let Some(place) = Place::fresh(PostgresVersion::V15).await else {
        return;
    };
    place.store().await;
    let begun = "INSERT INTO esm.upload (begun_at)
        VALUES (now() - interval '2 days'), (now() - interval '1 hour')";
    place.execute(begun).await;
    let parts = "INSERT INTO esm.part SELECT number, n, 'x' FROM esm.upload,
        generate_series(0, 2) AS n";
    place.execute(parts).await;
    place.store().await;
    assert_eq!(count(&place, "upload").await, 1);
    assert_eq!(count(&place, "part").await, 3);
}

//! What is refused before anything is written, and how the refusal reads.

use esm_core::store::RecordKey;
use esm_core::{Error, ErrorKind};
use esm_postgres::{OpenOptions, Settings};
use esm_testkit::containers::PostgresVersion;

use crate::place::Place;

const NEWEST: PostgresVersion = PostgresVersion::V18;

async fn refused(settings: Settings, options: OpenOptions) -> Error {
    let opened = esm_postgres::open_or_create_store(settings, options);
    opened.await.unwrap_err()
}

#[tokio::test]
async fn what_is_not_there_is_not_created_by_reading() {
    let Some(place) = Place::fresh(NEWEST).await else {
        return;
    };
    let error = refused(place.settings(), OpenOptions::new().read_only()).await;
    assert_eq!(error.kind(), &ErrorKind::NotFound, "{error:?}");
    let error = esm_postgres::open_store(place.settings(), OpenOptions::new());
    assert_eq!(error.await.unwrap_err().kind(), &ErrorKind::NotFound);
    let count = "SELECT count(*) FROM pg_namespace WHERE nspname = 'esm'";
    let found = place.client().await.query_one(count, &[]).await.unwrap();
    assert_eq!(found.get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_that_create_a_store_get_the_same() {
    let Some(place) = Place::fresh(NEWEST).await else {
        return;
    };
    let opened = (0..8).map(|_| place.store_in_real_time());
    let opened = futures::future::join_all(opened).await;
    assert!(opened.iter().all(|store| store.id() == opened[0].id()));
}

#[tokio::test]
async fn a_schema_of_another_program_and_a_newer_format_are_left_alone() {
    let Some(place) = Place::fresh(NEWEST).await else {
        return;
    };
    let client = place.client().await;
    let tables = "CREATE SCHEMA esm; CREATE TABLE esm.object (thing text);";
    client.batch_execute(tables).await.unwrap();
    let error = refused(place.settings(), OpenOptions::new()).await;
    assert_eq!(error.kind(), &ErrorKind::Invalid, "{error:?}");
    assert!(error.to_string().contains("another program"), "{error}");
    client
        .batch_execute("DROP SCHEMA esm CASCADE")
        .await
        .unwrap();

    place.store().await;
    place.execute("UPDATE esm.esm_format SET version = 7").await;
    let error = refused(place.settings(), OpenOptions::new()).await;
    assert_eq!(error.kind(), &ErrorKind::Unsupported, "{error:?}");
    assert!(error.to_string().contains("newer format 7"), "{error}");
}

#[tokio::test]
async fn a_server_that_may_forget_commits_is_refused_and_a_session_cannot_forget_one() {
    let Some(place) = Place::fresh(NEWEST).await else {
        return;
    };
    // its retries wait in real time: nobody moves the clock of the place
    let store = place.store_in_real_time().await;
    let set = |value: &str| {
        format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = {value}',
                 current_database()); END $$"
        )
    };
    place.execute(&set("off")).await;
    let error = refused(place.settings(), OpenOptions::new()).await;
    assert_eq!(error.kind(), &ErrorKind::Unsupported, "{error:?}");
    let named = error.to_string().contains("synchronous_commit");
    assert!(named && error.hint().is_some(), "{error:?}");

    // a trigger sees the setting of the transaction that a write is in
    let watch = "CREATE TABLE esm.seen (setting text);
        CREATE FUNCTION esm.watch() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO esm.seen VALUES (current_setting('synchronous_commit'));
           RETURN NEW; END $$;
        CREATE TRIGGER watch BEFORE INSERT ON esm.object
        FOR EACH ROW EXECUTE FUNCTION esm.watch();";
    place.client().await.batch_execute(watch).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    place.execute(end).await;
    let records = store.records();
    records
        .put(&RecordKey::Index, 0, "{}".into())
        .await
        .unwrap();
    let seen = "SELECT DISTINCT setting FROM esm.seen";
    let seen = place.client().await.query_one(seen, &[]).await.unwrap();
    assert_eq!(seen.get::<_, &str>(0), "on");
}

#[tokio::test]
async fn missing_rights_are_named_with_the_grant_that_helps() {
    let Some(place) = Place::fresh(NEWEST).await else {
        return;
    };
    place.store().await;
    let name = "reader_".to_owned() + place.address.split(['_', '?']).nth(1).unwrap();
    let client = place.client().await;
    let role = format!("CREATE ROLE {name} LOGIN PASSWORD 'postgres'");
    client.batch_execute(&role).await.unwrap();
    let address = place.address.replace("postgres@", &format!("{name}@"));
    let settings = || place.settings_of(&address);
    let error = refused(settings(), OpenOptions::new()).await;
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error:?}");
    assert!(
        error.hint().is_some_and(|hint| hint.contains("GRANT")),
        "{error:?}"
    );

    let read = format!(
        "GRANT USAGE ON SCHEMA esm TO {name}; GRANT SELECT ON ALL TABLES IN SCHEMA esm TO {name};"
    );
    client.batch_execute(&read).await.unwrap();
    let reader = esm_postgres::open_store(settings(), OpenOptions::new()).await;
    let records = reader.unwrap().records();
    assert_eq!(records.latest(&RecordKey::Index).await.unwrap(), None);
    let put = records.put(&RecordKey::Index, 0, "{}".into());
    let error = put.await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error:?}");
    assert!(
        error.hint().is_some_and(|hint| hint.contains("INSERT")),
        "{error:?}"
    );
    assert!(!format!("{error:?}").contains("PASSWORD"));
}

#[tokio::test]
async fn a_place_has_one_name_by_every_address_and_another_in_a_copy() {
    let Some(place) = Place::fresh(NEWEST).await else {
        return;
    };
    let by_name = place.store().await.event_store();
    let address = place.address.replace("127.0.0.1", "localhost");
    let settings = place.settings_of(&address);
    let by_number = esm_postgres::open_store(settings, OpenOptions::new()).await;
    let by_number = by_number.unwrap().event_store();
    assert!(by_name.place().is_some());
    assert_eq!(by_name.place(), by_number.place());
    let other = place.address.replace("schema=esm", "schema=other");
    let other = place.settings_of(&other);
    let other = esm_postgres::open_or_create_store(other, OpenOptions::new()).await;
    assert_ne!(by_name.place(), other.unwrap().event_store().place());
}

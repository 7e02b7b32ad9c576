//! Opening stores: found, made, refused, and why.

use esm_azure::{Connection, OpenOptions};
use esm_core::ErrorKind;
use esm_core::clock::Environment;
use esm_core::store::RecordKey;
use esm_testkit::containers;

use crate::place::{Place, connection, container, fresh_address};
use crate::signature::Signature;

async fn refused(connection: &Connection, address: &str) -> esm_core::Error {
    let opened = esm_azure::open_or_create(connection, address, OpenOptions::new()).await;
    let error = opened.unwrap_err();
    let shown = format!("{error:?}");
    assert!(!shown.contains("sig="), "{shown}");
    assert!(error.hint().is_some(), "{shown}");
    error
}

#[tokio::test]
async fn a_store_is_made_once_and_found_again() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let absent = esm_azure::open(&place.connection, &place.address, OpenOptions::new()).await;
    assert_eq!(absent.unwrap_err().kind(), &ErrorKind::NotFound);
    let made = place.store().await;
    let found = esm_azure::open(&place.connection, &place.address, OpenOptions::new()).await;
    let found = found.unwrap();
    assert_eq!(
        (found.id(), found.location()),
        (made.id(), place.address.as_str())
    );
    assert_eq!(found.layout(), "esm-azure");
}

#[tokio::test]
async fn a_container_is_made_where_there_is_none_by_several_at_once() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let address = format!("az://made-{}/a/b", Environment::system().uuid_v4());
    let read_only = OpenOptions::new().read_only();
    let absent = esm_azure::open_or_create(&place.connection, &address, read_only).await;
    let error = absent.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::NotFound, "{error:?}");
    let made =
        (0..4).map(|_| esm_azure::open_or_create(&place.connection, &address, OpenOptions::new()));
    let made = futures::future::try_join_all(made).await.unwrap();
    assert!(made.iter().all(|store| store.id() == made[0].id()));
}

#[tokio::test]
async fn a_store_of_the_common_layout_is_opened_as_such() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let azurite = &place.azurite;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = object_store::azure::MicrosoftAzureBuilder::new()
        .with_account(azurite.account())
        .with_access_key(azurite.key())
        .with_container_name(azurite.container())
        .with_endpoint(azurite.endpoint())
        .with_allow_http(true)
        .build()
        .unwrap();
    let prefix = place.address.strip_prefix("az://esm-test/").unwrap();
    let other = esm_objectstore::open_or_create_with_client(
        std::sync::Arc::new(client),
        prefix,
        OpenOptions::new(),
    );
    let other = other.await.unwrap();
    let key = RecordKey::Document("order/7".parse().unwrap());
    other.records().put(&key, 0, "a".into()).await.unwrap();

    let store = place.store().await;
    assert_eq!((store.id(), store.layout()), (other.id(), "esm-cells"));
    let found = store.records().latest(&key).await.unwrap().unwrap();
    assert_eq!(found.body, "a");
    store.records().put(&key, 1, "b".into()).await.unwrap();
    let found = other.records().latest(&key).await.unwrap().unwrap();
    assert_eq!((found.number, &found.body[..]), (1, &b"b"[..]));
    assert_eq!(store.locks().name(), "object store");
}

#[tokio::test]
async fn a_store_that_was_made_here_is_refused_by_who_knows_no_leases() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    place.store().await;
    let azurite = &place.azurite;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = object_store::azure::MicrosoftAzureBuilder::new()
        .with_account(azurite.account())
        .with_access_key(azurite.key())
        .with_container_name(azurite.container())
        .with_endpoint(azurite.endpoint())
        .with_allow_http(true)
        .build()
        .unwrap();
    let prefix = place.address.strip_prefix("az://esm-test/").unwrap();
    let opened =
        esm_objectstore::open_with_client(std::sync::Arc::new(client), prefix, OpenOptions::new());
    let error = opened.await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unsupported, "{error:?}");
    assert!(error.to_string().contains("esm-azure"), "{error}");
}

#[tokio::test]
async fn a_wrong_key_and_an_expired_signature_are_missing_permissions() {
    let Some(azurite) = containers::azurite().await else {
        return;
    };
    let wrong = "c2VjcmV0";
    let wrong_key =
        Connection::with_account_key(&azurite.endpoint(), azurite.account(), wrong).unwrap();
    let error = refused(&wrong_key, &fresh_address()).await;
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error:?}");
    assert!(!format!("{error:?}").contains(wrong));

    let expired = Signature {
        expiry: "2020-01-01T00:00:00Z",
        ..Signature::default()
    };
    let error = refused(&expired.connection(&azurite), &fresh_address()).await;
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error:?}");
    assert!(error.hint().unwrap().contains("expired"), "{error:?}");
}

#[tokio::test]
async fn a_signature_is_enough_and_says_what_it_lacks() {
    let Some(azurite) = containers::azurite().await else {
        return;
    };
    let whole = Signature::default().connection(&azurite);
    let address = fresh_address();
    let store = esm_azure::open_or_create(&whole, &address, OpenOptions::new())
        .await
        .unwrap();

    let reads = Signature {
        permissions: "rl",
        ..Signature::default()
    };
    let reads = reads.connection(&azurite);
    let found = esm_azure::open(&reads, &address, OpenOptions::new().read_only())
        .await
        .unwrap();
    assert_eq!(found.id(), store.id());
    let writing = esm_azure::open(&reads, &address, OpenOptions::new())
        .await
        .unwrap();
    let error = writing
        .records()
        .put(&RecordKey::Index, 0, "a".into())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error:?}");

    // it may do all to blobs, and nothing to containers
    let objects = Signature {
        resources: "o",
        ..Signature::default()
    };
    let error = refused(&objects.connection(&azurite), "az://may-not-be-made").await;
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error:?}");
    assert!(
        error.to_string().contains("cannot create the container"),
        "{error}"
    );
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_hinted_at() {
    let Some(azurite) = containers::azurite().await else {
        return;
    };
    // the stepped clock begins in 2024: signatures that it dates have expired
    let environment = Environment {
        clock: std::sync::Arc::new(esm_testkit::SteppedClock::new()),
        ..Environment::system()
    };
    let connection = connection(&azurite, &azurite.url());
    let options = OpenOptions::new().with_environment(environment);
    let error = esm_azure::open(&connection, &fresh_address(), options)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error:?}");
    assert!(error.hint().unwrap().contains("clock"), "{error:?}");
}

#[tokio::test]
async fn a_container_that_is_deleted_meanwhile_is_told_by_every_operation() {
    let Some(mut place) = Place::fresh().await else {
        return;
    };
    let name = format!("gone-{}", Environment::system().uuid_v4());
    place.address = format!("az://{name}");
    let store = place.store().await;
    container(&place.azurite, &name).delete(None).await.unwrap();
    let key = RecordKey::Document("order/7".parse().unwrap());
    let stream = esm_core::id::StreamId::new("stream").unwrap();
    for error in [
        store.records().latest(&key).await.unwrap_err(),
        store.records().put(&key, 0, "a".into()).await.unwrap_err(),
        store.event_store().tail(&stream).await.unwrap_err(),
        store.event_store().discard(&stream).await.unwrap_err(),
        store.locks().list().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), &ErrorKind::NotFound, "{error:?}");
        assert!(
            error.to_string().contains("container does not exist"),
            "{error}"
        );
        assert!(error.hint().is_some());
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    // nothing listens on port 1
    let nobody = Connection::with_account_key("http://127.0.0.1:1/account", "account", "a2V5");
    let clock = crate::clock::BriskClock::new();
    let options = OpenOptions::new().with_environment(clock.environment());
    let opened = esm_azure::open_or_create(&nobody.unwrap(), "az://events", options).await;
    let error = opened.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable, "{error:?}");
    assert!(!format!("{error:?}").contains("sig="), "{error:?}");
}

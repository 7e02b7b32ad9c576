//! The tables of each library, read as objects and events.

use esm_core::event::Event;
use esm_core::id::ObjectId;
use esm_core::router::{ObjectReader, ReadPosition};
use esm_core::store::Stores;
use esm_postgres::LayoutStore;
use futures::TryStreamExt as _;

use crate::server::{places, tables_of};

fn reader(store: &LayoutStore) -> ObjectReader {
    ObjectReader::new(store.records(), Stores::new(store.event_store()))
}

pub(crate) async fn objects(store: &LayoutStore, name: Option<&str>) -> Vec<String> {
    let documents = esm_core::object::Documents::new(store.records());
    let name = name.map(|name| name.parse().unwrap());
    let objects = documents.objects(name);
    let listed: Vec<ObjectId> = objects.try_collect().await.unwrap();
    let mut names: Vec<_> = listed.iter().map(ToString::to_string).collect();
    names.sort();
    names
}

pub(crate) async fn events(store: &LayoutStore, object: &str) -> Vec<Event> {
    let object: ObjectId = object.parse().unwrap();
    let read = reader(store).read(&object, ReadPosition::Start);
    read.map_ok(|recorded| recorded.event)
        .try_collect()
        .await
        .unwrap()
}

fn line(event: &Event) -> String {
    let payload = String::from_utf8_lossy(&event.payload);
    let time = event.time.as_deref().unwrap_or("-");
    let Event {
        id,
        event_type,
        schema_version,
        ..
    } = event;
    let metadata: Vec<_> = event
        .metadata
        .iter()
        .map(|(k, v)| format!("{k}={v:?}"))
        .collect();
    format!(
        "{id} {event_type} v{schema_version} {time} {payload} {}",
        metadata.join(" ")
    )
}

/// The objects of a library's tables on every server, and the events of one as lines.
async fn shown(library: &str, object: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let mut all = Vec::new();
    for place in places().await {
        place.run(tables_of(library)).await;
        let store = place.layout("").await.unwrap();
        assert!(store.is_recognised());
        assert_eq!(store.layout().name, library);
        let lines = events(&store, object).await.iter().map(line).collect();
        all.push((objects(&store, None).await, lines));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn cqrs_es_is_read_with_json_as_it_was_written() {
    for (objects, lines) in shown("cqrs-es", "order/1").await {
        assert_eq!(objects, ["invoice/1", "order/1", "order/2/b"]);
        let expected = [
            r#"1 Placed v1 - {"Placed": {"cents":  42.00}} user=Text("eva")"#,
            r#"2 Paid v2 - {"Paid": {}} event_version=Text("2.1")"#,
        ];
        assert_eq!(lines, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn message_db_is_read_with_categories_as_names() {
    for (objects, lines) in shown("message-db", "account/1").await {
        assert_eq!(
            objects,
            ["(stream)/account", "account/1", "account:command/1"]
        );
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with(r#" Opened v1 2024-05-01T10:00:00.250000Z {"owner": "eva"} "#));
        assert!(
            lines[1].contains(r#"native-metadata=Text("{\"a\":{\"b\": 1}}")"#),
            "{lines:?}"
        );
    }
    for (_, lines) in shown("message-db", "(stream)/account").await {
        assert!(
            lines[0].ends_with(" Counted v1 2024-05-01T10:00:01.000000Z  "),
            "{lines:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn marten_is_read_with_tenants_and_over_removed_versions() {
    for (objects, lines) in shown("marten", "order/1").await {
        assert_eq!(objects, ["order/1", "order@tenant_id=acme/1", "stream/2"]);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with(r#" placed v1 2024-05-01T10:00:00.000000Z {"cents": 42} "#));
        assert!(lines[1].contains(" paid v1 "), "{lines:?}");
    }
    for (_, lines) in shown("marten", "order@tenant_id=acme/1").await {
        assert_eq!(lines.len(), 1);
        assert!(lines[0].contains(r#"{"cents": 7}"#), "{lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn emmett_is_read_with_partitions_and_archived_streams_apart() {
    let all = ["cart/1", "cart@is_archived=true/1", "cart@partition=acme/1"];
    for (objects, lines) in shown("emmett", "cart/1").await {
        assert_eq!(objects, all);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("m2 Added v1 "), "{lines:?}");
        assert!(lines[1].starts_with("m4 Removed v2 "), "{lines:?}");
    }
    for (_, lines) in shown("emmett", "cart@is_archived=true/1").await {
        assert!(lines[0].starts_with("m1 Added v1 "), "{lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eventuous_is_read_by_the_names_in_its_table_of_streams() {
    for (objects, lines) in shown("eventuous", "Booking/7").await {
        assert_eq!(objects, ["Booking/7", "Payment/7"]);
        let id = "00000000-0000-0000-0000-00000000000";
        let expected = [
            format!(r#"{id}1 V1.Booked v1 2024-05-01T00:00:00.000000Z {{"room": 7}} "#),
            format!("{id}3 V1.Left v1 2024-05-01T00:00:00.000000Z {{}} "),
        ];
        assert_eq!(lines, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_all_events_is_that_of_the_library() {
    for (library, expected) in [
        (
            "message-db",
            "account/1@0 (stream)/account@0 account/1@1 account:command/1@0",
        ),
        (
            "marten",
            "order/1@0 order@tenant_id=acme/1@0 order/1@1 stream/2@0",
        ),
        (
            "emmett",
            "cart@is_archived=true/1@0 cart@partition=acme/1@0 cart/1@0 cart/1@1",
        ),
        ("eventuous", "Booking/7@0 Payment/7@0 Booking/7@1"),
    ] {
        for place in places().await {
            place.run(tables_of(library)).await;
            let store = place.layout("").await.unwrap();
            let all = store.in_global_order().await.unwrap();
            let names = all.map_ok(|e| format!("{}@{}", e.object, e.revision));
            let names: Vec<String> = names.try_collect().await.unwrap();
            assert_eq!(names.join(" "), expected, "{library}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_has_the_same_id_each_time_and_another_in_another_database() {
    let mut ids = std::collections::BTreeSet::new();
    let places = places().await;
    for place in &places {
        place.run(tables_of("cqrs-es")).await;
        let id = place.layout("").await.unwrap().event_store().id();
        let again = place.layout("?layout=cqrs-es").await.unwrap();
        assert_eq!(again.event_store().id(), id);
        assert!(!again.is_recognised());
        ids.insert(id);
    }
    assert_eq!(ids.len(), places.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_the_right_to_select_alone_can_read_everything() {
    for place in places().await {
        place.run(tables_of("marten")).await;
        let role = format!("reader_{}", place.address.rsplit('_').next().unwrap());
        place
            .run(&format!(
                "CREATE ROLE {role} LOGIN PASSWORD 'postgres';
                 GRANT SELECT ON mt_events TO {role}"
            ))
            .await;
        let address = place.address.replace("postgres@", &format!("{role}@"));
        let open = async || {
            let settings = place.settings_of(&address, "postgres").unwrap();
            let database = esm_postgres::Database::connect(settings).await.unwrap();
            LayoutStore::open(database).await
        };
        let missing = open().await.unwrap_err();
        let grant = format!("GRANT SELECT ON public.mt_streams TO {role}");
        assert_eq!(*missing.kind(), esm_core::ErrorKind::PermissionDenied);
        assert!(missing.hint().unwrap().contains(&grant), "{missing:?}");
        place.run(&grant).await;
        let store = open().await.unwrap();
        assert_eq!(objects(&store, None).await.len(), 3);
        assert_eq!(events(&store, "order/1").await.len(), 2);
        assert!(store.in_global_order().await.is_ok());
    }
}

//! What is no event store, does not fit, or is damaged.

use esm_core::store::{PageLimit, ReadFrom};
use esm_core::{Error, ErrorKind};
use esm_postgres::LayoutStore;

use crate::server::{Place, places, tables_of};

async fn refused(place: &Place, parameters: &str) -> Error {
    place.layout(parameters).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_known_tables_is_refused_with_what_to_do() {
    for place in places().await {
        place.run("CREATE TABLE events (id int, what text)").await;
        let nothing = refused(&place, "").await;
        assert_eq!(*nothing.kind(), ErrorKind::NotFound, "{nothing:?}");
        assert!(
            nothing.hint().unwrap().contains("esm layout new"),
            "{nothing:?}"
        );
        let unknown = refused(&place, "?layout=axon").await;
        assert!(
            unknown.hint().unwrap().contains("message-db"),
            "{unknown:?}"
        );
        let file = refused(&place, "?layout=none.toml").await;
        assert!(file.to_string().contains("none.toml"), "{file:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_do_not_fit_are_refused_with_what_to_change() {
    for (change, said, hint) in [
        (
            "ALTER TABLE events DROP CONSTRAINT events_pkey",
            "no unique index",
            "CREATE UNIQUE INDEX ON public.events (aggregate_type, aggregate_id, sequence)",
        ),
        (
            "ALTER TABLE events DROP CONSTRAINT events_pkey,
             ADD PRIMARY KEY (aggregate_type, aggregate_id, sequence) DEFERRABLE",
            "index events_pkey is deferrable",
            "CREATE UNIQUE INDEX",
        ),
        (
            "ALTER TABLE events ALTER payload DROP NOT NULL,
             ALTER payload TYPE text[] USING NULL",
            "events.payload: payload, text[]",
            "name a column of type json",
        ),
        (
            "ALTER TABLE events RENAME sequence TO version",
            "no such column",
            "name one of",
        ),
        (
            "ALTER TABLE events RENAME TO stored; CREATE VIEW events AS SELECT * FROM stored",
            "events.table",
            "name the table that the view reads",
        ),
        ("DROP TABLE events", "no such table", "search path"),
    ] {
        for place in places().await {
            place.run(tables_of("cqrs-es")).await;
            place.run(change).await;
            let error = refused(&place, "?layout=cqrs-es").await;
            assert_eq!(*error.kind(), ErrorKind::Unsupported, "{error:?}");
            assert!(error.to_string().contains(said), "{error:?}");
            assert!(error.hint().unwrap().contains(hint), "{error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_two_libraries_are_refused_unless_one_is_named() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        place.run(tables_of("marten")).await;
        let both = refused(&place, "").await;
        assert!(both.to_string().contains("cqrs-es, marten"), "{both:?}");
        assert!(place.layout("?layout=marten").await.is_ok());
    }
}

async fn read(store: &LayoutStore, object: &str, from: u64) -> Result<usize, Error> {
    let stream = object.parse().unwrap();
    let page = store.event_store();
    let page = page
        .read(&stream, ReadFrom::Seq(from), PageLimit::default())
        .await?;
    Ok(page.cells.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_are_missing_or_too_low_are_damage() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        place
            .run(
                "INSERT INTO events SELECT 'gap', 'g', n, 't', '1', '{}', '{}'
                 FROM generate_series(1, 9) n WHERE n NOT IN (4, 5);
                 INSERT INTO events VALUES ('low', 'l', 0, 't', '1', '{}', '{}');
                 INSERT INTO events VALUES ('high', 'h', 3, 't', '1', '{}', '{}')",
            )
            .await;
        let store = place.layout("").await.unwrap();
        for (object, from, said) in [
            ("gap/g", 0, "events 4 to 5 are missing, in gap/g"),
            ("gap/g", 3, "event 5 is missing, in gap/g"),
            ("low/l", 0, "has the number 0, and the first one is 1"),
            ("high/h", 0, "events 1 to 2 are missing"),
        ] {
            let error = read(&store, object, from).await.unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Corrupt, "{error:?}");
            assert!(error.to_string().contains(said), "{error:?}");
        }
        let damage = store.check().await.unwrap_err();
        assert_eq!(*damage.kind(), ErrorKind::Corrupt);
        for stream in ["gap, g", "low, l", "high, h"] {
            assert!(damage.to_string().contains(stream), "{damage}");
        }
        let low = store.event_store().tail(&"low/l".parse().unwrap()).await;
        assert_eq!(*low.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(read(&store, "order/1", 0).await.unwrap(), 2);
        assert_eq!(read(&store, "nobody/1", 0).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_read_is_named() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        place
            .run(
                "INSERT INTO events VALUES ('a', '1', 1, 't', 'latest', '{}', '{}'),
                 ('b', '1', 1, 't', '1', '{}', '[1]'), ('c', '1', 1, '', '1', '{}', '{}')",
            )
            .await;
        let store = place.layout("").await.unwrap();
        for (object, said) in [
            ("a/1", "its schema version is no number: \"latest\""),
            ("b/1", "metadata is not a JSON object"),
            ("c/1", "event type is empty"),
        ] {
            let error = read(&store, object, 0).await.unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Corrupt, "{error:?}");
            let told = error.to_string();
            assert!(told.contains(said) && told.contains(object), "{told}");
            assert!(told.contains("event 1 "), "{told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_no_value_of_its_column_names_no_object() {
    for place in places().await {
        place
            .run(
                "CREATE TABLE mt_streams (id uuid PRIMARY KEY, type varchar,
                     tenant_id varchar NOT NULL DEFAULT '*DEFAULT*', version bigint);
                 CREATE TABLE mt_events (seq_id bigint PRIMARY KEY, id uuid NOT NULL,
                     stream_id uuid NOT NULL, version bigint NOT NULL, data jsonb NOT NULL,
                     type varchar NOT NULL, timestamp timestamptz NOT NULL DEFAULT now(),
                     tenant_id varchar NOT NULL DEFAULT '*DEFAULT*', mt_dotnet_type varchar,
                     UNIQUE (stream_id, version));
                 INSERT INTO mt_streams VALUES ('00000000-0000-0000-0000-0000000000ab', 'order');
                 INSERT INTO mt_events VALUES (1, gen_random_uuid(),
                     '00000000-0000-0000-0000-0000000000ab', 1, '{}', 't')",
            )
            .await;
        let store = place.layout("").await.unwrap();
        let documents = esm_core::object::Documents::new(store.records());
        for (object, exists) in [
            ("order/00000000-0000-0000-0000-0000000000ab", true),
            // the same value, written otherwise: it would be a second object of one stream
            ("order/00000000-0000-0000-0000-0000000000AB", false),
            ("order/7", false),
            ("invoice/00000000-0000-0000-0000-0000000000ab", false),
        ] {
            let found = documents.find(&object.parse().unwrap()).await.unwrap();
            assert_eq!(found.is_some(), exists, "{object}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_a_stream_is_damage() {
    for place in places().await {
        place.run(tables_of("emmett")).await;
        let store = place.layout("").await.unwrap();
        store.check().await.unwrap();
        place
            .run("DELETE FROM emt_streams WHERE partition = 'acme'")
            .await;
        let error = store.check().await.unwrap_err();
        assert!(error.to_string().contains("in no stream: 1"), "{error}");
    }
    for place in places().await {
        place.run(tables_of("marten")).await;
        let store = place.layout("").await.unwrap();
        store.check().await.unwrap();
        place
            .run("INSERT INTO mt_events (seq_id, version, data, type) VALUES (99, 1, '{}', 't')")
            .await;
        let error = store.check().await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Corrupt);
        assert!(
            error
                .to_string()
                .contains("in no stream: 1 in public.mt_events"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_ever_written() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let store = place.layout("").await.unwrap();
        let capabilities = store.event_store().capabilities();
        assert!(capabilities.ensure_source().is_err());
        let key = esm_core::store::RecordKey::Index;
        let put = store.records().put(&key, 0, "{}".into()).await.unwrap_err();
        assert_eq!(*put.kind(), ErrorKind::Unsupported, "{put:?}");
    }
}

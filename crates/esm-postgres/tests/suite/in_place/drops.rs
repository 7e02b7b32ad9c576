//! Events that are dropped: their rows are removed, and put back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use esm_core::ErrorKind;
use esm_core::event::{Event, Schema};
use esm_core::id::Fingerprint;
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_postgres::RewriteStatus;

use super::altered::layout_with;
use super::{Bench, By, rows, texts};
use crate::server::{Place, places, tables_of};

/// Drops the types `Noted` and `placed`.
#[derive(Debug)]
struct Drops;

impl EventTransformer for Drops {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new("drops").unwrap()
    }

    fn handles(&self, schema: &Schema) -> bool {
        ["Noted", "placed"].contains(&schema.event_type.as_str())
    }

    fn transform(
        &self,
        event: &Event,
        _: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        Ok(if self.handles(&event.schema()) {
            Transformed::dropped("noise")
        } else {
            Transformed::Unchanged
        })
    }
}

async fn bench(place: &Place) -> Bench {
    let none = By {
        name: "none",
        change: |_| {},
    };
    let mut bench = Bench::new(place, none).await;
    bench.by = bench.in_place.transformer(Arc::new(Drops));
    bench
}

/// A stream of three notes and a last one, and its counter, in each layout whose rows may be removed.
const CASES: [(&str, &str, &str, &str, &str); 2] = [
    (
        "marten",
        "mt_events",
        "INSERT INTO mt_streams (id, type, version) VALUES ('7', 'cart', 4);
         INSERT INTO mt_events (seq_id, stream_id, version, data, type, headers, mt_dotnet_type)
             SELECT 70 + n, '7', n, '{\"n\": 1.50}', 'Noted', '{\"a\": \"ü\"}', 'Shop.Noted'
             FROM generate_series(1, 4) n",
        "SELECT version::text FROM mt_events WHERE stream_id = '7' ORDER BY version",
        "WITH s AS (UPDATE mt_streams SET version = version + 1
                    WHERE id = '7' AND version = 3 RETURNING version)
         INSERT INTO mt_events (seq_id, stream_id, version, data, type)
         SELECT 99, '7', version, '{}', 'Late' FROM s RETURNING 'appended'",
    ),
    (
        "emmett",
        "emt_messages",
        "INSERT INTO emt_streams VALUES ('cart-7', 4, 'emt:default', 'cart', '{}', false);
         INSERT INTO emt_messages (stream_position, transaction_id, stream_id,
             message_schema_version, message_id, message_type, message_data, message_metadata)
             SELECT n, '200', 'cart-7', '1', 'n' || n, 'Noted', '{\"n\": 1.50}', '{}'
             FROM generate_series(1, 4) n",
        "SELECT stream_position::text FROM emt_messages WHERE stream_id = 'cart-7' ORDER BY 1",
        "WITH s AS (UPDATE emt_streams SET stream_position = stream_position + 1
                    WHERE stream_id = 'cart-7' AND stream_position = 3 RETURNING stream_position)
         INSERT INTO emt_messages (stream_position, transaction_id, stream_id,
             message_schema_version, message_id, message_type, message_data, message_metadata)
         SELECT stream_position, '201', 'cart-7', '1', 'late', 'Late', '{}', '{}' FROM s
         RETURNING 'appended'",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn dropped_events_are_removed_except_the_last_and_put_back_to_the_byte() {
    for (library, table, prepare, numbers, stale) in CASES {
        for place in places().await {
            place.run(tables_of(library)).await;
            place.run(prepare).await;
            let before = rows(&place, table).await;
            let bench = bench(&place).await;
            let running = bench.begin().await.unwrap();
            let pass = running.rewrite().await.unwrap();
            assert!(pass.dropped >= 3 && pass.left >= 1, "{library}: {pass:?}");
            assert_eq!(texts(&place, numbers).await, ["4"], "{library}");
            // who had read three events does not append
            assert!(texts(&place, stale).await.is_empty(), "{library}");
            let settled = running.settle(9).await.unwrap();
            assert!(settled.is_done, "{library}: {settled:?}");
            assert_eq!(running.end(true).await.unwrap(), RewriteStatus::Finished);

            let known = bench.newest().await;
            assert_eq!(known.rewritten, pass.dropped, "{library}");
            let undone = bench
                .in_place
                .roll_back(&known, "test", None)
                .await
                .unwrap();
            assert_eq!(
                (undone.restored, undone.left),
                (pass.dropped, 0),
                "{library}"
            );
            assert_eq!(rows(&place, table).await, before, "{library}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_the_last_event_is_removed_by_a_sweep_once_another_follows() {
    let (library, table, prepare, numbers, _) = CASES[0];
    for place in places().await {
        place.run(tables_of(library)).await;
        place.run(prepare).await;
        let bench = bench(&place).await;
        let running = bench.begin().await.unwrap();
        running.rewrite().await.unwrap();
        let append = "UPDATE mt_streams SET version = 5 WHERE id = '7';
            INSERT INTO mt_events (seq_id, stream_id, version, data, type)
            VALUES (99, '7', 5, '{}', 'Kept')";
        place.run(append).await;
        let settled = running.settle(9).await.unwrap();
        assert!(settled.is_done && settled.swept == 1, "{settled:?}");
        assert_eq!(texts(&place, numbers).await, ["5"]);
        running.end(true).await.unwrap();
        // a row that somebody put there meanwhile stays, and is named
        place
            .run(
                "INSERT INTO mt_events (seq_id, stream_id, version, data, type)
                  VALUES (98, '7', 2, '{}', 'Other')",
            )
            .await;
        let known = bench.newest().await;
        let undone = bench
            .in_place
            .roll_back(&known, "test", None)
            .await
            .unwrap();
        assert_eq!(undone.left, 1, "{undone:?}");
        assert_eq!(texts(&place, numbers).await, ["1", "2", "3", "4", "5"]);
        let other = format!("SELECT type FROM {table} WHERE stream_id = '7' AND version = 2");
        assert_eq!(texts(&place, &other).await, ["Other"]);
    }
}

/// Appends to a stream with the version that it read before others appended: most of them are stale.
async fn append(place: &Place, stop: &AtomicBool, acknowledged: &AtomicU64) {
    let client = place.connect().await.unwrap().open().await.unwrap();
    let read = "SELECT max(version) FROM mt_events WHERE stream_id = '7'";
    let append = "WITH s AS (UPDATE mt_streams SET version = version + 1
                      WHERE id = '7' AND version = $1 RETURNING version)
        INSERT INTO mt_events (seq_id, stream_id, version, data, type)
        SELECT nextval('racing'), '7', version, '{}',
               CASE version % 3 WHEN 0 THEN 'Kept' ELSE 'Noted' END FROM s";
    while acknowledged.load(Ordering::Relaxed) < 150 && !stop.load(Ordering::Relaxed) {
        let version: i64 = client.query_one(read, &[]).await.unwrap().get(0);
        tokio::task::yield_now().await;
        let appended = client.execute(append, &[&version]).await.unwrap();
        acknowledged.fetch_add(appended, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_number_becomes_free_while_stale_writers_race() {
    let (library, _, prepare, _, _) = CASES[0];
    for place in places().await {
        place.run(tables_of(library)).await;
        place.run(prepare).await;
        place.run("CREATE SEQUENCE racing START 1000").await;
        let bench = bench(&place).await;
        let running = bench.begin().await.unwrap();
        let (stop, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
        let writers = [(); 4].map(|()| append(&place, &stop, &acknowledged));
        let migrating = async {
            for _ in 0..20 {
                running.rewrite().await.unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        };
        let ((), _) = tokio::join!(migrating, futures::future::join_all(writers));
        let settled = running.settle(9).await.unwrap();
        assert!(settled.is_done, "{settled:?}");
        let acknowledged = acknowledged.load(Ordering::Relaxed);
        let left = "SELECT count(*) FROM mt_events WHERE stream_id = '7'";
        let left: u64 = texts(&place, left).await[0].parse().unwrap();
        // every append that was acknowledged is there, or in the archive; the counter counted each
        let gone = "SELECT count(*) FROM esm_in_place.archive WHERE key[1] = '7'";
        let gone: u64 = texts(&place, gone).await[0].parse().unwrap();
        assert_eq!(left + gone, 4 + acknowledged);
        let counter = "SELECT version::text FROM mt_streams WHERE id = '7'";
        let last = "SELECT max(version)::text FROM mt_events WHERE stream_id = '7'";
        assert_eq!(
            texts(&place, counter).await,
            [(4 + acknowledged).to_string()]
        );
        assert_eq!(texts(&place, last).await, texts(&place, counter).await);
        running.end(true).await.unwrap();
        let known = bench.newest().await;
        bench
            .in_place
            .roll_back(&known, "test", None)
            .await
            .unwrap();
        let all = "SELECT count(DISTINCT version)::text FROM mt_events WHERE stream_id = '7'";
        assert_eq!(texts(&place, all).await, texts(&place, counter).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_rows_cannot_be_removed_it_is_said_with_the_way_that_is_open() {
    for place in places().await {
        place.run(tables_of("marten")).await;
        place.run(CASES[0].2).await;
        let bench = bench(&place).await;
        let before = rows(&place, "mt_events").await;
        for (change, named, undo) in [
            (
                "CREATE TABLE tags (event bigint REFERENCES mt_events (seq_id))",
                "foreign key",
                "DROP TABLE tags",
            ),
            (
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
                 CREATE TRIGGER t AFTER DELETE ON mt_events FOR EACH ROW EXECUTE FUNCTION f()",
                "trigger t on public.mt_events",
                "DROP TRIGGER t ON mt_events",
            ),
        ] {
            place.run(change).await;
            let error = bench.begin().await.unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Unsupported, "{error:?}");
            assert!(error.to_string().contains(named), "{error:?}");
            assert!(error.hint().unwrap().contains("placeholder"), "{error:?}");
            assert_eq!(rows(&place, "mt_events").await, before);
            place.run(undo).await;
        }
        bench.migrate().await.unwrap();
    }
}

/// Streams whose events were dropped, in a table with one more column, and what was altered since.
async fn dropped(place: &Place, alter: &str) -> Vec<String> {
    let (library, _, prepare, ..) = CASES[0];
    place.run(tables_of(library)).await;
    place
        .run("ALTER TABLE mt_events ADD extra varchar(9) DEFAULT 'kept'")
        .await;
    place.run(prepare).await;
    let before = texts(place, COMMON).await;
    bench(place).await.migrate().await.unwrap();
    place.run(alter).await;
    before
}

/// The columns that no case alters.
const COMMON: &str = "SELECT ROW(seq_id, id, stream_id, version, data, type, timestamp, tenant_id,
    headers, mt_dotnet_type, is_archived)::text FROM mt_events ORDER BY seq_id";

#[tokio::test(flavor = "multi_thread")]
async fn dropped_events_are_put_back_into_a_table_that_was_altered_since() {
    for (alter, gone, column, held) in [
        (
            "ALTER TABLE mt_events ADD note text",
            &[][..],
            "note",
            "null",
        ),
        (
            "ALTER TABLE mt_events ADD note text NOT NULL DEFAULT 'none'",
            &[],
            "note",
            "none",
        ),
        (
            "ALTER TABLE mt_events ADD twice bigint NOT NULL GENERATED ALWAYS AS (version * 2) STORED",
            &[],
            "twice",
            "2",
        ),
        (
            "ALTER TABLE mt_events DROP extra",
            &["extra"],
            "version",
            "1",
        ),
        (
            "ALTER TABLE mt_events RENAME extra TO other",
            &["extra"],
            "other",
            "kept",
        ),
    ] {
        for place in places().await {
            let before = dropped(&place, alter).await;
            let bench = bench(&place).await;
            let known = bench.newest().await;
            let outlook = bench.in_place.outlook(&known, None).await.unwrap();
            assert_eq!(outlook.columns_gone, gone, "{alter}");
            let undone = bench.in_place.roll_back(&known, "test", None).await;
            let undone = undone.unwrap();
            assert_eq!(
                (undone.left, &*undone.columns_gone),
                (0, &*outlook.columns_gone)
            );
            assert_eq!(texts(&place, COMMON).await, before, "{alter}");
            let first = format!(
                "SELECT {column}::text FROM mt_events WHERE stream_id = '7' AND version = 1"
            );
            assert_eq!(texts(&place, &first).await, [held], "{alter}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_altered_table_cannot_get_back_is_refused_before_anything_is_touched() {
    for (alter, said, hint, mend) in [
        (
            "ALTER TABLE mt_events ADD note text NOT NULL DEFAULT 'none';
             ALTER TABLE mt_events ALTER note DROP DEFAULT",
            "note of public.mt_events was added since, and cannot be null",
            "ALTER COLUMN note SET DEFAULT",
            "ALTER TABLE mt_events ALTER COLUMN note SET DEFAULT 'late'",
        ),
        (
            "ALTER TABLE mt_events ALTER extra DROP DEFAULT, ALTER extra TYPE int USING 1",
            "extra of public.mt_events is integer now",
            "its former type",
            "ALTER TABLE mt_events ALTER extra TYPE text",
        ),
        (
            "ALTER TABLE mt_events ALTER extra TYPE varchar(2) USING 'k'",
            "extra of public.mt_events is character varying(2) now",
            "its former type",
            "ALTER TABLE mt_events ALTER extra TYPE text",
        ),
        (
            "ALTER TABLE mt_events ADD CONSTRAINT late CHECK (version > 3) NOT VALID",
            "constraint late refuses what",
            "ALTER TABLE mt_events DROP CONSTRAINT late",
            "ALTER TABLE mt_events DROP CONSTRAINT late",
        ),
    ] {
        for place in places().await {
            let before = dropped(&place, alter).await;
            let altered = rows(&place, "mt_events").await;
            let bench = bench(&place).await;
            let known = bench.newest().await;
            let error = bench.in_place.roll_back(&known, "test", None).await;
            let error = error.unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Unsupported, "{error:?}");
            assert!(error.to_string().contains(said), "{error:?}");
            assert!(error.hint().unwrap().contains(hint), "{error:?}");
            assert_eq!(bench.newest().await.status, RewriteStatus::Finished);
            assert_eq!(rows(&place, "mt_events").await, altered);
            place.run(mend).await;
            let undone = bench.in_place.roll_back(&known, "test", None).await;
            assert_eq!(undone.unwrap().left, 0);
            assert_eq!(texts(&place, COMMON).await, before, "{alter}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_events_are_not_put_back_without_a_payload_that_was_renamed() {
    for place in places().await {
        let before = dropped(&place, "ALTER TABLE mt_events RENAME data TO body").await;
        let altered = rows(&place, "mt_events").await;
        let file = layout_with("marten", "payload = \"body\"");
        let parameters = format!("?layout={}", file.path().display());
        let none = By {
            name: "none",
            change: |_| {},
        };
        let renamed = Bench::at(&place, &parameters, none).await;
        let known = renamed.newest().await;
        let error = renamed.in_place.roll_back(&known, "test", None).await;
        let error = error.unwrap_err();
        let said = "body of public.mt_events had another name when they were removed";
        assert!(error.to_string().contains(said), "{error:?}");
        assert!(
            error.hint().unwrap().contains("its former name"),
            "{error:?}"
        );
        assert_eq!(rows(&place, "mt_events").await, altered);
        place.run("ALTER TABLE mt_events RENAME body TO data").await;
        let bench = bench(&place).await;
        let undone = bench.in_place.roll_back(&known, "test", None).await;
        assert_eq!(undone.unwrap().left, 0);
        assert_eq!(texts(&place, COMMON).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_table_with_many_columns_are_dropped_and_put_back() {
    for place in places().await {
        let (library, table, prepare, ..) = CASES[0];
        place.run(tables_of(library)).await;
        let columns = (0..90).map(|n| format!("ADD more_{n} text DEFAULT '{n}'"));
        let columns = columns.collect::<Vec<_>>().join(", ");
        place.run(&format!("ALTER TABLE {table} {columns}")).await;
        place.run(prepare).await;
        let before = rows(&place, table).await;
        let bench = bench(&place).await;
        assert!(bench.migrate().await.unwrap().dropped >= 3);
        let known = bench.newest().await;
        let undone = bench.in_place.roll_back(&known, "test", None).await;
        assert_eq!(undone.unwrap().left, 0);
        assert_eq!(rows(&place, table).await, before);
    }
}

/// Drops as [`Drops`] does; before the first event an application does something.
struct Meanwhile {
    place: Arc<Place>,
    once: std::sync::Once,
    does: &'static str,
}

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meanwhile").finish_non_exhaustive()
    }
}

impl EventTransformer for Meanwhile {
    fn fingerprint(&self) -> Fingerprint {
        Drops.fingerprint()
    }

    fn handles(&self, schema: &Schema) -> bool {
        Drops.handles(schema)
    }

    fn transform(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        // the rows are read, and not yet removed
        self.once.call_once(|| {
            let does = self.place.run(self.does);
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(does));
        });
        Drops.transform(event, context)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_event_that_an_application_removes_meanwhile_leaves_the_one_before_it() {
    for place in places().await {
        let (library, _, _, numbers, _) = CASES[0];
        place.run(tables_of(library)).await;
        place
            .run("DELETE FROM mt_events; DELETE FROM mt_streams")
            .await;
        place.run(CASES[0].2).await;
        let place = Arc::new(place);
        let mut bench = bench(&place).await;
        let description = bench.describe().await.unwrap();
        bench.by = bench.in_place.transformer(Arc::new(Meanwhile {
            place: Arc::clone(&place),
            once: std::sync::Once::new(),
            does: "DELETE FROM mt_events WHERE version = 4",
        }));
        let begun = bench.in_place.begin(description, Arc::clone(&bench.by));
        let pass = begun.await.unwrap().rewrite().await.unwrap();
        assert_eq!((pass.dropped, pass.left), (2, 1), "{pass:?}");
        assert_eq!(texts(&place, numbers).await, ["3"]);
    }
}

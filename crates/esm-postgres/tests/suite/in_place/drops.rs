//! Events that are dropped: their rows are removed, and put back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use esm_core::ErrorKind;
use esm_core::event::{Event, Schema};
use esm_core::id::Fingerprint;
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_postgres::RewriteStatus;

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

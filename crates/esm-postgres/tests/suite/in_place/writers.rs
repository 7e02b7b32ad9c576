//! Applications that append all the time, and know nothing of esm.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use esm_core::ErrorKind;
use esm_postgres::RewriteStatus;
use tokio_postgres::error::SqlState;

use super::refusing::hasty;
use super::{Bench, By, rename, texts};
use crate::server::{Place, places, tables_of};

/// Appends to streams by the primary key alone, as cqrs-es does.
const CQRS_ES: &str = "INSERT INTO events
    SELECT 'cart', $1, coalesce(max(sequence), 0) + 1, $2, '1.0',
           json_build_object($2::text, json_build_object('n', coalesce(max(sequence), 0) + 1)), '{}'
    FROM events WHERE aggregate_type = 'cart' AND aggregate_id = $1";

/// Appends by a counter of the stream, as Marten does.
const MARTEN: &str = "WITH next AS (
        UPDATE mt_streams SET version = version + 1 WHERE id = $1 AND tenant_id = '*DEFAULT*'
        RETURNING version)
    INSERT INTO mt_events (seq_id, stream_id, version, data, type)
    SELECT nextval('mt_events_sequence'), $1, version, json_build_object('n', version), $2
    FROM next";

/// Appends of a writer at most: a fast one would make the sweeps endless.
const MOST: u64 = 200;

/// Appends until it is stopped; returns how many appends were acknowledged.
async fn append(
    place: &Place,
    sql: &str,
    stream: String,
    event_type: &str,
    stop: &AtomicBool,
) -> u64 {
    let client = place.connect().await.unwrap().open().await.unwrap();
    let mut acknowledged = 0;
    while acknowledged < MOST && !stop.load(Ordering::Relaxed) {
        match client.execute(sql, &[&stream, &event_type]).await {
            Ok(1) => acknowledged += 1,
            Ok(rows) => panic!("{rows} rows"),
            // two writers took the same number: their ordinary conflict
            Err(e) if e.code() == Some(&SqlState::UNIQUE_VIOLATION) => {}
            Err(e) => panic!("an append failed: {e}: {:?}", e.code()),
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_are_neither_refused_nor_lost_while_history_is_rewritten() {
    let by = By {
        name: "added",
        change: |event| rename(event, "Added", "ItemAdded"),
    };
    for (library, table, prepare, sql, count, gaps) in [
        (
            "cqrs-es",
            "events",
            "INSERT INTO events SELECT 'cart', s::text, n, 'Added', '1.0',
                 json_build_object('Added', json_build_object('n', n)), '{}'
             FROM generate_series(1, 4) s, generate_series(1, 300) n",
            CQRS_ES,
            "SELECT count(*) FROM events WHERE aggregate_type = 'cart'",
            "SELECT count(*) FROM (SELECT FROM events WHERE aggregate_type = 'cart'
                 GROUP BY aggregate_id HAVING count(*) <> max(sequence)) g",
        ),
        (
            "marten",
            "mt_events",
            "CREATE SEQUENCE mt_events_sequence START 100000;
             INSERT INTO mt_streams (id, type, version)
                 SELECT 'cart-' || s, 'cart', 300 FROM generate_series(1, 4) s;
             INSERT INTO mt_events (seq_id, stream_id, version, data, type)
                 SELECT s * 1000 + n, 'cart-' || s, n, '{}', 'Added'
                 FROM generate_series(1, 4) s, generate_series(1, 300) n",
            MARTEN,
            "SELECT count(*) FROM mt_events WHERE stream_id LIKE 'cart-%'",
            "SELECT count(*) FROM mt_streams s WHERE type = 'cart' AND version <>
                 (SELECT count(*) FROM mt_events e WHERE e.stream_id = s.id)",
        ),
    ] {
        for place in places().await {
            place.run(tables_of(library)).await;
            place.run(prepare).await;
            let bench = Bench::new(&place, by.clone()).await;
            let running = bench.begin().await.unwrap();
            let stop = Arc::new(AtomicBool::new(false));
            let stream = |n: usize| match library {
                "marten" => format!("cart-{n}"),
                _ => n.to_string(),
            };
            // old code writes the old type, and two writers share a stream
            let writers = [1, 1, 2, 3].map(|n| append(&place, sql, stream(n), "Added", &stop));
            let migrating = async {
                let pass = running.rewrite().await;
                let swept = running.settle(2).await;
                stop.store(true, Ordering::Relaxed);
                (pass, swept)
            };
            let (acknowledged, (pass, swept)) =
                tokio::join!(futures::future::join_all(writers), migrating);
            let (pass, swept) = (pass.unwrap(), swept.unwrap());
            let acknowledged: u64 = acknowledged.iter().sum();
            assert!(pass.rewritten >= 1_200, "{library}: {pass:?}");
            assert!(acknowledged > 0, "{library}");

            // the writers have ended: two sweeps find nothing more
            let rest = running.settle(9).await.unwrap();
            assert!(rest.is_done, "{library}: {rest:?}");
            running.end(true).await.unwrap();
            let all = 1_200 + acknowledged;
            assert_eq!(texts(&place, count).await, [all.to_string()], "{library}");
            assert_eq!(texts(&place, gaps).await, ["0"], "{library}");
            let renamed =
                format!("SELECT count(*) FROM {table} e WHERE e::text LIKE '%ItemAdded%'");
            assert_eq!(
                texts(&place, &renamed).await,
                [all.to_string()],
                "{library}"
            );
            assert_eq!(pass.rewritten + swept.swept + rest.swept, all, "{library}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_has_not_ended_before_older_transactions_have() {
    let by = By {
        name: "paid",
        change: |event| rename(event, "Paid", "OrderPaid"),
    };
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let bench = Bench::with(&place, by.clone(), hasty()).await;
        let running = bench.begin().await.unwrap();
        // old code has written, and has not committed
        let old = place.connect().await.unwrap().open().await.unwrap();
        let append = "BEGIN; INSERT INTO events VALUES ('order', '1', 3, 'Paid', '1.0',
                          '{\"Paid\": {}}', '{}')";
        old.batch_execute(append).await.unwrap();
        assert_eq!(running.rewrite().await.unwrap().rewritten, 1);
        let settled = running.settle(9).await.unwrap();
        assert!(!settled.is_done, "{settled:?}");
        let waits_for = settled.waits_for.unwrap();
        assert!(waits_for.contains("process"), "{waits_for}");
        let migration = running.migration();
        assert_eq!(running.end(false).await.unwrap(), RewriteStatus::Rewritten);
        let known = bench.in_place.migration(migration).await.unwrap();
        assert!(!known.is_at_work && known.status == RewriteStatus::Rewritten);

        old.batch_execute("COMMIT").await.unwrap();
        let by = Arc::clone(&bench.by);
        let running = bench.in_place.resume(&known, by).await.unwrap();
        let settled = running.settle(9).await.unwrap();
        assert!(settled.is_done && settled.swept == 1, "{settled:?}");
        running.end(true).await.unwrap();
        // what was read before the end is refused; what a sweep rewrote is restored too
        let stale = bench.in_place.roll_back(&known, "test", None).await;
        assert_eq!(*stale.unwrap_err().kind(), ErrorKind::Fenced);
        let known = bench.in_place.migration(migration).await.unwrap();
        let undone = bench.in_place.roll_back(&known, "test", None).await;
        assert_eq!(undone.unwrap().restored, 2);
        let paid = "SELECT count(*) FROM events WHERE event_type = 'Paid'";
        assert_eq!(texts(&place, paid).await, ["2"]);
    }
}

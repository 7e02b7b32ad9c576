//! A server that is killed in the middle of a rewrite, and started again.

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_postgres::Running;
use esm_testkit::containers::{OwnPostgres, PostgresVersion};

use super::steered::until;
use super::{Bench, By, rows, texts};
use crate::server::{Place, tables_of};

/// Not idempotent: an event that is transformed twice shows it.
const BY: By = By {
    name: "counted",
    change: |event| {
        event.schema_version.0 += 1;
        let text = String::from_utf8(event.payload.to_vec()).unwrap();
        event.payload = format!("{{\"again\": {text}}}").into();
    },
};

const STREAMS: &str = "INSERT INTO events SELECT 'cart', s::text, n, 'Added', '1.0',
    json_build_object('Added', n), '{}' FROM generate_series(1, 60) s, generate_series(1, 40) n";
/// Each event is in the form that one rewrite gives it.
const WRONG: &str = "SELECT count(*) FROM events WHERE payload::text NOT LIKE '{\"again\": %'
    OR payload::text LIKE '%again%again%' OR event_version NOT IN ('2.0', '3.0')";

/// Rewrites what is left: the run continues by itself, or is resumed.
async fn rewrite(bench: &Bench, running: Running) -> Running {
    match running.rewrite().await {
        Ok(_) => running,
        Err(error) => {
            let lost = [ErrorKind::Unavailable, ErrorKind::Ambiguous];
            assert!(lost.contains(error.kind()), "{error:?}");
            let known = bench.newest().await;
            let by = Arc::clone(&bench.by);
            bench.in_place.resume(&known, by).await.unwrap()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_the_middle_loses_and_repeats_nothing() {
    for version in [PostgresVersion::V15, PostgresVersion::V18] {
        let Some(mut own) = OwnPostgres::start(version).await else {
            continue;
        };
        let place = Place::of(&own.server()).await;
        place.run(tables_of("cqrs-es")).await;
        place.run(STREAMS).await;
        let before = rows(&place, "events").await;
        let bench = Bench::new(&place, BY).await;
        let running = bench.begin().await.unwrap();
        let kills = async {
            until(&bench, |known| known.rewritten > 0).await;
            own.kill();
            own.start_again().await;
        };
        let (running, ()) = tokio::join!(rewrite(&bench, running), kills);
        running.rewrite().await.unwrap();
        assert!(running.settle(9).await.unwrap().is_done);
        running.end(true).await.unwrap();
        assert_eq!(texts(&place, WRONG).await, ["0"]);

        let known = bench.newest().await;
        let kills = async {
            until(&bench, |known| known.restored > 0).await;
            own.kill();
            own.start_again().await;
        };
        let undoes = bench.in_place.roll_back(&known, "test", None);
        let (undone, ()) = tokio::join!(undoes, kills);
        if undone.is_err() {
            let known = bench.newest().await;
            bench
                .in_place
                .roll_back(&known, "test", None)
                .await
                .unwrap();
        }
        assert_eq!(rows(&place, "events").await, before);
    }
}

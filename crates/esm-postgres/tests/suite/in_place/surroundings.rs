//! Tables that are more than one, and transactions that outlive their session.

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::protocol::plan::PlannedMigration;
use esm_core::store::OnRetired;

use super::refusing::{ensure_refused, hasty};
use super::{Bench, By, rename, rows, texts};
use crate::server::{Place, places, tables_of};

const BY: By = By {
    name: "rename",
    change: |event| rename(event, "Placed", "OrderPlaced"),
};

/// An append of old code whose transaction is prepared: it has no process any more.
const PREPARE: &str = "BEGIN;
    INSERT INTO events VALUES ('order', '1', 3, 'Placed', '1.0', '{\"Placed\": {}}', '{}');
    PREPARE TRANSACTION 'old'";
const OLD: &str = "INSERT INTO events VALUES ('order', '1', 4, 'Placed', '1.0', '{}', '{}')";

async fn refused(place: &Place) -> (ErrorKind, String) {
    let before = rows(place, "events").await;
    let error = Bench::new(place, BY).await.begin().await.unwrap_err();
    assert_eq!(rows(place, "events").await, before);
    let schema = "SELECT count(*) FROM pg_namespace WHERE nspname = 'esm_in_place'";
    assert_eq!(texts(place, schema).await, ["0"]);
    (error.kind().clone(), error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_is_waited_for_like_any_other() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let bench = Bench::with(&place, BY, hasty()).await;
        let running = bench.begin().await.unwrap();
        place.run(PREPARE).await;
        assert_eq!(running.rewrite().await.unwrap().rewritten, 2);
        let settled = running.settle(9).await.unwrap();
        let waits_for = settled.waits_for.unwrap_or_default();
        assert!(
            !settled.is_done && waits_for.contains("transaction"),
            "{waits_for}"
        );
        place.run("COMMIT PREPARED 'old'").await;
        let settled = running.settle(9).await.unwrap();
        assert!(settled.is_done && settled.swept == 1, "{settled:?}");
        running.end(true).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_code_is_not_refused_before_a_prepared_transaction_has_ended() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let bench = Bench::with(&place, BY, hasty()).await;
        let refuses = |planned: &mut PlannedMigration| planned.on_retired = Some(OnRetired::Refuse);
        let running = bench.begin_with(refuses).await.unwrap();
        running.rewrite().await.unwrap();
        place.run(PREPARE).await;
        let error = running.settle(9).await.unwrap_err();
        assert!(
            error.to_string().contains("a prepared transaction"),
            "{error:?}"
        );
        place.run("COMMIT PREPARED 'old'").await;
        let settled = running.settle(9).await.unwrap();
        assert!(settled.is_done && settled.swept == 1, "{settled:?}");
        let client = place.connect().await.unwrap().open().await.unwrap();
        ensure_refused(&client, OLD, "ES001").await;
        let known = bench.newest().await;
        let by = Arc::clone(&bench.by);
        running.leave().await;
        // a vacuum that has just come to the table may outlast one try: its hint says to repeat it
        let mut tries = 0..100;
        loop {
            let resumed = bench
                .in_place
                .resume(&known, Arc::clone(&by))
                .await
                .unwrap();
            match resumed.end(true).await {
                Err(busy) if busy.is_retryable() && tries.next().is_some() => {}
                ended => {
                    ended.unwrap();
                    break;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_rows_elsewhere_is_refused() {
    for (child, said) in [
        (
            "CREATE TABLE old_events () INHERITS (events)",
            "unique in all of them: public.old_events",
        ),
        (
            "CREATE FOREIGN DATA WRAPPER away; CREATE SERVER away FOREIGN DATA WRAPPER away;
             CREATE FOREIGN TABLE far_events () INHERITS (events) SERVER away",
            "table of another server: public.far_events",
        ),
    ] {
        for place in places().await {
            place.run(tables_of("cqrs-es")).await;
            // events of its own are read before; those of the wrapper cannot be
            let bench = Bench::new(&place, BY).await;
            let described = bench.describe().await.unwrap();
            place.run(child).await;
            let error = bench.in_place.check(&described).await.unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Unsupported, "{error:?}");
            assert!(error.to_string().contains(said), "{error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_subscribed_is_refused() {
    for (publisher, place) in places().await.into_iter().zip(places().await) {
        publisher.run(tables_of("cqrs-es")).await;
        place.run(tables_of("cqrs-es")).await;
        publisher
            .run("CREATE PUBLICATION events FOR TABLE events")
            .await;
        let port = texts(&place, "SELECT inet_server_port()").await.remove(0);
        let (_, database) = publisher.address.rsplit_once('/').unwrap();
        let subscribe = format!(
            "CREATE SUBSCRIPTION events
                 CONNECTION 'host=127.0.0.1 port={port} user=postgres password=postgres dbname={database}'
                 PUBLICATION events
                 WITH (create_slot = false, slot_name = NONE, enabled = false, copy_data = false)"
        );
        place.run(&subscribe).await;
        let (kind, said) = refused(&place).await;
        assert_eq!(kind, ErrorKind::Unsupported);
        assert!(
            said.contains("receives its rows from another server: public.events"),
            "{said}"
        );
        place.run("DROP SUBSCRIPTION events").await;
        Bench::new(&place, BY).await.migrate().await.unwrap();
    }
}

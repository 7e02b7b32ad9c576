//! Who may commit: a process that was taken over may not.

use std::sync::Arc;

use esm_core::ErrorKind;
use tokio_postgres::Client;

use super::refusing::hasty;
use super::{Bench, By, options, rename, rows, texts};
use crate::server::{Place, places, tables_of};

const BY: By = By {
    name: "rename",
    change: |event| rename(event, "Placed", "OrderPlaced"),
};

async fn client(place: &Place) -> Client {
    place.connect().await.unwrap().open().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_taken_over_commits_nothing() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let frozen = Bench::with(&place, BY, options("frozen")).await;
        let running = frozen.begin().await.unwrap();
        let before = rows(&place, "events").await;

        // it says that it ended, and is then only frozen
        running.leave().await;
        let other = Bench::with(&place, BY, options("other")).await;
        let known = other.newest().await;
        let taken = other.in_place.resume(&known, Arc::clone(&other.by)).await;
        let taken = taken.unwrap();

        let error = running.rewrite().await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::LockLost, "{error:?}");
        assert_eq!(rows(&place, "events").await, before);
        let error = running.end(true).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::LockLost, "{error:?}");

        assert_eq!(taken.rewrite().await.unwrap().rewritten, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_is_under_way_is_waited_for_by_the_one_who_takes_over() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let bench = Bench::new(&place, BY).await;
        let running = bench.begin().await.unwrap();
        running.leave().await;
        let known = bench.newest().await;
        // a swap that has read the claim and has not committed
        let swapping = client(&place).await;
        let fence = "BEGIN; SELECT FROM esm_in_place.claim FOR SHARE;
                     UPDATE events SET event_type = 'late' WHERE aggregate_type = 'invoice'";
        swapping.batch_execute(fence).await.unwrap();
        let takes = bench.in_place.resume(&known, Arc::clone(&bench.by));
        let commits = async {
            let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
            while texts(&place, waiting).await == ["0"] {
                tokio::task::yield_now().await;
            }
            swapping.batch_execute("COMMIT").await.unwrap();
            "committed"
        };
        let (taken, committed) = tokio::join!(takes, commits);
        assert_eq!(committed, "committed");
        let seen = rows(&place, "events").await;
        assert!(seen.iter().any(|row| row.contains("late")), "{seen:?}");
        assert_eq!(taken.unwrap().rewrite().await.unwrap().rewritten, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_migration_works_on_a_table_and_another_process_keeps_off() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let bench = Bench::with(&place, BY, options("first")).await;
        let running = bench.begin().await.unwrap();

        let other = Bench::with(&place, BY, options("second")).await;
        let error = other.begin().await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::AlreadyExists, "{error:?}");
        let at_work = running.migration().to_string();
        assert!(error.to_string().contains(&at_work), "{error:?}");

        let known = other.newest().await;
        let held = other.in_place.resume(&known, Arc::clone(&other.by)).await;
        let held = held.unwrap_err();
        assert_eq!(*held.kind(), ErrorKind::Fenced, "{held:?}");
        assert!(held.to_string().contains("first"), "{held:?}");
        let held = other.in_place.roll_back(&known, "test", None).await;
        assert_eq!(*held.unwrap_err().kind(), ErrorKind::Fenced);

        assert_eq!(running.rewrite().await.unwrap().rewritten, 2);
        running.end(true).await.unwrap();
        // the same once more is refused, and another is not
        let again = other.begin().await.unwrap_err();
        assert!(again.hint().unwrap().contains("--again"), "{again:?}");
        let back = By {
            name: "back",
            change: |event| rename(event, "OrderPlaced", "Placed"),
        };
        let back = Bench::new(&place, back).await;
        assert_eq!(back.migrate().await.unwrap().rewritten, 2);
        // and the older one cannot be undone beneath it
        let older = back.in_place.migration(known.migration).await.unwrap();
        let beneath = back.in_place.roll_back(&older, "test", None).await;
        let beneath = beneath.unwrap_err();
        assert!(
            beneath.to_string().contains("newer migration"),
            "{beneath:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_another_transaction_holds_is_not_waited_for() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let bench = Bench::with(&place, BY, hasty()).await;
        let running = bench.begin().await.unwrap();
        let holder = client(&place).await;
        let hold = "BEGIN; SELECT FROM events WHERE aggregate_id = '2/b' FOR UPDATE";
        holder.batch_execute(hold).await.unwrap();
        let error = running.rewrite().await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.to_string().contains("55P03"), "{error:?}");
        holder.batch_execute("ROLLBACK").await.unwrap();
        // what was done is done, and the rest is done now
        running.rewrite().await.unwrap();
        let left = "SELECT count(*) FROM events WHERE event_type = 'Placed'";
        assert_eq!(texts(&place, left).await, ["0"]);
    }
}

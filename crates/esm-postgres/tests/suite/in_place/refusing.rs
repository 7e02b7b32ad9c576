//! Old code that is refused by a trigger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use esm_core::ErrorKind;
use esm_core::clock::{Clock, Environment};
use esm_core::protocol::control::{Answer, ControlAction};
use esm_core::store::OnRetired;
use esm_postgres::{InPlaceOptions, RewriteStatus, Running};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::steered::{send, until, until_done};
use super::{Bench, By, options, rename, rows, texts};
use crate::server::{Place, places, tables_of};

pub(super) const BY: By = By {
    name: "rename",
    change: |event| rename(event, "Placed", "OrderPlaced"),
};

/// Appends of the old type, of another old type, and of the new one to the table of cqrs-es.
const OLD: &str = "INSERT INTO events SELECT 'order', '1', max(sequence) + 1, 'Placed', '1.0',
    '{\"Placed\": {}}', '{}' FROM events WHERE aggregate_type = 'order' AND aggregate_id = '1'";
const KEPT: &str = "INSERT INTO events SELECT 'order', '1', max(sequence) + 1, 'Paid', '1.0',
    '{\"Paid\": {}}', '{}' FROM events WHERE aggregate_type = 'order' AND aggregate_id = '1'";
const NEW: &str = "INSERT INTO events SELECT 'order', '1', max(sequence) + 1, 'OrderPlaced', '1.0',
    '{\"OrderPlaced\": {}}', '{}' FROM events WHERE aggregate_type = 'order' AND aggregate_id = '1'";

async fn client(place: &Place) -> Client {
    place.connect().await.unwrap().open().await.unwrap()
}

pub(super) async fn begin(bench: &Bench) -> Running {
    let refuses = |planned: &mut esm_core::protocol::plan::PlannedMigration| {
        planned.on_retired = Some(OnRetired::Refuse);
    };
    bench.begin_with(refuses).await.unwrap()
}

pub(super) async fn ensure_refused(client: &Client, append: &str, code: &str) {
    let error = client.batch_execute(append).await.unwrap_err();
    let reported = error.as_db_error().unwrap();
    assert_eq!(*reported.code(), SqlState::from_code(code), "{error:?}");
    assert!(reported.message().contains("retired it"), "{error:?}");
}

async fn installed(place: &Place) -> String {
    let query = "SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'esm_refuse%')
        || ' ' || (SELECT count(*) FROM pg_proc WHERE proname LIKE 'refuse_%')";
    texts(place, query).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn old_code_is_refused_from_the_rewrite_until_the_end() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let bench = Bench::new(&place, BY).await;
        let running = begin(&bench).await;
        let migration = running.migration();
        // a writer with a prepared statement, and without rights on anything of esm's
        let role = format!("writer_{}", std::process::id());
        place
            .run(&format!(
                "CREATE ROLE {role}; GRANT SELECT, INSERT ON events TO {role}"
            ))
            .await;
        let old = client(&place).await;
        let prepare = format!("SET ROLE {role}; PREPARE old AS {OLD}; EXECUTE old");
        old.batch_execute(&prepare).await.unwrap();
        assert_eq!(running.rewrite().await.unwrap().rewritten, 3);
        // it is written after its stream was rewritten, and swept
        old.batch_execute("EXECUTE old").await.unwrap();
        let settled = running.settle(9).await.unwrap();
        assert!(settled.is_done && settled.swept == 1, "{settled:?}");
        ensure_refused(&old, "EXECUTE old", "ES001").await;
        assert_eq!(running.end(false).await.unwrap(), RewriteStatus::Rewritten);
        ensure_refused(&old, "EXECUTE old", "ES001").await;
        ensure_refused(&old, OLD, "ES001").await;
        old.batch_execute(KEPT).await.unwrap();
        old.batch_execute(NEW).await.unwrap();
        let known = bench.in_place.migration(migration).await.unwrap();
        let by = known.refuses_by.clone().unwrap();
        assert!(
            by.starts_with("trigger esm_refuse_") && by.ends_with(" on events"),
            "{by}"
        );

        let running = bench
            .in_place
            .resume(&known, Arc::clone(&bench.by))
            .await
            .unwrap();
        let settled = running.settle(9).await.unwrap();
        assert!(settled.is_done && settled.swept == 0, "{settled:?}");
        ensure_refused(&old, "EXECUTE old", "ES001").await;
        running.end(true).await.unwrap();
        old.batch_execute("EXECUTE old").await.unwrap();
        assert_eq!(installed(&place).await, "0 0");
        assert_eq!(bench.newest().await.refuses_by, None);
        place
            .run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_layout_refuses_with_a_code_that_is_no_conflict() {
    for (library, table, old, code, from) in [
        (
            "emmett",
            "emt_messages",
            "INSERT INTO emt_messages (stream_position, transaction_id, stream_id,
                 message_schema_version, message_id, message_type, message_data, message_metadata)
             VALUES (3, '103', 'cart-1', '1', 'm9', 'Added', '{}', '{}')",
            "ES001",
            "Added",
        ),
        (
            "eventuous",
            "eventuous.messages",
            "INSERT INTO eventuous.messages (message_id, message_type, stream_id, stream_position,
                 json_data, created)
             VALUES (gen_random_uuid(), 'V1.Booked', 1, 2, '{}', now())",
            "ES001",
            "V1.Booked",
        ),
        (
            "marten",
            "mt_events",
            "INSERT INTO mt_events (seq_id, stream_id, version, data, type)
             VALUES (9, '1', 4, '{}', 'placed')",
            "MT001",
            "placed",
        ),
        (
            "message-db",
            "message_store.messages",
            "INSERT INTO message_store.messages (position, stream_name, type, data)
             VALUES (2, 'account-1', 'Opened', '{}')",
            "ES001",
            "Opened",
        ),
    ] {
        for place in places().await {
            place.run(tables_of(library)).await;
            let by = By {
                name: "all",
                change: |event| {
                    for old in ["Added", "V1.Booked", "placed", "Opened"] {
                        rename(event, old, "New");
                    }
                },
            };
            let bench = Bench::new(&place, by).await;
            let before = rows(&place, table).await;
            let running = begin(&bench).await;
            running.rewrite().await.unwrap();
            assert!(running.settle(9).await.unwrap().is_done, "{library}");
            running.end(false).await.unwrap();
            let writer = client(&place).await;
            ensure_refused(&writer, old, code).await;
            let new = old.replace(&format!("'{from}'"), "'Other'");
            writer.batch_execute(&new).await.unwrap();

            // the undo restores rows of the type that was refused, and refuses nothing
            let known = bench.newest().await;
            bench
                .in_place
                .roll_back(&known, "test", None)
                .await
                .unwrap();
            let after = rows(&place, table).await;
            assert!(
                before.iter().all(|row| after.contains(row)),
                "{library}: {after:?}"
            );
            assert_eq!(installed(&place).await, "0 0", "{library}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_transaction_is_waited_for_and_swept_before_it_counts_as_refused() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let bench = Bench::new(&place, BY).await;
        let running = begin(&bench).await;
        running.rewrite().await.unwrap();
        let old = client(&place).await;
        old.batch_execute(&format!("BEGIN; {OLD}")).await.unwrap();
        let commits = async {
            // an attempt waits for the writer, and gives up soon: others are not held up
            let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
            while texts(&place, waiting).await == ["0"] {
                tokio::task::yield_now().await;
            }
            client(&place)
                .await
                .batch_execute(KEPT.replace("'1'", "'2/b'").as_str())
                .await
                .unwrap();
            old.batch_execute("COMMIT").await.unwrap();
        };
        let (settled, ()) = tokio::join!(running.settle(9), commits);
        let settled = settled.unwrap();
        assert!(settled.is_done && settled.swept == 1, "{settled:?}");
        ensure_refused(&old, OLD, "ES001").await;
        running.end(true).await.unwrap();
    }
}

/// Options of a process that does not wait between attempts.
pub(super) fn hasty() -> InPlaceOptions {
    let mut hasty = options("hasty");
    hasty.environment.clock = Arc::new(Hasty {
        environment: Environment::system(),
        slept: AtomicU64::new(0),
    });
    hasty
}

/// A clock that does not wait, and continues as if it had.
#[derive(Debug)]
struct Hasty {
    environment: Environment,
    slept: AtomicU64,
}

#[async_trait]
impl Clock for Hasty {
    fn now(&self) -> jiff::Timestamp {
        self.environment.clock.now()
    }

    fn monotonic(&self) -> Duration {
        let slept = Duration::from_millis(self.slept.load(Ordering::Relaxed));
        self.environment.clock.monotonic() + slept
    }

    async fn sleep(&self, duration: Duration) {
        let slept = duration.as_millis() as u64;
        self.slept.fetch_add(slept, Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_others_hold_is_an_error_that_names_them_and_can_be_repeated() {
    let Some(place) = places().await.pop() else {
        return;
    };
    place.run(tables_of("cqrs-es")).await;
    let bench = Bench::with(&place, BY, hasty()).await;
    let running = begin(&bench).await;
    running.rewrite().await.unwrap();
    let old = client(&place).await;
    let pid = "SELECT pg_backend_pid()";
    let pid: i32 = old.query_one(pid, &[]).await.unwrap().get(0);
    old.batch_execute(&format!("BEGIN; {OLD}")).await.unwrap();
    let error = running.settle(9).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(
        error.to_string().contains(&format!("process {pid}")),
        "{error:?}"
    );
    assert_eq!(installed(&place).await, "0 0");
    old.batch_execute("COMMIT").await.unwrap();
    assert!(running.settle(9).await.unwrap().is_done);

    // a reader keeps the trigger from being dropped: the end is not recorded, and it still refuses
    old.batch_execute("BEGIN; SELECT FROM events")
        .await
        .unwrap();
    let error = running.end(true).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert_eq!(bench.newest().await.status, RewriteStatus::Rewriting);
    let writer = client(&place).await;
    ensure_refused(&writer, OLD, "ES001").await;
    // nor does it delay an undo: everything passes from its beginning
    let known = bench.newest().await;
    let undone = bench.in_place.roll_back(&known, "test", None).await;
    let waits_for = undone.unwrap().waits_for.unwrap();
    assert!(waits_for.contains(&format!("process {pid}")), "{waits_for}");
    let left = "SELECT count(*) FROM events WHERE event_type = 'OrderPlaced'";
    assert_eq!(texts(&place, left).await, ["0"]);
    writer.batch_execute(OLD).await.unwrap();
    let open = bench.newest().await;
    assert_eq!(open.status, RewriteStatus::RollingBack);
    // it is there, and refuses nothing
    assert_eq!(open.refuses_by, None);
    assert!(open.passes_by.unwrap().starts_with("trigger esm_refuse_"));
    old.batch_execute("COMMIT").await.unwrap();
    let known = bench.newest().await;
    bench
        .in_place
        .roll_back(&known, "test", None)
        .await
        .unwrap();
    assert_eq!(installed(&place).await, "0 0");
    assert_eq!(bench.newest().await.status, RewriteStatus::RolledBack);
}

/// Dead rows on which a vacuum by itself would work for minutes.
const DEAD: &str = "ALTER TABLE events SET (autovacuum_vacuum_threshold = 0,
        autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100,
        autovacuum_vacuum_cost_limit = 1);
    INSERT INTO events SELECT 'bulk', '1', n, 'Other', '1.0',
        json_build_object('Other', repeat('x', 2000)), '{}' FROM generate_series(1, 3000) n;
    UPDATE events SET metadata = '{\"a\": 1}' WHERE aggregate_type = 'bulk'";

#[tokio::test(flavor = "multi_thread")]
async fn autovacuum_gives_way_while_writers_are_not_held_up() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let bench = Bench::new(&place, BY).await;
        let running = begin(&bench).await;
        running.rewrite().await.unwrap();
        place.run(DEAD).await;
        place
            .run("ALTER SYSTEM SET autovacuum_naptime = '1s'")
            .await;
        place.run("SELECT pg_reload_conf()").await;
        let vacuums = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
            WHERE a.backend_type = 'autovacuum worker' AND l.relation = 'events'::regclass
                AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        while texts(&place, vacuums).await == ["0"] {
            tokio::task::yield_now().await;
        }
        let old = client(&place).await;
        let appends = async {
            // a writer beside an attempt that waits for the vacuum
            let waiting = "SELECT count(*) FROM pg_locks
                WHERE NOT granted AND mode = 'ShareUpdateExclusiveLock'";
            while texts(&place, waiting).await == ["0"] {
                tokio::task::yield_now().await;
            }
            let hasty = format!("SET lock_timeout = 1; {KEPT}");
            old.batch_execute(&hasty).await.unwrap();
        };
        let (settled, ()) = tokio::join!(running.settle(9), appends);
        let settled = settled.unwrap();
        assert!(settled.is_done, "{settled:?}");
        place.run("ALTER SYSTEM RESET autovacuum_naptime").await;
        place.run("SELECT pg_reload_conf()").await;
        ensure_refused(&old, OLD, "ES001").await;
        running.end(true).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_is_carried_out_while_the_table_is_waited_for() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let before = rows(&place, "events").await;
        let bench = Bench::new(&place, BY).await;
        let running = begin(&bench).await;
        running.rewrite().await.unwrap();
        let old = client(&place).await;
        old.batch_execute(&format!("BEGIN; {KEPT}")).await.unwrap();
        let known = bench.newest().await;
        let reason = "wrong".to_owned();
        let cancels = send(&bench, &known, ControlAction::Cancel { reason });
        let (settled, answer) = tokio::join!(running.settle(9), cancels);
        assert_eq!(answer, Answer::Accepted);
        let error = settled.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Cancelled, "{error:?}");
        running.leave().await;
        assert_eq!(installed(&place).await, "0 0");
        // nothing is installed, so nothing is waited for
        let known = bench.newest().await;
        let undone = bench.in_place.roll_back(&known, "wrong", None).await;
        assert_eq!(undone.unwrap().restored, 2);
        old.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(rows(&place, "events").await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_is_paused_before_its_sweeps_installs_nothing() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let bench = Bench::new(&place, BY).await;
        let running = begin(&bench).await;
        running.rewrite().await.unwrap();
        let old = client(&place).await;
        old.batch_execute(&format!("BEGIN; {KEPT}")).await.unwrap();
        let steers = async {
            let known = bench.newest().await;
            let pause = bench.in_place.send(&known, ControlAction::Pause, "eva");
            let pause = pause.await.unwrap();
            until_done(&bench, &known, &pause).await;
            old.batch_execute("COMMIT").await.unwrap();
            // it says that it rests, and so it does
            until(&bench, |known| {
                known.waits_for.as_deref() == Some("paused by eva")
            })
            .await;
            assert_eq!(installed(&place).await, "0 0");
            let resumed = send(&bench, &known, ControlAction::Resume).await;
            assert_eq!(resumed, Answer::Done);
        };
        let (settled, ()) = tokio::join!(running.settle(9), steers);
        assert!(settled.unwrap().is_done);
        assert_eq!(installed(&place).await, "1 1");
        running.end(true).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrator_that_wakes_up_after_the_undo_installs_nothing() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let bench = Bench::with(&place, BY, options("frozen")).await;
        let running = begin(&bench).await;
        running.rewrite().await.unwrap();
        running.leave().await;
        let other = Bench::with(&place, BY, options("other")).await;
        let known = other.newest().await;
        other
            .in_place
            .roll_back(&known, "test", None)
            .await
            .unwrap();
        let error = running.settle(9).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::LockLost, "{error:?}");
        assert_eq!(installed(&place).await, "0 0");
        client(&place).await.batch_execute(OLD).await.unwrap();
    }
}

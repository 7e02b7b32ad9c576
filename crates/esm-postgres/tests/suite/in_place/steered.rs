//! Commands to a migration that runs, and what slows it down.

use std::sync::Arc;
use std::time::Duration;

use esm_core::ErrorKind;
use esm_core::migration::Reply;
use esm_core::protocol::control::{Answer, Command, ControlAction, Limit, SettingsChange};
use esm_core::protocol::plan::PlannedMigration;
use esm_postgres::{Rewrite, RewriteStatus};

use super::{Bench, By, options, rename, texts};
use crate::server::{Place, places, tables_of};

const BY: By = By {
    name: "added",
    change: |event| rename(event, "Added", "ItemAdded"),
};

/// Streams enough that a migration is under way while commands come.
const STREAMS: &str = "INSERT INTO events SELECT 'cart', s::text, n, 'Added', '1.0',
    json_build_object('Added', n), '{}' FROM generate_series(1, 40) s, generate_series(1, 5) n";
const REWRITTEN: &str = "SELECT count(*) FROM events WHERE event_type = 'ItemAdded'";
const LONG: Duration = Duration::from_secs(60);

/// So slow that it never ends by itself while a test looks.
fn slow(events: u64) -> SettingsChange {
    SettingsChange {
        events_per_second: Some(Limit::At(events)),
        ..SettingsChange::default()
    }
}

pub(super) async fn send(bench: &Bench, known: &Rewrite, action: ControlAction) -> Answer {
    let command = bench.in_place.send(known, action, "eva").await.unwrap();
    match bench
        .in_place
        .reply(known.migration, &command, LONG, false)
        .await
        .unwrap()
    {
        Reply::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn until(bench: &Bench, what: impl Fn(&Rewrite) -> bool) -> Rewrite {
    loop {
        let known = bench.newest().await;
        if what(&known) {
            return known;
        }
        tokio::task::yield_now().await;
    }
}

pub(super) async fn until_done(bench: &Bench, known: &Rewrite, command: &Command) {
    let done = |answer: &Answer| *answer == Answer::Done;
    loop {
        let state = bench.in_place.commands(known.migration).await.unwrap();
        let found = state.find(command.id);
        if found.and_then(|c| c.answer.as_ref()).is_some_and(done) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_is_paused_continued_and_set_by_others() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        place.run(STREAMS).await;
        let bench = Bench::new(&place, BY).await;
        let running = bench
            .begin_with(|planned| planned.throttle = slow(20))
            .await
            .unwrap();
        let other = Bench::with(&place, BY, options("other")).await;
        let steers = async {
            let known = until(&other, |known| known.rewritten > 0).await;
            let cutover = send(&other, &known, ControlAction::CutOver).await;
            assert!(matches!(cutover, Answer::Refused { .. }), "{cutover:?}");
            let pause = other.in_place.send(&known, ControlAction::Pause, "eva");
            let pause = pause.await.unwrap();
            until_done(&other, &known, &pause).await;
            // what rests writes nothing; before, it may have waited for its limit
            let paused = texts(&place, REWRITTEN).await;
            until(&other, |known| {
                known.waits_for.as_deref() == Some("paused by eva")
            })
            .await;
            assert_eq!(texts(&place, REWRITTEN).await, paused);
            let set = ControlAction::Set(SettingsChange {
                events_per_second: Some(Limit::Unlimited),
                concurrency: Some(2),
                ..SettingsChange::default()
            });
            assert_eq!(send(&other, &known, set).await, Answer::Done);
            assert_eq!(
                send(&other, &known, ControlAction::Resume).await,
                Answer::Done
            );
        };
        let (pass, ()) = tokio::join!(running.rewrite(), steers);
        assert_eq!(pass.unwrap().rewritten, 200);
        let ended = bench.newest().await;
        running.end(true).await.unwrap();
        let late = bench.newest().await;
        let late = bench
            .in_place
            .send(&late, ControlAction::Pause, "eva")
            .await;
        assert_eq!(*late.unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(ended.rewritten, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_migration_ends_and_is_undone_from_its_archive() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        place.run(STREAMS).await;
        let before = super::rows(&place, "events").await;
        let bench = Bench::new(&place, BY).await;
        let running = bench
            .begin_with(|planned| planned.throttle = slow(20))
            .await
            .unwrap();
        let other = Bench::with(&place, BY, options("other")).await;
        let cancels = async {
            let known = until(&other, |known| known.rewritten > 0).await;
            let reason = "wrong".to_owned();
            let cancel = ControlAction::Cancel { reason };
            assert_eq!(send(&other, &known, cancel).await, Answer::Accepted);
        };
        let (pass, ()) = tokio::join!(running.rewrite(), cancels);
        let error = pass.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Cancelled, "{error:?}");
        let undo = running.undo_asked().unwrap();
        assert_eq!(undo.reason, "asked for by eva: wrong");
        running.leave().await;
        let known = bench.newest().await;
        bench
            .in_place
            .roll_back(&known, &undo.reason, None)
            .await
            .unwrap();
        assert_eq!(bench.newest().await.status, RewriteStatus::RolledBack);
        assert_eq!(super::rows(&place, "events").await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_to_no_process_is_received_by_the_one_that_resumes() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        place.run(STREAMS).await;
        let bench = Bench::new(&place, BY).await;
        let running = bench.begin().await.unwrap();
        running.leave().await;
        let known = bench.newest().await;
        let reason = "wrong".to_owned();
        let cancel = bench
            .in_place
            .send(&known, ControlAction::Cancel { reason }, "eva");
        let cancel = cancel.await.unwrap();
        let reply = bench
            .in_place
            .reply(known.migration, &cancel, LONG, false)
            .await;
        assert_eq!(reply.unwrap(), Reply::NoProcess);
        let by = Arc::clone(&bench.by);
        let running = bench.in_place.resume(&known, by).await.unwrap();
        let error = running.rewrite().await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Cancelled, "{error:?}");
        assert_eq!(texts(&place, REWRITTEN).await, ["0"]);
    }
}

async fn slot(place: &Place, statement: &str) {
    place.run(statement).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_behind_holds_a_migration_and_is_named() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        place.run(STREAMS).await;
        let name = format!("lags_{}", std::process::id());
        // it keeps the log from here on, and nobody reads it
        slot(
            &place,
            &format!("SELECT pg_create_physical_replication_slot('{name}', true)"),
        )
        .await;
        // more than is allowed
        place
            .run("CREATE TABLE ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
            .await;
        let bench = Bench::new(&place, BY).await;
        let running = bench
            .begin_with(|planned| {
                planned.throttle.replication_lag_bytes = Some(Limit::At(1_000_000));
            })
            .await
            .unwrap();
        let other = Bench::with(&place, BY, options("other")).await;
        let looks = async {
            let waits = until(&other, |known| known.waits_for.is_some()).await;
            let reason = waits.waits_for.unwrap();
            // the server has the slots of other tests too
            assert!(reason.contains("slot "), "{reason}");
            assert!(reason.contains("at most 1000000"), "{reason}");
            assert_eq!(texts(&place, REWRITTEN).await, ["0"]);
            let seen = other.in_place.surroundings().await.unwrap();
            let lag = seen
                .behind
                .iter()
                .find(|b| b.what.ends_with(&name))
                .unwrap();
            assert!(lag.bytes > 1_000_000, "{seen:?}");
            slot(
                &place,
                &format!("SELECT pg_drop_replication_slot('{name}')"),
            )
            .await;
        };
        let (pass, ()) = tokio::join!(running.rewrite(), looks);
        assert_eq!(pass.unwrap().rewritten, 200);
        running.end(true).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_is_carried_out_while_older_transactions_are_waited_for() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        place.run(STREAMS).await;
        let bench = Bench::new(&place, BY).await;
        let running = bench.begin().await.unwrap();
        running.rewrite().await.unwrap();
        let old = place.connect().await.unwrap().open().await.unwrap();
        old.batch_execute("BEGIN; SELECT txid_current()")
            .await
            .unwrap();
        let known = bench.newest().await;
        let reason = "wrong".to_owned();
        let cancels = async {
            until(&bench, |known| {
                known
                    .waits_for
                    .as_ref()
                    .is_some_and(|w| w.contains("process"))
            })
            .await;
            send(&bench, &known, ControlAction::Cancel { reason }).await
        };
        let (settled, answer) = tokio::join!(running.settle(9), cancels);
        assert_eq!(answer, Answer::Accepted);
        let error = settled.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Cancelled, "{error:?}");
        assert!(running.undo_asked().is_some());
    }
}

/// More of the write-ahead log than [`LAG`].
const BALLAST: &str =
    "CREATE TABLE ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 2000)";
const LAG: u64 = 1_000_000;

fn lag(limit: Limit) -> SettingsChange {
    SettingsChange {
        replication_lag_bytes: Some(limit),
        ..SettingsChange::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_is_held_by_a_slot_that_is_behind_until_the_limit_is_set() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        place.run(STREAMS).await;
        let before = super::rows(&place, "events").await;
        let bench = Bench::new(&place, BY).await;
        let running = bench
            .begin_with(|planned| planned.throttle = lag(Limit::At(LAG)))
            .await
            .unwrap();
        running.rewrite().await.unwrap();
        running.leave().await;
        let name = format!("undone_{}", std::process::id());
        let slot = format!("SELECT pg_create_physical_replication_slot('{name}', true)");
        place.run(&slot).await;
        place.run(BALLAST).await;
        let known = bench.newest().await;
        let other = Bench::with(&place, BY, options("other")).await;
        let sets = async {
            let waits = until(&other, |known| known.waits_for.is_some()).await;
            let reason = waits.waits_for.unwrap();
            // the server has the slots of other tests too
            assert!(reason.contains("slot "), "{reason}");
            assert_eq!(texts(&place, REWRITTEN).await, ["200"]);
            let pause = send(&other, &known, ControlAction::Pause).await;
            assert!(matches!(pause, Answer::Refused { .. }), "{pause:?}");
            let set = ControlAction::Set(lag(Limit::Unlimited));
            assert_eq!(send(&other, &known, set).await, Answer::Done);
        };
        let undoes = bench.in_place.roll_back(&known, "test", None);
        let (undone, ()) = tokio::join!(undoes, sets);
        assert_eq!(undone.unwrap().restored, 200);
        assert_eq!(super::rows(&place, "events").await, before);
        place
            .run(&format!("SELECT pg_drop_replication_slot('{name}')"))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lag_that_the_process_may_not_see_is_no_limit_and_refused() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        place.run(STREAMS).await;
        let (theirs, role) = place.as_role().await;
        place
            .run(&format!(
                "GRANT SELECT, UPDATE ON events TO {role};
                 DO $$BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {role}', current_database()); END$$"
            ))
            .await;
        let bench = Bench::new(&theirs, BY).await;
        let grant = format!("GRANT pg_read_all_stats TO {role}");
        let begun = bench
            .begin_with(|planned| planned.throttle = lag(Limit::At(LAG)))
            .await;
        let error = begun.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::PermissionDenied, "{error:?}");
        assert!(error.hint().unwrap().contains(&grant), "{error:?}");

        let running = bench
            .begin_with(|planned| planned.throttle = slow(20))
            .await
            .unwrap();
        let other = Bench::with(&place, BY, options("other")).await;
        let sets = async {
            let known = until(&other, |known| known.rewritten > 0).await;
            let set = ControlAction::Set(lag(Limit::At(LAG)));
            match send(&other, &known, set).await {
                Answer::Refused { reason } => assert!(reason.contains(&grant), "{reason}"),
                other => panic!("{other:?}"),
            }
            let set = ControlAction::Set(slow_no_more());
            assert_eq!(send(&other, &known, set).await, Answer::Done);
        };
        let (pass, ()) = tokio::join!(running.rewrite(), sets);
        assert_eq!(pass.unwrap().rewritten, 200);
        running.end(true).await.unwrap();

        // one that a process could see is refused to another that continues
        place.run("TRUNCATE events").await;
        place.run(STREAMS).await;
        let known = other.newest().await;
        other.in_place.drop_archive(&known).await.unwrap();
        let again = |planned: &mut PlannedMigration| {
            planned.throttle = lag(Limit::At(LAG));
            planned.again = true;
        };
        let running = other.begin_with(again).await.unwrap();
        running.leave().await;
        place
            .run(&format!(
                "GRANT ALL ON ALL TABLES IN SCHEMA esm_in_place TO {role}"
            ))
            .await;
        let known = other.newest().await;
        let resumed = bench.in_place.resume(&known, Arc::clone(&bench.by)).await;
        let undone = bench.in_place.roll_back(&known, "test", None).await;
        for error in [resumed.unwrap_err(), undone.unwrap_err()] {
            assert_eq!(*error.kind(), ErrorKind::PermissionDenied, "{error:?}");
            assert!(error.hint().unwrap().contains(&grant), "{error:?}");
        }
        assert_eq!(other.newest().await.status, RewriteStatus::Rewriting);
    }
}

fn slow_no_more() -> SettingsChange {
    SettingsChange {
        events_per_second: Some(Limit::Unlimited),
        ..SettingsChange::default()
    }
}

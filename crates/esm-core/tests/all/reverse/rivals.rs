//! A rollback that is paused at any of its calls while another process moves the same object, or
//! rolls it back too, without a lock between them.

use esm_core::event::{Position, Revision};
use esm_core::id::MigrationId;
use esm_core::migration::MigrationService;
use esm_core::transform::Identity;
use esm_testkit::faults::{At, Fault, Gate};

use super::back::{down, line};
use crate::world::{World, unfinished, versioned};

/// What another process does meanwhile.
#[derive(Clone, Copy)]
enum Meanwhile {
    /// It migrates the object on.
    Migrates,
    /// It rolls the same migration back.
    RollsBack,
    /// It undoes what is unfinished of the rollback, where there is anything.
    Undoes,
}

async fn world() -> (World, MigrationId) {
    let w = World::watched(&[("order/1", &["Old", "Noise", "Pair"])]).await;
    let forward = w.migrated("order/1").await;
    w.append("order/1", versioned("a", "Old", 2)).await;
    (w, forward)
}

async fn act(w: &World, forward: MigrationId, meanwhile: Meanwhile, rival: &MigrationService) {
    let ended = match meanwhile {
        Meanwhile::Migrates => {
            let moving = rival.migrate("order/1".parse().unwrap());
            moving.transform(Identity).execute().await
        }
        Meanwhile::RollsBack => rival.roll_back(forward).down(down()).execute().await,
        Meanwhile::Undoes => {
            let Some(state) = unfinished(rival).await else {
                return;
            };
            rival.roll_back(state.migration).execute().await
        }
    };
    // it may find that the other won the race; whatever it does, nothing is harmed
    drop(ended);
    w.unharmed();
}

/// Whatever happened, the object has each event once, in the form of the stream that is active.
async fn check(w: &World, forward: MigrationId, operation: u64) {
    w.unharmed();
    let old = [
        "Old v1 order/1-0",
        "Noise v1 order/1-1",
        "Pair v1 order/1-2",
        "Old v1 a",
    ];
    let new = [
        "Old v2 order/1-0",
        "Half v1 order/1-2.0",
        "Half v1 order/1-2.1",
        "Old v2 a",
    ];
    let client = w.client();
    let reader = client.reader();
    let object = "order/1".parse().unwrap();
    let active = reader.load(&object).await.unwrap();
    let events = w.storage.events(&active.stream().stream);
    let lines: Vec<_> = events.iter().map(line).collect();
    assert!(lines == old || lines == new, "{operation}: {lines:?}");
    // a position from before the migration leads to the end, over whatever came
    let first = w.document("order/1").await.terminated[0]
        .stream
        .stream
        .clone();
    let at = Position {
        stream: first,
        revision: Revision(3),
    };
    let events = reader.read(&object, esm_core::router::ReadPosition::At(at));
    let read: Vec<_> = futures::TryStreamExt::try_collect(events).await.unwrap();
    let ids: Vec<_> = read
        .iter()
        .map(|recorded| recorded.event.id.as_str())
        .collect();
    assert_eq!(ids, ["a"], "{operation}");
    // and the next process can complete it
    let last = w.unlocked_process("last");
    let unfinished: Vec<_> = futures::TryStreamExt::try_collect(last.active())
        .await
        .unwrap();
    for state in unfinished {
        let undone = last.roll_back(state.migration).execute().await.unwrap();
        if undone.error.is_some() {
            let resumed = last.resume(state.migration);
            let resumed = resumed.transform(down()).execute().await.unwrap();
            assert!(resumed.is_success(), "{operation}: {resumed:?}");
        }
    }
    drop(last.roll_back(forward).down(down()).execute().await);
    w.unharmed();
}

async fn at_every_operation(meanwhile: Meanwhile) {
    let (w, forward) = world().await;
    let alone = w
        .unlocked_process("sleeper")
        .roll_back(forward)
        .down(down());
    w.succeeded(alone.execute().await);
    let log = w.plan.log().operations();
    let operations = log.iter().filter(|o| o.actor == "sleeper").count() as u64;
    assert!(operations > 20, "{operations}");
    for operation in 0..operations {
        let (w, forward) = world().await;
        let gate = Gate::new();
        let stall = Fault::Stall(gate.clone());
        w.plan
            .inject(At::OfActor("sleeper".to_owned(), operation), stall);
        let sleeper = w
            .unlocked_process("sleeper")
            .roll_back(forward)
            .down(down());
        let sleeping = tokio::spawn(sleeper.execute());
        gate.reached().await;
        let rival = w.unlocked_process("rival");
        act(&w, forward, meanwhile, &rival).await;
        gate.open();
        drop(sleeping.await.unwrap());
        check(&w, forward, operation).await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_migration_moves_the_object_on() {
    at_every_operation(Meanwhile::Migrates).await;
}

#[tokio::test(start_paused = true)]
async fn another_rolls_the_same_migration_back() {
    at_every_operation(Meanwhile::RollsBack).await;
}

#[tokio::test(start_paused = true)]
async fn another_undoes_the_rollback() {
    at_every_operation(Meanwhile::Undoes).await;
}

//! What may be appended to what a rollback restored (R11).

use std::collections::BTreeSet;

use esm_core::ErrorKind;
use esm_core::event::Schema;
use esm_core::store::{OnRetired, Origin};
use esm_core::transform::{FunctionTransformer, Transformed};

use super::back::{down, up};
use crate::world::{World, schema, versioned};

async fn origin(w: &World, order: &str) -> Origin {
    let active = w.active(order).await;
    let cells = w.storage.event_store.snapshot(&active.stream);
    cells[0].header.origin().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn what_down_takes_away_is_retired_and_what_the_migration_retired_is_not() {
    let w = World::watched(&[("order/1", &["Old", "Pair", "Noise"])]).await;
    let forward = w.migrated("order/1").await;
    let retired: BTreeSet<Schema> =
        [schema("Noise", 1), schema("Old", 1), schema("Pair", 1)].into();
    assert_eq!(origin(&w, "order/1").await.retired, retired);
    // nothing came since: what stems from the originals shows what new code writes
    w.succeeded(w.back(forward).execute().await);
    let restored = origin(&w, "order/1").await;
    assert_eq!(
        restored.retired,
        [schema("Half", 1), schema("Old", 2)].into()
    );
    assert_eq!(
        restored.appends_through(),
        &esm_core::transform::EventTransformer::fingerprint(&down())
    );
    let object = "order/1".parse().unwrap();
    let refused = w
        .storage
        .append(&object, vec![versioned("new", "Old", 2)])
        .await;
    let refused = refused.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Invalid, "{refused}");
    w.append("order/1", versioned("old", "Old", 1)).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_down_what_old_code_does_not_know_is_retired() {
    let w = World::watched(&[("order/1", &["Old", "Kept"])]).await;
    let forward = w.migrated("order/1").await;
    w.succeeded(w.service.roll_back(forward).execute().await);
    assert_eq!(
        origin(&w, "order/1").await.retired,
        [schema("Old", 2)].into()
    );
}

#[tokio::test(start_paused = true)]
async fn a_schema_that_both_ways_keep_stays_old_codes_own() {
    let same = |id: &str, mark: &'static str| {
        FunctionTransformer::new(id, 1, [schema("Old", 1)], move |event, _| {
            let mut changed = event.clone();
            changed.payload = mark.into();
            Ok(Transformed::Events(vec![changed]))
        })
        .unwrap()
    };
    let w = World::watched(&[("order/1", &["Old"])]).await;
    let builder = w.migrate("order/1").transform(same("up", "1"));
    let policy = OnRetired::AcceptUnchanged;
    let forward = builder.on_retired(policy).execute().await.unwrap();
    assert!(forward.is_success(), "{forward:?}");
    let active = w.active("order/1").await.stream;
    let since = vec![versioned("a", "Old", 1)];
    w.storage.append_cell(&active, since).await.unwrap();
    // its new form cannot be distinguished from its old one, so it needs a down
    let back = || w.service.roll_back(forward.migration);
    let error = back().execute().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::TransformFailed, "{error}");
    let back = back().down(same("down", "2")).execute().await.unwrap();
    assert!(back.is_success(), "{back:?}");
    let restored = origin(&w, "order/1").await;
    assert_eq!((restored.retired.len(), restored.refused().count()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_appends_of_new_code_is_as_the_migration_said() {
    for policy in [OnRetired::Refuse, OnRetired::AcceptUnchanged] {
        let w = World::watched(&[("order/1", &["Old"])]).await;
        let builder = w.migrate("order/1").transform(up()).on_retired(policy);
        let forward = w.succeeded(builder.execute().await).migration;
        w.succeeded(w.back(forward).execute().await);
        let object = "order/1".parse().unwrap();
        let late = vec![versioned("late", "Old", 2)];
        let appended = w.storage.append(&object, late).await;
        let accepted = policy == OnRetired::AcceptUnchanged;
        assert_eq!(appended.is_ok(), accepted, "{policy:?}: {appended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_schema_that_down_keeps_is_accepted_for_nobody_can_tell_its_forms_apart() {
    let keeps = FunctionTransformer::new("keeps", 1, [schema("Old", 2)], |event, _| {
        let mut changed = event.clone();
        changed.payload = "{}".into();
        Ok(Transformed::Events(vec![changed]))
    });
    let w = World::watched(&[("order/1", &["Old"])]).await;
    let forward = w.migrated("order/1").await;
    w.append("order/1", versioned("since", "Old", 2)).await;
    let back = w.service.roll_back(forward).down(keeps.unwrap());
    let back = back.execute().await.unwrap();
    assert!(back.is_success(), "{back:?}");
    w.append("order/1", versioned("late", "Old", 2)).await;
    let lines = ["Old v1 order/1-0", "Old v2 since", "Old v2 late"];
    assert_eq!(w.lines("order/1").await, lines);
}

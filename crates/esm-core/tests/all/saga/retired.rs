//! R11 in the saga: which schemas a target retires, and what becomes of appends of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use esm_core::event::{Event, Schema};
use esm_core::id::Fingerprint;
use esm_core::migration::{MigrationBuilder, MigrationStatus};
use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_core::store::{EventStoreExt as _, OnRetired};
use esm_core::transform::{
    EventTransformer, FunctionTransformer, Identity, TransformContext, TransformError, Transformed,
    Upcasters,
};
use esm_core::{ErrorKind, Result};
use esm_testkit::{Rule, Rules, events};
use futures::StreamExt as _;

use crate::world::World;

/// Changes the payload of every event of a type, which keeps its schema.
#[derive(Debug)]
struct InPlace(&'static str);

impl EventTransformer for InPlace {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(format!("in place {}", self.0)).unwrap()
    }

    fn handles(&self, schema: &Schema) -> bool {
        schema.event_type.as_str() == self.0
    }

    fn transform(
        &self,
        event: &Event,
        _: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        Ok(Transformed::Events(vec![Event {
            payload: "{\"changed\":true}".into(),
            ..event.clone()
        }]))
    }
}

fn next_version(event_type: &str) -> Rules {
    Rules::new([(event_type, Rule::Change)])
}

/// With an order of events of these types.
async fn with_order(types: &[&str]) -> World {
    let world = World::new();
    let events = events("e", types).collect();
    world.object_of("order/1", events, 1).await;
    world
}

fn migrate(world: &World) -> MigrationBuilder {
    world.migrate(&world.order)
}

/// The retired schemas that the active stream refuses, and those that it accepts.
async fn assert_retired(world: &World, refused: &[&str], accepted: &[&str]) {
    let active = world.active(&world.order).await;
    let origin = world.storage.event_store.origin(&active.stream).await;
    let origin = origin.unwrap().unwrap();
    let of = |schemas: BTreeSet<&Schema>| schemas.iter().map(ToString::to_string).collect();
    let found: [Vec<String>; 2] =
        [origin.refused().collect(), origin.accepted.iter().collect()].map(of);
    assert_eq!(found, [refused, accepted]);
}

#[tokio::test(start_paused = true)]
async fn r11_the_targets_first_cell_says_the_policy() {
    let w = with_order(&["A", "B"]).await;
    w.succeeded(migrate(&w).transform(next_version("A")).execute().await);
    assert_retired(&w, &["A v1"], &[]).await;

    let w = with_order(&["A", "B"]).await;
    let accepting = migrate(&w).transform(next_version("A"));
    w.succeeded(
        accepting
            .on_retired(OnRetired::AcceptUnchanged)
            .execute()
            .await,
    );
    assert_retired(&w, &[], &["A v1"]).await;
}

/// The events of a stream, as `id type version`.
fn stored(world: &World, stream: &esm_core::id::StreamRef) -> Vec<String> {
    let events = world.storage.events(&stream.stream);
    let shown = events.iter().map(|e| format!("{} {}", e.id, e.schema()));
    shown.collect()
}

#[tokio::test(start_paused = true)]
async fn r11_upcasters_retire_every_old_version_also_one_without_events() -> Result<()> {
    let w = with_order(&["A", "B"]).await;
    let upcasters = || {
        let steps = Upcasters::builder().with("A", 2, 3, Identity);
        steps.with("A", 1, 2, Identity).build()
    };
    w.succeeded(migrate(&w).transform(upcasters()?).execute().await);
    assert_retired(&w, &["A v1", "A v2"], &[]).await;
    let active = w.active(&w.order).await;
    assert_eq!(stored(&w, &active), ["e0 A v3", "e1 B v1"]);

    let old = |id: &str, version| {
        let mut event = esm_testkit::event(id, "A");
        event.schema_version.0 = version;
        event
    };
    let append = async |client: &esm_core::router::ObjectClient, event| {
        let any = ExpectedRevision::Any;
        client.append(&w.order, any, vec![event]).await
    };
    // old code, without the transformation
    for version in [1, 2] {
        let error = append(&w.client(), old("old", version)).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Invalid, "{error}");
        let schema = format!("A v{version}");
        assert!(error.to_string().contains(&schema), "{error}");
    }
    // with it, and new code
    let registered = w
        .client()
        .with_transformer(std::sync::Arc::new(upcasters()?));
    append(&registered, old("n1", 1)).await?;
    append(&registered, old("n2", 2)).await?;
    append(&w.client(), old("n3", 3)).await?;
    let expected = ["e0 A v3", "e1 B v1", "n1 A v3", "n2 A v3", "n3 A v3"];
    assert_eq!(stored(&w, &active), expected);
    Ok(())
}

fn twice() -> FunctionTransformer {
    let twice = FunctionTransformer::for_all("twice", 1, |event, _| {
        Ok(Transformed::Events(vec![event.clone(), event.clone()]))
    });
    twice.unwrap()
}

#[tokio::test(start_paused = true)]
async fn r11_upcasters_that_steps_were_added_to_take_what_two_migrations_retired() -> Result<()> {
    let w = with_order(&["A", "B"]).await;
    let one = || Upcasters::builder().with("A", 1, 2, twice());
    let two = || one().with("A", 2, 3, twice());
    w.succeeded(migrate(&w).transform(one().build()?).execute().await);
    w.succeeded(migrate(&w).transform(two().build()?).execute().await);
    assert_retired(&w, &["A v1", "A v2"], &[]).await;

    let append = async |client: ObjectClient, id: &str| {
        let old = esm_testkit::event(id, "A");
        client
            .append(&w.order, ExpectedRevision::Any, vec![old])
            .await
    };
    let newest =
        || -> Result<ObjectClient> { Ok(w.client().with_transformer(Arc::new(two().build()?))) };
    append(newest()?, "n").await?;
    // as both transformations, one after the other, turn it
    append(newest()?.with_transformer(Arc::new(one().build()?)), "m").await?;
    let active = w.active(&w.order).await;
    let expected: Vec<_> = ["n", "m"]
        .iter()
        .flat_map(|id| ["0.0", "0.1", "1.0", "1.1"].map(|at| format!("{id}.{at} A v3")))
        .collect();
    assert_eq!(stored(&w, &active)[5..], expected);

    // the first of its steps is another one than that of the first migration
    let changed = Upcasters::builder().with("A", 1, 2, Identity);
    let changed = changed.with("A", 2, 3, twice()).build()?;
    for other in [changed, one().build()?] {
        let client = w.client().with_transformer(Arc::new(other));
        let error = append(client, "x").await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Invalid, "{error}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r11_upcasters_are_included_in_later_ones_over_a_migration_that_changes_nothing()
-> Result<()> {
    let w = with_order(&["A", "B"]).await;
    let one = || Upcasters::builder().with("A", 1, 2, twice());
    let two = || one().with("A", 2, 3, Identity);
    let three = || two().with("A", 3, 4, twice()).with("B", 1, 2, Identity);
    w.succeeded(migrate(&w).transform(one().build()?).execute().await);
    w.succeeded(migrate(&w).transform(two().build()?).execute().await);
    w.succeeded(migrate(&w).again().transform(Identity).execute().await);
    w.succeeded(migrate(&w).transform(three().build()?).execute().await);
    let client = w.client().with_transformer(Arc::new(three().build()?));
    let old = esm_testkit::event("n", "A");
    client
        .append(&w.order, ExpectedRevision::Any, vec![old])
        .await?;
    let active = w.active(&w.order).await;
    let expected = ["n.0.0 A v4", "n.0.1 A v4", "n.1.0 A v4", "n.1.1 A v4"];
    assert_eq!(stored(&w, &active)[5..], expected);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r11_a_later_migration_deals_with_what_it_inherits_as_it_was_dealt_with_before() {
    let w = with_order(&["A", "B", "C"]).await;
    let first = migrate(&w).transform(next_version("A"));
    w.succeeded(first.on_retired(OnRetired::AcceptUnchanged).execute().await);
    w.succeeded(migrate(&w).transform(next_version("B")).execute().await);
    assert_retired(&w, &["B v1"], &["A v1"]).await;
    // and what was refused is not accepted because another migration accepts its own
    let third = migrate(&w).transform(next_version("C"));
    w.succeeded(third.on_retired(OnRetired::AcceptUnchanged).execute().await);
    assert_retired(&w, &["B v1"], &["A v1", "C v1"]).await;
}

#[tokio::test(start_paused = true)]
async fn r11_events_that_change_and_keep_their_schema_want_a_choice() {
    let w = with_order(&["B", "A"]).await;
    let several = w.service.migrate_all().transform(InPlace("A"));
    for described in [migrate(&w).transform(InPlace("A")), several] {
        let error = described.execute().await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Invalid);
        assert!(error.to_string().ends_with(": A v1"), "{error}");
        assert!(error.hint().unwrap().contains("on_retired"), "{error:?}");
    }
    let begun: Vec<_> = w.service.migrations().collect().await;
    assert!(begun.is_empty(), "something was touched: {begun:?}");

    let chosen = migrate(&w).transform(InPlace("A"));
    w.succeeded(
        chosen
            .on_retired(OnRetired::AcceptUnchanged)
            .execute()
            .await,
    );
    assert_retired(&w, &[], &["A v1"]).await;
}

#[tokio::test(start_paused = true)]
async fn r11_what_shows_late_that_a_choice_is_wanted_stops_before_the_target_is_begun() {
    let late: Vec<_> = std::iter::repeat_n("B", 300).chain(["A"]).collect();
    let w = with_order(&late).await;
    let result = migrate(&w).transform(InPlace("A")).execute().await.unwrap();
    assert_eq!(result.status, MigrationStatus::Failed);
    let error = result.error.unwrap();
    assert_eq!(error.kind(), &ErrorKind::Invalid);
    assert!(error.hint().unwrap().contains("roll it back"), "{error:?}");
    let document = w.document(&w.order).await;
    assert!(document.terminated.is_empty(), "nothing was touched");
    assert_eq!(result.statistics.cells, 0);
    let undone = w.service.roll_back(result.migration).execute().await;
    assert_eq!(undone.unwrap().status, MigrationStatus::RolledBack);
}

#[tokio::test(start_paused = true)]
async fn r11_the_plan_says_that_a_choice_is_wanted_and_is_not_executed_without() {
    let w = with_order(&["A", "B"]).await;
    let describe = || migrate(&w).transform(InPlace("A"));
    let plan = describe().dry_run().await.unwrap();
    let risk = |word: &str| plan.risks.iter().any(|risk| risk.contains(word));
    assert!(
        risk("until on_retired says whether to refuse or accept them"),
        "{plan:?}"
    );
    let error = describe().execute_plan(&plan).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Invalid);

    // a choice that the plan does not have is another plan
    let chosen = || describe().on_retired(OnRetired::Refuse);
    let error = chosen().execute_plan(&plan).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::PlanOutdated);
    let plan = chosen().dry_run().await.unwrap();
    let result = chosen().execute_plan(&plan).await.unwrap();
    assert!(result.is_success(), "{result:?}");
    assert_retired(&w, &["A v1"], &[]).await;
}

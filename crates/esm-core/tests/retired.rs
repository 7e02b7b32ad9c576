//! R11 in the saga: which schemas a target retires, and what becomes of appends of them.

#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]

use std::collections::BTreeSet;

use esm_core::event::{Event, Schema};
use esm_core::id::{Fingerprint, ObjectId};
use esm_core::migration::{MigrationBuilder, MigrationService, MigrationStatus};
use esm_core::store::{EventStoreExt as _, OnRetired};
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_core::{ErrorKind, Result};
use esm_testkit::memory::MemoryWorld;
use esm_testkit::{Rule, Rules, environment, events};
use futures::StreamExt as _;

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

struct Fixture {
    world: MemoryWorld,
    service: MigrationService,
    order: ObjectId,
}

impl Fixture {
    async fn with(types: &[&str]) -> Self {
        let (world, order) = (MemoryWorld::new(environment(7)), "order/1".parse().unwrap());
        let cells = events("e", types).map(|event| vec![event]);
        world.create_object(&order, cells).await.unwrap();
        let service = world.migration_service();
        Self {
            world,
            service,
            order,
        }
    }

    fn migrate(&self) -> MigrationBuilder {
        self.service.migrate(self.order.clone())
    }

    async fn migrated(&self, builder: MigrationBuilder) {
        let result = builder.execute().await.unwrap();
        assert!(result.is_success(), "{result:?}");
    }

    /// Which retired schemas the active stream refuses, and which it accepts.
    async fn assert_retired(&self, refused: &[&str], accepted: &[&str]) {
        let active = self.world.document(&self.order).await.unwrap().active;
        let origin = self.world.event_store.origin(&active.stream).await;
        let origin = origin.unwrap().unwrap();
        let of = |schemas: BTreeSet<&Schema>| schemas.iter().map(ToString::to_string).collect();
        let found: [Vec<String>; 2] =
            [origin.refused().collect(), origin.accepted.iter().collect()].map(of);
        assert_eq!(found, [refused, accepted]);
    }
}

#[tokio::test(start_paused = true)]
async fn r11_the_targets_first_cell_says_the_policy() {
    let f = Fixture::with(&["A", "B"]).await;
    f.migrated(f.migrate().transform(next_version("A"))).await;
    f.assert_retired(&["A v1"], &[]).await;

    let f = Fixture::with(&["A", "B"]).await;
    let accepting = f.migrate().transform(next_version("A"));
    f.migrated(accepting.on_retired(OnRetired::AcceptUnchanged))
        .await;
    f.assert_retired(&[], &["A v1"]).await;
}

#[tokio::test(start_paused = true)]
async fn r11_a_later_migration_deals_with_what_it_inherits_as_it_was_dealt_with_before() {
    let f = Fixture::with(&["A", "B", "C"]).await;
    let first = f.migrate().transform(next_version("A"));
    f.migrated(first.on_retired(OnRetired::AcceptUnchanged))
        .await;
    f.migrated(f.migrate().transform(next_version("B"))).await;
    f.assert_retired(&["B v1"], &["A v1"]).await;
    // and what was refused is not accepted because another migration accepts its own
    let third = f.migrate().transform(next_version("C"));
    f.migrated(third.on_retired(OnRetired::AcceptUnchanged))
        .await;
    f.assert_retired(&["B v1"], &["A v1", "C v1"]).await;
}

#[tokio::test(start_paused = true)]
async fn r11_events_that_change_and_keep_their_schema_want_a_choice() {
    let f = Fixture::with(&["B", "A"]).await;
    let several = f.service.migrate_all().transform(InPlace("A"));
    for described in [f.migrate().transform(InPlace("A")), several] {
        let error = described.execute().await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Invalid);
        assert!(error.to_string().ends_with(": A v1"), "{error}");
        assert!(error.hint().unwrap().contains("on_retired"), "{error:?}");
    }
    let begun: Vec<_> = f.service.migrations().collect().await;
    assert!(begun.is_empty(), "something was touched: {begun:?}");

    let chosen = f.migrate().transform(InPlace("A"));
    f.migrated(chosen.on_retired(OnRetired::AcceptUnchanged))
        .await;
    f.assert_retired(&[], &["A v1"]).await;
}

#[tokio::test(start_paused = true)]
async fn r11_what_shows_late_that_a_choice_is_wanted_stops_before_the_target_is_begun() {
    let late: Vec<_> = std::iter::repeat_n("B", 300).chain(["A"]).collect();
    let f = Fixture::with(&late).await;
    let result = f.migrate().transform(InPlace("A")).execute().await.unwrap();
    assert_eq!(result.status, MigrationStatus::Failed);
    let error = result.error.unwrap();
    assert_eq!(error.kind(), &ErrorKind::Invalid);
    assert!(error.hint().unwrap().contains("roll it back"), "{error:?}");
    let document = f.world.document(&f.order).await.unwrap();
    assert!(document.terminated.is_empty(), "nothing was touched");
    assert_eq!(result.statistics.cells, 0);
    let undone = f.service.roll_back(result.migration).execute().await;
    assert_eq!(undone.unwrap().status, MigrationStatus::RolledBack);
}

#[tokio::test(start_paused = true)]
async fn r11_the_plan_says_that_a_choice_is_wanted_and_is_not_executed_without() {
    let f = Fixture::with(&["A", "B"]).await;
    let describe = || f.migrate().transform(InPlace("A"));
    let plan = describe().dry_run().await.unwrap();
    let risk = |word: &str| plan.risks.iter().any(|risk| risk.contains(word));
    assert!(risk("must be chosen (on_retired): A v1"), "{plan:?}");
    let error = describe().execute_plan(&plan).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Invalid);

    // a choice that the plan does not have is another plan
    let chosen = || describe().on_retired(OnRetired::Refuse);
    let error = chosen().execute_plan(&plan).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::PlanOutdated);
    let plan = chosen().dry_run().await.unwrap();
    let result = chosen().execute_plan(&plan).await.unwrap();
    assert!(result.is_success(), "{result:?}");
    f.assert_retired(&["A v1"], &[]).await;
}

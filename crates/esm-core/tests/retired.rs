//! R11 in the saga: which schemas a target retires, and what becomes of appends of them.

#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]

use esm_core::event::{Event, Schema};
use esm_core::id::{EventId, EventType, Fingerprint, ObjectId};
use esm_core::migration::{MigrationBuilder, MigrationService, MigrationStatus};
use esm_core::store::{EventStoreExt as _, OnRetired};
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_core::{ErrorKind, Result};
use esm_testkit::memory::MemoryWorld;
use esm_testkit::{Rule, Rules, environment};
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
    Rules::new([(EventType::new(event_type).unwrap(), Rule::Change)])
}

struct Fixture {
    world: MemoryWorld,
    service: MigrationService,
    object: ObjectId,
}

impl Fixture {
    async fn with(types: &[&str]) -> Self {
        let environment = environment(7);
        let world = MemoryWorld::new(&environment);
        let object: ObjectId = "order/1".parse().unwrap();
        let cells = types.iter().enumerate().map(|(n, event_type)| {
            let id = EventId::new(n.to_string()).unwrap();
            vec![Event::new(id, EventType::new(event_type).unwrap(), "{}")]
        });
        let created = world.create_object(&environment, &object, cells);
        created.await.unwrap();
        let service = MigrationService::new(world.event_store(), world.records(), world.locks());
        Self {
            service: service.unwrap().with_environment(environment),
            world,
            object,
        }
    }

    fn migrate(&self) -> MigrationBuilder {
        self.service.migrate(self.object.clone())
    }

    async fn migrated(&self, builder: MigrationBuilder) {
        let result = builder.execute().await.unwrap();
        assert!(result.is_success(), "{result:?}");
    }

    /// The retired schemas of the active stream: those that are refused, and those accepted.
    async fn retired(&self) -> (Vec<String>, Vec<String>) {
        let active = self.world.document(&self.object).await.unwrap().unwrap();
        let origin = self.world.event_store.origin(&active.active.stream).await;
        let origin = origin.unwrap().unwrap();
        let names = |schemas: Vec<&Schema>| schemas.iter().map(ToString::to_string).collect();
        (
            names(origin.refused().collect()),
            names(origin.accepted.iter().collect()),
        )
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn r11_the_targets_first_cell_says_the_policy() {
    let f = Fixture::with(&["A", "B"]).await;
    f.migrated(f.migrate().transform(next_version("A"))).await;
    assert_eq!(f.retired().await, (names(&["A v1"]), names(&[])));

    let f = Fixture::with(&["A", "B"]).await;
    let accepting = f.migrate().transform(next_version("A"));
    f.migrated(accepting.on_retired(OnRetired::AcceptUnchanged))
        .await;
    assert_eq!(f.retired().await, (names(&[]), names(&["A v1"])));
}

#[tokio::test(start_paused = true)]
async fn r11_a_later_migration_deals_with_what_it_inherits_as_it_was_dealt_with_before() {
    let f = Fixture::with(&["A", "B", "C"]).await;
    let first = f.migrate().transform(next_version("A"));
    f.migrated(first.on_retired(OnRetired::AcceptUnchanged))
        .await;
    f.migrated(f.migrate().transform(next_version("B"))).await;
    assert_eq!(f.retired().await, (names(&["B v1"]), names(&["A v1"])));
    // and what was refused is not accepted because another migration accepts its own
    let third = f.migrate().transform(next_version("C"));
    f.migrated(third.on_retired(OnRetired::AcceptUnchanged))
        .await;
    assert_eq!(
        f.retired().await,
        (names(&["B v1"]), names(&["A v1", "C v1"]))
    );
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
    assert_eq!(f.retired().await, (names(&[]), names(&["A v1"])));
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
    let document = f.world.document(&f.object).await.unwrap().unwrap();
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
    assert_eq!(f.retired().await, (names(&["A v1"]), names(&[])));
}

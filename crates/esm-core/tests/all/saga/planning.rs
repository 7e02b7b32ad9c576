//! The contents of a plan, and what is refused before anything is touched.

use esm_core::backup::BackupOptions;
use esm_core::event::{Event, Revision, Schema};
use esm_core::id::{BackupId, Fingerprint, StreamId};
use esm_core::migration::BookClosingOptions;
use esm_core::migration::{MigrationResult, MigrationStrategy, PlanDepth};
use esm_core::transform::{
    EventTransformer, SampleOutcome, TransformContext, TransformError, Transformed,
};
use esm_core::{ErrorKind, Result};

use crate::world::{World, rules};

#[tokio::test(start_paused = true)]
async fn a_dry_run_writes_nothing_and_its_plan_is_executed_while_it_fits() {
    let world = World::with_order(&["Old", "Noise", "Keep", "Split"]).await;
    let object = &world.order;
    let (streams, records) = (
        world.storage.event_store.stream_ids(),
        world.storage.records.keys(),
    );
    let describe = || world.migrate(object).transform(rules());
    let plan = describe().dry_run().await.unwrap();
    assert_eq!((plan.objects, plan.events), (1, 4));
    assert_eq!((plan.ledger.outputs, plan.ledger.dropped()), (4, 1));
    assert_eq!(plan.schemas.len(), 4);
    assert_eq!(plan.estimates.writes, 8);
    assert_eq!(world.storage.event_store.stream_ids(), streams);
    assert_eq!(world.storage.records.keys(), records);

    let other = world.migrate(object).execute_plan(&plan).await.unwrap_err();
    assert!(other.to_string().contains("transformation"), "{other}");
    let other = describe()
        .fail_fast(false)
        .execute_plan(&plan)
        .await
        .unwrap_err();
    assert!(other.to_string().contains("options"), "{other}");

    let json = serde_json::to_string(&plan).unwrap();
    let plan = serde_json::from_str(&json).unwrap();
    let result = describe().execute_plan(&plan).await.unwrap();
    assert!(result.is_success());
    assert_eq!(result.migration, plan.migration());

    let outdated = describe().execute_plan(&plan).await.unwrap_err();
    assert_eq!(*outdated.kind(), ErrorKind::PlanOutdated);
    let sampled = describe().again().depth(PlanDepth::Sample {
        events_per_stream: 2,
    });
    let sampled = sampled.dry_run().await.unwrap();
    assert_eq!((sampled.sampled_events, sampled.events), (2, 4));
    assert!(!sampled.risks.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_work_is_refused_before_anything_is_touched() {
    let world = World::with_order(&["A"]).await;
    let object = &world.order;
    let active = world.document(object).await.active.stream;
    let refusal = |r: Result<MigrationResult>| r.map(drop).unwrap_err();
    let migrate = || world.migrate(object);

    let unknown = refusal(
        world
            .service
            .migrate("order/none".parse().unwrap())
            .execute()
            .await,
    );
    assert_eq!(*unknown.kind(), ErrorKind::NotFound);
    for strategy in [
        MigrationStrategy::LazyTransform,
        MigrationStrategy::InPlaceTransform,
    ] {
        let e = refusal(migrate().strategy(strategy).execute().await);
        assert_eq!(*e.kind(), ErrorKind::Unsupported);
    }
    for refused in [
        migrate().to_stream(active.as_str()),
        migrate().to_stream("order-1"),
        migrate().to_stream(""),
        migrate().from_stream(StreamId::new("other").unwrap()),
        migrate().concurrency(0),
        migrate().cells(1_000_000, 1),
        migrate().lock(|l| l.heartbeat(l.lease)),
        migrate().backup(BackupOptions::new().id(BackupId::new("mine").unwrap())),
        world.service.migrate_many([]),
        world.service.migrate_many([object.clone(), object.clone()]),
        world.service.migrate_all().to_stream("x"),
    ] {
        let description = format!("{refused:?}");
        let e = refusal(refused.execute().await);
        assert_eq!(*e.kind(), ErrorKind::Invalid, "{description}");
    }
    for unbuilt in [
        migrate().close_books(BookClosingOptions::new().snapshot()),
        migrate().close_books(BookClosingOptions::new().delete_source()),
    ] {
        assert_eq!(
            *refusal(unbuilt.execute().await).kind(),
            ErrorKind::Unsupported
        );
    }
    assert_eq!(world.storage.event_store.stream_ids().len(), 1);
    assert_eq!(world.storage.records.keys().len(), 1, "only the document");
}

#[tokio::test(start_paused = true)]
async fn r11_a_schema_that_is_changed_only_in_part_is_named_as_a_risk() {
    /// Drops the first event and no other.
    #[derive(Debug)]
    struct DropFirst;
    impl EventTransformer for DropFirst {
        fn fingerprint(&self) -> Fingerprint {
            Fingerprint::new("drop first@1").unwrap()
        }
        fn handles(&self, _: &Schema) -> bool {
            true
        }
        fn transform(
            &self,
            _: &Event,
            context: &TransformContext<'_>,
        ) -> Result<Transformed, TransformError> {
            Ok(match context.revision {
                Revision::START => Transformed::dropped("first"),
                _ => Transformed::Unchanged,
            })
        }
    }
    let world = World::with_order(&["A", "A", "B"]).await;
    let object = &world.order;
    let plan = world
        .migrate(object)
        .transform(DropFirst)
        .dry_run()
        .await
        .unwrap();
    let risk = plan
        .risks
        .iter()
        .find(|r| r.contains("retired as a whole"))
        .unwrap();
    assert!(risk.ends_with(": A v1"), "{risk}");
}

#[tokio::test(start_paused = true)]
async fn samples_are_of_the_whole_scope_and_a_plan_without_them_is_executed() {
    let world = World::with(&[("order/0", &["Keep", "Old"])]).await;
    let mut types = vec!["Keep"; 2_000];
    types.extend(["Noise", "Split", "Old"]);
    let events = esm_testkit::events("late-", &types).collect();
    world.object_of("order/1", events, 100).await;
    let describe = || world.service.migrate_all().transform(rules());
    let plan = describe().dry_run().await.unwrap();
    let found: Vec<_> = (plan.samples.iter())
        .map(|s| (s.before.schema.to_string(), &s.outcome, s.outputs))
        .collect();
    let rule = |outcome: &SampleOutcome| matches!(outcome, SampleOutcome::Dropped { .. });
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].0 == "Noise v1" && rule(found[0].1), "{found:?}");
    assert_eq!(found[1].1, &SampleOutcome::Changed);
    assert_eq!((found[2].1, found[2].2), (&SampleOutcome::Split, 2));
    assert_eq!(plan.samples[2].revision, Revision(2_001));
    assert_eq!(plan.samples_omitted, 0);
    let of = |name: &str| {
        let mut schemas = plan.schemas.iter();
        let report = schemas.find(|report| report.schema.event_type.as_str() == name);
        report.unwrap().findings.clone()
    };
    assert_eq!((of("Split").changed, of("Split").split), (1, 1));
    assert_eq!((of("Old").changed, of("Old").split), (2, 0));
    let becomes: Vec<_> = plan.samples[1].after.iter().map(|e| &e.schema).collect();
    assert_eq!(of("Old").becomes.iter().collect::<Vec<_>>(), becomes);
    assert!(of("Keep").becomes.is_empty());

    // as an earlier version saved it
    let mut old = serde_json::to_value(&plan).unwrap();
    old.as_object_mut().unwrap().remove("samples").unwrap();
    for schema in old["schemas"].as_array_mut().unwrap() {
        let schema = schema.as_object_mut().unwrap();
        schema.remove("split").unwrap();
        schema.remove("becomes");
    }
    let old = serde_json::from_value(old).unwrap();
    assert!(describe().execute_plan(&old).await.unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn a_plan_in_place_refuses_an_event_that_becomes_several() {
    for (types, outputs) in [
        (["Old", "Keep"], None),
        // whether the row can be removed is known to the provider
        (["Keep", "Noise"], None),
        (["Keep", "Split"], Some("2 outputs")),
    ] {
        let world = World::with_order(&types).await;
        let migrate = world.migrate(&world.order).transform(rules());
        let in_place = migrate.strategy(MigrationStrategy::InPlaceTransform);
        let elsewhere = std::sync::Arc::new(world.storage.another_event_store());
        let other = in_place.clone().to_store(elsewhere).dry_run().await;
        assert_eq!(*other.unwrap_err().kind(), ErrorKind::Unsupported);
        let plan = in_place.dry_run().await.unwrap();
        assert_eq!(plan.is_executable(), outputs.is_none(), "{types:?}");
        assert_eq!((plan.estimates.writes, plan.estimates.cells), (1, 0));
        let failed = plan.ledger.failures.first().map(ToString::to_string);
        assert_eq!(failed.is_some(), outputs.is_some(), "{failed:?}");
        if let (Some(failed), Some(outputs)) = (failed, outputs) {
            assert!(failed.contains(outputs), "{failed}");
        }
    }
}

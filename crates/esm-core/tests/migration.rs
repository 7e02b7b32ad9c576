//! The saga from end to end, on the in-memory fakes.
#![expect(
    clippy::unwrap_used,
    reason = "a test says by panicking what went wrong"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use esm_core::clock::Environment;
use esm_core::document::ObjectDocument;
use esm_core::event::{Event, Revision, Schema, SchemaVersion};
use esm_core::id::{BackupId, EventId, EventType, Fingerprint, ObjectId, StreamId};
use esm_core::migration::{
    MigrationResult, MigrationService, MigrationStatus, MigrationStrategy, OnFailure, PlanDepth,
    Scope,
};
use esm_core::store::CellKind;
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_core::{ErrorKind, Result};
use esm_testkit::environment;
use esm_testkit::memory::MemoryWorld;
use tokio_util::sync::CancellationToken;

/// The event, as one of schema version 2.
fn second(event: &Event) -> Event {
    Event {
        schema_version: SchemaVersion(2),
        ..event.clone()
    }
}

/// Drops `Noise`, splits `Split` in two, raises both and `Old` to schema version 2, fails on `Bad`.
#[derive(Debug, Clone, Copy)]
struct Reshape;

impl EventTransformer for Reshape {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new("reshape@1").unwrap()
    }

    fn handles(&self, _: &Schema) -> bool {
        true
    }

    fn transform(
        &self,
        event: &Event,
        _: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        Ok(match event.event_type.as_str() {
            "Noise" => Transformed::Dropped {
                rule: "noise".to_owned(),
            },
            "Split" => Transformed::Events(vec![second(event), second(event)]),
            "Old" => {
                let mut new = second(event);
                new.payload = "{\"new\":true}".into();
                Transformed::Events(vec![new])
            }
            "Bad" => return Err(TransformError::new("bad", "cannot be transformed")),
            _ => Transformed::Unchanged,
        })
    }
}

struct Fixture {
    environment: Environment,
    world: MemoryWorld,
    service: MigrationService,
}

impl Fixture {
    fn new() -> Self {
        let environment = environment(7);
        let world = MemoryWorld::new(&environment);
        let service = MigrationService::new(world.event_store(), world.records(), world.locks())
            .unwrap()
            .with_environment(environment.clone())
            .with_backups(world.backups());
        Self {
            environment,
            world,
            service,
        }
    }

    /// An object whose events have these types, in cells of two.
    async fn object(&self, id: &str, types: &[&str]) -> ObjectId {
        let object: ObjectId = id.parse().unwrap();
        let events: Vec<_> = types
            .iter()
            .enumerate()
            .map(|(i, t)| event(id, i, t))
            .collect();
        let cells: Vec<_> = events.chunks(2).map(<[Event]>::to_vec).collect();
        self.world
            .create_object(&self.environment, &object, cells)
            .await
            .unwrap();
        object
    }

    async fn document(&self, object: &ObjectId) -> ObjectDocument {
        self.world.document(object).await.unwrap().unwrap()
    }

    /// The types of the events of the active stream.
    async fn active_types(&self, object: &ObjectId) -> Vec<String> {
        let active = self.document(object).await.active;
        let events = self.world.events(&active.stream);
        events
            .iter()
            .map(|e| format!("{} v{}", e.event_type, e.schema_version))
            .collect()
    }
}

fn event(object: &str, index: usize, event_type: &str) -> Event {
    let id = EventId::new(format!("{object}/{index}")).unwrap();
    Event::new(
        id,
        EventType::new(event_type).unwrap(),
        format!("{{\"n\":{index}}}"),
    )
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_copied_transformed_verified_and_cut_over() {
    let f = Fixture::new();
    let object = f
        .object("order/1", &["Old", "Noise", "Keep", "Split", "Noise"])
        .await;
    let source = f.document(&object).await.active;
    let result = f
        .service
        .migrate(object.clone())
        .to_stream("order-1-v2")
        .transform(Reshape)
        .backup(|b| b.include_document().tag("why", "test"))
        .close_books(|c| c.archive(|a| a).metadata("ticket", "42"))
        .execute()
        .await
        .unwrap();
    assert!(result.is_success(), "{result:?}");
    assert_eq!(
        f.active_types(&object).await,
        ["Old v2", "Keep v1", "Split v2", "Split v2"]
    );

    let verification = result.object.unwrap().verification.unwrap();
    assert_eq!(verification.source_events, Revision(5));
    assert_eq!(verification.target_events, Revision(4));
    assert!(verification.ledger.balances());
    assert_eq!(verification.ledger.dropped["noise"], 2);

    let document = f.document(&object).await;
    assert!(document.active.stream.as_str().starts_with("order-1-v2."));
    let entry = document.terminated(&source).unwrap();
    assert_eq!(entry.metadata["ticket"], "42");
    assert_eq!(entry.archive.as_ref().unwrap().events, 5);
    assert!(entry.books_closed_at.is_some());
    assert_eq!(result.statistics.backups[0].events, 5);

    let cells = f.world.event_store.snapshot(&document.active.stream);
    let CellKind::Data {
        origin: Some(origin),
        ..
    } = &cells[0].header.kind
    else {
        panic!("no origin in {cells:?}")
    };
    let retired: Vec<_> = origin.retired.iter().map(ToString::to_string).collect();
    assert_eq!(retired, ["Noise v1", "Old v1", "Split v1"], "R11");
    assert!(f.world.locks().list().await.unwrap().is_empty(), "I8");
}

#[tokio::test(start_paused = true)]
async fn r11_what_was_retired_once_stays_retired_in_later_streams() {
    let f = Fixture::new();
    let object = f.object("order/1", &["Old", "Keep"]).await;
    for migrate in [
        f.service.migrate(object.clone()).transform(Reshape),
        f.service.migrate(object.clone()),
    ] {
        assert!(migrate.execute().await.unwrap().is_success());
        let active = f.document(&object).await.active;
        let cells = f.world.event_store.snapshot(&active.stream);
        let CellKind::Data {
            origin: Some(origin),
            ..
        } = &cells[0].header.kind
        else {
            panic!("no origin in {cells:?}")
        };
        let retired: Vec<_> = origin.retired.iter().map(ToString::to_string).collect();
        assert_eq!(retired, ["Old v1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_identity_migration_keeps_every_byte_and_is_done_once() {
    let f = Fixture::new();
    let object = f.object("order/1", &["A", "B", "C"]).await;
    let before = f.world.events(&f.document(&object).await.active.stream);
    let result = f.service.migrate(object.clone()).execute().await.unwrap();
    assert!(result.is_success());
    let after = f.document(&object).await;
    assert_eq!(f.world.events(&after.active.stream), before);
    let again = f.service.migrate(object.clone()).execute().await.unwrap();
    assert!(again.was_up_to_date(), "{again:?}");
    assert_eq!(f.document(&object).await, after);
    let forced = f
        .service
        .migrate(object.clone())
        .again()
        .execute()
        .await
        .unwrap();
    assert!(!forced.was_up_to_date());
    assert_eq!(f.document(&object).await.terminated.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_empty_stream_and_one_that_is_dropped_whole_are_migrated_too() {
    let f = Fixture::new();
    for (id, types) in [
        ("order/empty", &[][..]),
        ("order/noise", &["Noise", "Noise", "Noise"]),
    ] {
        let object = f.object(id, types).await;
        let result = f
            .service
            .migrate(object.clone())
            .transform(Reshape)
            .execute()
            .await
            .unwrap();
        assert!(result.is_success(), "{result:?}");
        assert!(f.active_types(&object).await.is_empty());
        assert_eq!(f.document(&object).await.terminated.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_event_stops_before_anything_is_cut_over_and_is_rolled_back_on_wish() {
    let f = Fixture::new();
    let object = f
        .object("order/1", &["Keep", "Old", "Bad", "Keep", "Bad"])
        .await;
    let before = f.document(&object).await;
    let result = f
        .service
        .migrate(object.clone())
        .transform(Reshape)
        .fail_fast(false)
        .with_rollback()
        .execute()
        .await
        .unwrap();
    assert_eq!(result.status, MigrationStatus::RolledBack);
    assert!(!result.is_success());
    let error = result.error.unwrap();
    assert_eq!(*error.kind(), ErrorKind::TransformFailed);
    assert!(error.to_string().contains("bad: 2"), "{error}");
    assert_eq!(f.document(&object).await, before, "I7");
    let cells = f.world.event_store.snapshot(&before.active.stream);
    assert!(
        matches!(cells.last().unwrap().header.kind, CellKind::Fence(_)),
        "R17"
    );
    assert_eq!(
        f.world.event_store.stream_ids().len(),
        1,
        "the target was discarded"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_migration_is_refused_a_second_time_until_it_is_rolled_back() {
    let f = Fixture::new();
    let object = f.object("order/1", &["Keep", "Bad"]).await;
    let failed = f
        .service
        .migrate(object.clone())
        .transform(Reshape)
        .execute()
        .await
        .unwrap();
    assert_eq!(failed.status, MigrationStatus::Failed);
    let refused = f
        .service
        .migrate(object.clone())
        .execute()
        .await
        .unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::AlreadyExists);
    assert!(
        refused
            .hint()
            .unwrap()
            .contains(&failed.migration.to_string())
    );

    let undone = f
        .service
        .resume(failed.migration)
        .roll_back("mend it")
        .await
        .unwrap();
    assert_eq!(undone.status, MigrationStatus::RolledBack, "{undone:?}");
    let state = f.service.status(failed.migration).await.unwrap();
    assert_eq!(state.status, MigrationStatus::RolledBack);
    let ended = f
        .service
        .resume(failed.migration)
        .execute()
        .await
        .unwrap_err();
    assert_eq!(*ended.kind(), ErrorKind::AlreadyExists);
    assert!(
        f.service
            .migrate(object)
            .execute()
            .await
            .unwrap()
            .is_success()
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_stops_at_a_safe_point_on_request_and_is_resumed() {
    let f = Fixture::new();
    let object = f.object("order/1", &["A"]).await;
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    let stopped = f
        .service
        .migrate(object.clone())
        .verify(|v| {
            v.custom("stops when asked", move |_| {
                token.cancel();
                async { Ok(()) }
            })
        })
        .cancel_on(cancel)
        .execute()
        .await
        .unwrap();
    assert_eq!(stopped.status, MigrationStatus::Paused);
    assert!(f.document(&object).await.terminated.is_empty());
    let resumed = f.service.resume(stopped.migration).execute().await.unwrap();
    assert!(resumed.is_success(), "{resumed:?}");
    assert_eq!(f.document(&object).await.terminated.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_custom_check_reads_both_streams_and_can_refuse() {
    use futures::TryStreamExt as _;
    let f = Fixture::new();
    let object = f.object("order/1", &["Old", "Noise", "Keep"]).await;
    let result = f
        .service
        .migrate(object.clone())
        .transform(Reshape)
        .verify(|v| {
            v.counts()
                .checksums()
                .custom("as many as before", |streams| async move {
                    let count =
                        |s: futures::stream::BoxStream<'static, Result<Event>>| s.try_collect();
                    let old: Vec<Event> = count(streams.source_events())
                        .await
                        .map_err(|e| e.to_string())?;
                    let new: Vec<Event> = count(streams.target_events())
                        .await
                        .map_err(|e| e.to_string())?;
                    Err(format!("{} became {}", old.len(), new.len()))
                })
        })
        .execute()
        .await
        .unwrap();
    let error = result.error.unwrap();
    assert_eq!(*error.kind(), ErrorKind::VerificationFailed);
    assert!(error.to_string().contains("3 became 2"), "{error}");
    assert!(f.document(&object).await.terminated.is_empty());
}

#[tokio::test(start_paused = true)]
async fn many_objects_are_migrated_and_one_failure_is_no_success() {
    let f = Fixture::new();
    for n in 0..20 {
        let types: &[&str] = if n == 13 { &["Bad"] } else { &["Old", "Noise"] };
        f.object(&format!("order/{n}"), types).await;
    }
    f.object("customer/1", &["Old"]).await;
    let result = f
        .service
        .migrate_named("order".parse().unwrap())
        .transform(Reshape)
        .on_failure(OnFailure::Continue)
        .batch(7)
        .concurrency(3)
        .backup(|b| b)
        .close_books(|c| c.archive(|a| a))
        .execute()
        .await
        .unwrap();
    assert!(!result.is_success());
    assert_eq!(result.status, MigrationStatus::Failed);
    assert_eq!(
        (result.statistics.migrated, result.statistics.failed),
        (19, 1)
    );
    assert_eq!(result.statistics.failures[0].object.to_string(), "order/13");
    assert_eq!(
        (
            result.statistics.ledger.source,
            result.statistics.ledger.outputs
        ),
        (38, 19)
    );
    assert!(
        f.document(&"customer/1".parse().unwrap())
            .await
            .terminated
            .is_empty()
    );

    let all = f
        .service
        .migrate_all()
        .transform(Reshape)
        .on_failure(OnFailure::Continue);
    assert_eq!(*all.scope(), Scope::All);
    let result = all.execute().await.unwrap();
    let numbers = (result.statistics.migrated, result.statistics.failed);
    assert_eq!((numbers, result.statistics.up_to_date), ((1, 1), 19));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_writes_nothing_and_its_plan_is_executed_while_it_fits() {
    let f = Fixture::new();
    let object = f
        .object("order/1", &["Old", "Noise", "Keep", "Split"])
        .await;
    let (streams, records) = (f.world.event_store.stream_ids(), f.world.records.keys());
    let describe = || f.service.migrate(object.clone()).transform(Reshape);
    let plan = describe().dry_run().await.unwrap();
    assert_eq!((plan.objects, plan.events), (1, 4));
    assert_eq!((plan.ledger.outputs, plan.ledger.dropped()), (4, 1));
    assert_eq!(plan.schemas.len(), 4);
    assert_eq!(plan.estimates.writes, 8);
    assert_eq!(f.world.event_store.stream_ids(), streams);
    assert_eq!(f.world.records.keys(), records);

    let other = f
        .service
        .migrate(object.clone())
        .execute_plan(&plan)
        .await
        .unwrap_err();
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
    let f = Fixture::new();
    let object = f.object("order/1", &["A"]).await;
    let active = f.document(&object).await.active.stream;
    let refusal = |r: Result<MigrationResult>| r.map(drop).unwrap_err();
    let migrate = || f.service.migrate(object.clone());

    let unknown = refusal(
        f.service
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
        migrate().backup(|b| b.id(BackupId::new("mine").unwrap())),
        f.service.migrate_many([]),
        f.service.migrate_many([object.clone(), object.clone()]),
        f.service.migrate_all().to_stream("x"),
    ] {
        let description = format!("{refused:?}");
        let e = refusal(refused.execute().await);
        assert_eq!(*e.kind(), ErrorKind::Invalid, "{description}");
    }
    for unbuilt in [
        migrate().close_books(|c| c.snapshot()),
        migrate().close_books(|c| c.delete_source()),
    ] {
        assert_eq!(
            *refusal(unbuilt.execute().await).kind(),
            ErrorKind::Unsupported
        );
    }
    assert_eq!(f.world.event_store.stream_ids().len(), 1);
    assert_eq!(f.world.records.keys().len(), 1, "only the document");
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
    let f = Fixture::new();
    let object = f.object("order/1", &["A", "A", "B"]).await;
    let plan = f
        .service
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

/// Gives another answer each time it is asked.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl EventTransformer for Counting {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new("counting").unwrap()
    }

    fn handles(&self, _: &Schema) -> bool {
        true
    }

    fn transform(
        &self,
        event: &Event,
        _: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        let mut new = second(event);
        new.payload = self.0.fetch_add(1, Ordering::SeqCst).to_string().into();
        Ok(Transformed::Events(vec![new]))
    }
}

#[tokio::test(start_paused = true)]
async fn a_transformer_that_is_not_deterministic_fails_the_verification() {
    let f = Fixture::new();
    let object = f.object("order/1", &["A", "B"]).await;
    let migrate = || {
        f.service
            .migrate(object.clone())
            .transform(Counting::default())
    };
    assert!(!migrate().dry_run().await.unwrap().is_executable());
    let error = migrate().execute().await.unwrap().error.unwrap();
    assert_eq!(*error.kind(), ErrorKind::VerificationFailed);
    assert!(
        error
            .to_string()
            .contains("source revision 0, target revision 0"),
        "{error}"
    );
    assert!(f.document(&object).await.terminated.is_empty());
}

#[tokio::test(start_paused = true)]
async fn callbacks_that_panic_are_counted_and_fail_nothing() {
    let f = Fixture::new();
    let object = f.object("order/1", &["A"]).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let (counted, completed) = (Arc::clone(&calls), Arc::new(AtomicUsize::new(0)));
    let told = Arc::clone(&completed);
    let result = f
        .service
        .migrate(object)
        .progress(|p| {
            p.every(std::time::Duration::ZERO)
                .on_progress(move |_| {
                    counted.fetch_add(1, Ordering::SeqCst);
                    panic!("a callback's own bug")
                })
                .on_completed(move |progress| {
                    assert_eq!(progress.status, MigrationStatus::Completed);
                    told.fetch_add(1, Ordering::SeqCst);
                })
        })
        .execute()
        .await
        .unwrap();
    assert!(result.is_success());
    let calls = calls.load(Ordering::SeqCst) as u64;
    assert!(calls >= 2, "the first and the last always arrive");
    assert_eq!(result.statistics.callback_panics, calls);
    assert_eq!(completed.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_blocks_stalls_nothing_and_is_counted() {
    let f = Fixture::new();
    let object = f.object("order/1", &["A"]).await;
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = std::sync::Mutex::new(blocked);
    let result = f
        .service
        .migrate(object)
        .progress(|p| {
            p.on_progress(move |_| {
                let _ = blocked.lock().unwrap().recv();
            })
        })
        .execute()
        .await
        .unwrap();
    assert!(result.is_success());
    assert_eq!(result.statistics.callbacks_blocked, 1);
    drop(release);
}

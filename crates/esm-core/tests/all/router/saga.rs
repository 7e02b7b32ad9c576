//! A client in all phases of a real migration, and of its way back.

use std::collections::BTreeSet;
use std::sync::Arc;

use esm_core::Result;
use esm_core::event::{Event, Position, Schema};
use esm_core::id::Fingerprint;
use esm_core::migration::PublishPhases;
use esm_core::router::{ClientStatistics, ExpectedRevision, Mirroring, ObjectClient, PhaseOptions};
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_testkit::Rule;
use esm_testkit::faults::{At, Fault, FaultPlan, Interjection};
use tokio::sync::Mutex;

use super::cutover::*;
use crate::world::{World, schema};

/// Turns `T v2` back into `T v1`.
#[derive(Debug)]
struct Down;

impl EventTransformer for Down {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new("down").unwrap()
    }

    fn handles(&self, schema: &Schema) -> bool {
        *schema == crate::world::schema("T", 2)
    }

    fn transform(
        &self,
        event: &Event,
        _: &TransformContext<'_>,
    ) -> std::result::Result<Transformed, TransformError> {
        let mut down = event.clone();
        down.schema_version.0 = 1;
        down.payload = "{}".into();
        Ok(Transformed::Events(vec![down]))
    }

    fn retired_schemas(&self) -> BTreeSet<Schema> {
        [schema("T", 2)].into()
    }
}

/// An application, and the ids that were acknowledged to it, in order.
struct Application {
    client: ObjectClient,
    object: esm_core::id::ObjectId,
    acknowledged: Vec<String>,
}

impl Application {
    fn new(f: &World) -> Self {
        let options = PhaseOptions::default().manual().mirroring(Mirroring::All);
        let client = f
            .client()
            .with_transformer(rules(Rule::Change))
            .with_transformer(Arc::new(Down))
            .with_phases(options);
        Self {
            client,
            object: f.order.clone(),
            acknowledged: ["a", "b", "c"].map(str::to_owned).into(),
        }
    }

    /// Reads the phases and the object; returns where an append goes that knows everything.
    async fn look(&self) -> Position {
        self.client.refresh_phases().await.unwrap();
        let ids = |ids: &mut Vec<String>, e: Event| ids.push(e.id.to_string());
        let folded = self.client.fold(&self.object, Vec::new, ids).await;
        let folded = folded.unwrap();
        assert_eq!(folded.state, self.acknowledged, "read");
        folded.position
    }

    /// Appends anywhere, and at the position of what it has read: old code, so always `T v1`.
    async fn work(&mut self) {
        self.append(ExpectedRevision::Any).await;
        let position = self.look().await;
        self.append(ExpectedRevision::At(position)).await;
    }

    async fn append(&mut self, expected: ExpectedRevision) {
        let id = format!("e{}", self.acknowledged.len());
        let appended = self.client.append(&self.object, expected, events(&[&id]));
        appended.await.expect("nobody else appends");
        self.acknowledged.push(id);
    }
}

/// Requests of a migrator before which the application reads.
const LOOKS: u64 = 200;

/// Migrates, or migrates back, with an application that reads before each request of the migrator,
/// and is at work before one of them, each in turn; returns what the application did in all of them.
async fn sweep(back: bool) -> Result<Vec<ClientStatistics>> {
    let mut statistics = Vec::new();
    let mut request = 0;
    loop {
        let (f, _) = World::with_cells(&[&["a", "b"], &["c"]]).await?;
        let application = Arc::new(Mutex::new(Application::new(&f)));
        let (plan, quiet) = (FaultPlan::new(), FaultPlan::new());
        let migrator = |plan: &FaultPlan| plan.actor("migrator").migration_service(&f.storage);
        let forward = |plan: &FaultPlan| {
            let migration = migrator(plan).migrate(f.order.clone());
            let migration = migration.transform(rules(Rule::Change));
            migration.phases(PublishPhases::Always)
        };
        let working = Arc::clone(&application);
        let work = Interjection::new(move || {
            let application = Arc::clone(&working);
            async move { application.lock().await.work().await }
        });
        plan.inject(At::Operation(request), Fault::Interject(work));
        let looking = Arc::clone(&application);
        let look = Interjection::new(move || {
            let application = Arc::clone(&looking);
            async move { drop(application.lock().await.look().await) }
        });
        for other in 0..LOOKS {
            plan.inject(At::Operation(other), Fault::Interject(look.clone()));
        }
        let result = if back {
            let migrated = forward(&quiet).execute().await?;
            assert!(migrated.is_success(), "{migrated:?}");
            application.lock().await.work().await;
            let back = migrator(&plan).roll_back(migrated.migration);
            back.down(Down).execute().await?
        } else {
            forward(&plan).execute().await?
        };
        assert!(result.is_success(), "request {request}: {result:?}");
        let mut application = application.lock().await;
        application.work().await;
        let read = f.storage.read(&f.order).await?;
        let ids = esm_testkit::ids(&read);
        assert_eq!(ids, application.acknowledged, "request {request}");
        let version = if back { 1 } else { 2 };
        assert!(read.iter().all(|e| e.schema() == schema("T", version)));
        statistics.push(application.client.statistics());
        request += 1;
        if request >= plan.log().len() {
            return Ok(statistics);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_works_before_any_request_of_a_migrator() -> Result<()> {
    let all = sweep(false).await?;
    let sum = |of: fn(&ClientStatistics) -> u64| all.iter().map(of).sum::<u64>();
    let mirrored = sum(|s| s.mirrors_written);
    let read = sum(|s| s.dual_reads_target);
    let transformed = sum(|s| s.retired_transformed);
    assert!(
        mirrored > 0 && read > 0 && transformed > 0,
        "{mirrored} {read} {transformed}"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_application_works_before_any_request_of_a_migration_back() -> Result<()> {
    // a migration back publishes no phases
    let all = sweep(true).await?;
    let transformed = all.iter().map(|s| s.retired_transformed).min();
    assert!(transformed >= Some(2), "{transformed:?}");
    Ok(())
}

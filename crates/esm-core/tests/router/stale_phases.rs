//! Clients of every kind, with phases of every age, while migrations come, are undone and go.
//!
//! Several writers append at once: some mirror and read from targets, some compare, some know nothing
//! of phases; most are old code with the transformations registered, one is new code. Meanwhile a
//! migrator copies, publishes whatever phases, right or wrong, undoes, closes; requests of the
//! clients are delayed, fail, lose their answers, happen twice. In the end every event that was
//! acknowledged is there exactly once, as its image, in order, and none that was refused; and what
//! was appended at the position of a read was decided on all that stands before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use esm_core::event::Event;
use esm_core::id::{ObjectId, StreamRef};
use esm_core::migration::MigrationPhase;
use esm_core::router::{
    AppendError, Appended, ClientStatistics, DualReads, ExpectedRevision, Mirroring, ObjectClient,
    PhaseOptions, ReadPosition,
};
use esm_core::{ErrorKind, Result};
use esm_testkit::faults::{At, Fault, FaultPlan};
use esm_testkit::{Rule, Rules};
use futures::TryStreamExt as _;
use proptest::prelude::*;
use tokio::task::JoinSet;

use super::by_hand::ByHand;
use super::fixture::*;

/// What the migrator does next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Copy,
    Publish(MigrationPhase),
    Undo,
    Close(usize),
    Help,
}

/// What a writer does next.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// Appends anywhere.
    Any,
    /// Loads the object and appends at that position.
    Decide,
    /// Looks at the phases.
    Refresh,
}

/// The transformations of the migrations, in order; again from the beginning.
const RULES: [Rule; 3] = [Rule::Split(2), Rule::Keep, Rule::Change];

fn transformers() -> [Arc<Rules>; 3] {
    RULES.map(rules)
}

/// What became of the events of all writers.
#[derive(Debug, Default)]
struct Outcome {
    /// Acknowledged, in the order of each writer.
    acknowledged: Vec<String>,
    /// Certainly not appended.
    refused: BTreeSet<String>,
    /// What was seen of an object when an event was appended to it.
    decided: BTreeMap<String, Vec<String>>,
    statistics: ClientStatistics,
}

/// The event that an image stems from.
fn base(id: &str) -> String {
    id.split('.').next().unwrap().to_owned()
}

/// The events that these images stem from, in order; each must be whole.
fn bases(ids: &[String]) -> Vec<String> {
    let mut bases: Vec<String> = ids.iter().map(|id| base(id)).collect();
    bases.dedup();
    let distinct: BTreeSet<_> = bases.iter().collect();
    assert_eq!(distinct.len(), bases.len(), "twice, or torn apart: {ids:?}");
    bases
}

struct Writer {
    name: usize,
    client: ObjectClient,
    object: ObjectId,
}

impl Writer {
    fn new(f: &Fixture, plan: &FaultPlan, name: usize) -> Self {
        let client = f.client_of(&plan.actor(format!("writer {name}")), name as u64 + 10);
        let options = PhaseOptions::default().manual();
        let registered = |client: ObjectClient| {
            let all = transformers().into_iter();
            all.fold(client, |client, t| client.with_transformer(t))
        };
        let client = match name {
            0 => registered(client).with_phases(options.mirroring(Mirroring::All)),
            1 => registered(client).with_phases(options.reads(DualReads::Shadow)),
            2 => registered(client),
            _ => client.with_phases(options),
        };
        Self {
            name,
            client,
            object: f.object.clone(),
        }
    }

    /// Old code appends events that migrations transform; new code others.
    fn event(&self, n: usize) -> Event {
        let event_type = match self.name {
            3 => "U",
            _ => "T",
        };
        of_type(event_type, &format!("{}:{n}", self.name))
    }

    async fn run(self, acts: Vec<Act>) -> Outcome {
        let mut outcome = Outcome::default();
        for (n, act) in acts.into_iter().enumerate() {
            let event = self.event(n);
            let id = event.id.to_string();
            let mut seen = None;
            let expected = match act {
                Act::Refresh => {
                    // what cannot be read stays as it was
                    self.client.refresh_phases().await.ok();
                    continue;
                }
                Act::Any => ExpectedRevision::Any,
                Act::Decide => {
                    let ids = |ids: &mut Vec<String>, e: Event| ids.push(e.id.to_string());
                    let folded = self.client.fold(&self.object, Vec::new, ids).await;
                    let Ok(folded) = folded else { continue };
                    let before = bases(&folded.state);
                    let mine = outcome.acknowledged.iter();
                    let missing: Vec<_> = mine.filter(|id| !before.contains(id)).collect();
                    assert!(missing.is_empty(), "not read: {missing:?} in {before:?}");
                    seen = Some(before);
                    ExpectedRevision::At(folded.position)
                }
            };
            let appended = self.client.append(&self.object, expected, vec![event]);
            match self.settled(appended.await).await {
                true => {
                    outcome.decided.extend(seen.map(|seen| (id.clone(), seen)));
                    outcome.acknowledged.push(id);
                }
                false => {
                    outcome.refused.insert(id);
                }
            }
        }
        outcome.statistics = self.client.statistics();
        outcome
    }

    /// Whether it was appended.
    async fn settled(&self, mut outcome: Result<Appended, AppendError>) -> bool {
        for _ in 0..100 {
            let error = match outcome {
                Ok(_) => return true,
                Err(error) => error,
            };
            let expected = [ErrorKind::Unavailable, ErrorKind::Ambiguous];
            let fine = matches!(error.kind(), ErrorKind::Conflict { .. })
                || expected.contains(error.kind());
            assert!(fine, "{error:?}");
            match error.into_token() {
                None => return false,
                Some(token) => outcome = self.client.settle(token).await,
            }
        }
        panic!("an append is not settled");
    }
}

/// Migrates by these steps, with these pauses between them, and answers the stream at the end and
/// how often it was migrated.
async fn migrate(
    f: Arc<Fixture>,
    source: StreamRef,
    steps: Vec<(Step, u64)>,
) -> (StreamRef, usize) {
    let (mut active, mut generation, mut changes) = (source, 0, 0);
    let begin = |active: &StreamRef, generation: usize, changes: u32| {
        let rule = RULES[generation % RULES.len()];
        let retired = changes + u32::from(rule != Rule::Keep);
        ByHand::new(&f, active, generation as u64, rules(rule))
            .retiring((1..=retired).map(|version| schema("T", version)))
    };
    let mut hand = begin(&active, generation, changes);
    for (step, pause) in steps {
        let clock = &f.environment.clock;
        clock.sleep(Duration::from_millis(pause)).await;
        match step {
            // a mirror may be faster
            Step::Copy => drop(hand.copy().await),
            Step::Publish(phase) => hand.publish(phase).await,
            Step::Undo => {
                hand.undo().await;
                hand = begin(&active, generation, changes);
            }
            Step::Close(published) => {
                for phase in &MigrationPhase::ALL[1..=published] {
                    hand.publish(*phase).await;
                }
                hand.close().await;
                active = hand.target().clone();
                changes += u32::from(RULES[generation % RULES.len()] != Rule::Keep);
                generation += 1;
                hand = begin(&active, generation, changes);
            }
            Step::Help => drop(f.client().load(&f.object).await.unwrap()),
        }
    }
    (active, generation)
}

/// The ids of what an event becomes in so many migrations.
fn images(id: &str, migrations: usize) -> Vec<String> {
    let mut ids = vec![id.to_owned()];
    for n in 0..migrations {
        if let Rule::Split(parts) = RULES[n % RULES.len()]
            && !id.starts_with('3')
        {
            let split = |id: &String| (0..parts).map(|n| format!("{id}.{n}")).collect::<Vec<_>>();
            ids = ids.iter().flat_map(split).collect();
        }
    }
    ids
}

async fn run(acts: Vec<Vec<Act>>, steps: Vec<(Step, u64)>, faults: Vec<(u8, u64)>) -> Result<()> {
    let f = Arc::new(Fixture::new());
    let plan = FaultPlan::new();
    for (n, (kind, delay)) in (0..).zip(faults) {
        let fault = match kind {
            0 => Fault::FailBefore,
            1 => Fault::FailAfter,
            2 => Fault::Duplicate,
            _ => Fault::Delay(Duration::from_millis(delay)),
        };
        plan.inject(At::Operation(n), fault);
    }
    let source = f.client().create(&f.object).await?.stream().clone();
    let mut writers = JoinSet::new();
    for (name, acts) in acts.into_iter().enumerate() {
        writers.spawn(Writer::new(&f, &plan, name).run(acts));
    }
    let migrator = tokio::spawn(migrate(Arc::clone(&f), source, steps));
    let outcomes = writers.join_all().await;
    let (active, migrations) = migrator.await.unwrap();

    assert_eq!(f.client().load(&f.object).await?.stream(), &active);
    let read = f.reader().read(&f.object, ReadPosition::Start);
    let ids: Vec<String> = read
        .map_ok(|r| r.event.id.to_string())
        .try_collect()
        .await?;
    let order = bases(&ids);
    let expected: Vec<_> = order.iter().flat_map(|id| images(id, migrations)).collect();
    assert_eq!(ids, expected, "as images, all of them (I1)\n{}", plan.log());
    let mut acknowledged = 0;
    for outcome in &outcomes {
        let writer = outcome.acknowledged.first().map(|id| id.split(':').next());
        let of_writer = |id: &&String| Some(id.split(':').next()) == writer;
        let found: Vec<_> = order.iter().filter(of_writer).cloned().collect();
        if writer.is_some() {
            assert_eq!(found, outcome.acknowledged, "in order (I3)\n{}", plan.log());
        }
        acknowledged += outcome.acknowledged.len();
        let there = order.iter().find(|id| outcome.refused.contains(*id));
        assert_eq!(there, None, "it was refused\n{}", plan.log());
        let differences = outcome.statistics.shadow_different;
        assert_eq!(differences, 0, "a shadow read differs\n{}", plan.log());
        for (id, seen) in &outcome.decided {
            let place = order.iter().position(|other| other == id).unwrap();
            assert_eq!(&order[..place], seen, "decided on another state: {id}");
        }
    }
    assert_eq!(order.len(), acknowledged, "nothing else\n{}", plan.log());
    Ok(())
}

/// Mostly copying, with phases that are right more often than wrong.
fn steps() -> impl Strategy<Value = Vec<(Step, u64)>> {
    use MigrationPhase::{Cutover, DualRead, DualWrite, Normal};
    let step = prop_oneof![
        12 => Just(Step::Copy),
        1 => Just(Step::Publish(Normal)),
        2 => Just(Step::Publish(DualWrite)),
        3 => Just(Step::Publish(DualRead)),
        1 => Just(Step::Publish(Cutover)),
        1 => Just(Step::Undo),
        1 => (0..5_usize).prop_map(Step::Close),
        1 => Just(Step::Help),
    ];
    let begun = [(Step::Copy, 1), (Step::Publish(DualWrite), 0)];
    prop::collection::vec((step, 0..60_u64), 1..40)
        .prop_map(move |steps| begun.into_iter().chain(steps).collect())
}

/// Some writers do nothing, so that the others are not always in each other's way.
fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => Just(Act::Any),
        3 => Just(Act::Decide),
        1 => Just(Act::Refresh),
    ];
    let begun = [Act::Any, Act::Refresh, Act::Decide, Act::Refresh];
    prop_oneof![
        1 => Just(Vec::new()),
        1 => prop::collection::vec(act, 0..16)
            .prop_map(move |acts| begun.into_iter().chain(acts).collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_clients_believe_of_phases_every_event_is_there_once(
        acts in prop::collection::vec(acts(), 4),
        steps in steps(),
        faults in prop::collection::vec((0..60_u8, 0..30_u64), 0..300),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(acts, steps, faults)).unwrap();
    }
}

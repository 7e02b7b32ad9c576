//! Writers of every kind and a migrator at one object, and what must hold in the end.
//!
//! Some writers mirror and read from targets, some compare, some know nothing of phases; most are old
//! code with the transformations registered, one is new code. The migrator copies, publishes whatever
//! phases, right or wrong, undoes, closes. In the end every event that was acknowledged is there
//! exactly once, as its image, in order, and none that was refused; and what was appended at the
//! position of a read was decided on all events before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::Result;
use esm_core::event::Event;
use esm_core::id::{ObjectId, StreamRef};
use esm_core::migration::MigrationPhase;
use esm_core::router::{
    AppendError, Appended, ClientStatistics, DualReads, ExpectedRevision, Mirroring, ObjectClient,
    PhaseOptions, ReadPosition,
};
use esm_testkit::faults::FaultPlan;
use esm_testkit::{Rule, Rules};

use super::by_hand::ByHand;
use super::cutover::*;
use crate::world::{World, schema};

/// What the migrator does next.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Copy,
    Publish(MigrationPhase),
    Undo,
    Close,
    Help,
}

/// What a writer does next.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// Appends anywhere.
    Any,
    /// Loads the object and appends at that position.
    Decide,
    /// Reads the phases.
    Refresh,
}

/// The transformations of the migrations, in order; again from the beginning.
const RULES: [Rule; 3] = [Rule::Split(2), Rule::Keep, Rule::Change];

fn transformers() -> [Arc<Rules>; 3] {
    RULES.map(rules)
}

/// What became of the events of all writers.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Acknowledged, in the order of each writer.
    acknowledged: Vec<String>,
    /// Certainly not appended.
    refused: BTreeSet<String>,
    /// What was seen of an object when an event was appended to it.
    decided: BTreeMap<String, Vec<String>>,
    pub(crate) statistics: ClientStatistics,
}

impl Outcome {
    /// The events that were certainly not appended.
    pub(crate) fn refused(&self) -> &BTreeSet<String> {
        &self.refused
    }
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

pub(crate) struct Writer {
    name: usize,
    client: ObjectClient,
    object: ObjectId,
}

impl Writer {
    pub(crate) fn new(f: &World, plan: &FaultPlan, name: usize) -> Self {
        let client = plan.actor(format!("writer {name}")).client(&f.storage);
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
            object: f.order.clone(),
        }
    }

    /// Old code appends events that migrations transform; new code others.
    fn event(&self, n: usize) -> Event {
        let event_type = match self.name {
            3 => "U",
            _ => "T",
        };
        esm_testkit::event(format!("{}:{n}", self.name), event_type)
    }

    pub(crate) async fn run(self, acts: Vec<Act>) -> Outcome {
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
            if self.settled(appended.await).await {
                outcome.decided.extend(seen.map(|seen| (id.clone(), seen)));
                outcome.acknowledged.push(id);
            } else {
                outcome.refused.insert(id);
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

/// Migrates an object by hand, again and again.
pub(crate) struct Migrator {
    f: Arc<World>,
    pub(crate) active: StreamRef,
    /// How often it was migrated.
    pub(crate) migrations: usize,
    /// How many of the migrations change the old events.
    changes: u32,
    hand: ByHand,
}

impl Migrator {
    pub(crate) fn new(f: &Arc<World>, active: StreamRef) -> Self {
        let hand = Self::begin(f, &active, 0, 0);
        Self {
            f: Arc::clone(f),
            active,
            migrations: 0,
            changes: 0,
            hand,
        }
    }

    fn begin(f: &World, active: &StreamRef, generation: usize, changes: u32) -> ByHand {
        let rule = RULES[generation % RULES.len()];
        let retired = changes + u32::from(rule != Rule::Keep);
        ByHand::new(f, active, generation as u64, rules(rule))
            .retiring((1..=retired).map(|version| schema("T", version)))
    }

    pub(crate) async fn step(&mut self, step: Step) {
        match step {
            // a mirror may win the race
            Step::Copy => drop(self.hand.copy().await),
            Step::Publish(phase) => self.hand.publish(phase).await,
            Step::Undo => self.hand.undo().await,
            Step::Close => {
                self.hand.close().await;
                self.active = self.hand.target().clone();
                self.changes += u32::from(RULES[self.migrations % RULES.len()] != Rule::Keep);
                self.migrations += 1;
            }
            Step::Help => drop(self.f.client().load(&self.f.order).await.unwrap()),
        }
        if matches!(step, Step::Undo | Step::Close) {
            self.hand = Self::begin(&self.f, &self.active, self.migrations, self.changes);
        }
    }
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

/// What must hold in the end.
pub(crate) async fn check(
    migrator: &Migrator,
    plan: &FaultPlan,
    outcomes: &[Outcome],
) -> Result<()> {
    let (f, active) = (&migrator.f, &migrator.active);
    assert_eq!(f.client().load(&f.order).await?.stream(), active);
    let ids = f.read_from(ReadPosition::Start).await?;
    let order = bases(&ids);
    let expected: Vec<_> = order
        .iter()
        .flat_map(|id| images(id, migrator.migrations))
        .collect();
    assert_eq!(ids, expected, "as images, all of them (I1)\n{}", plan.log());
    let mut acknowledged = 0;
    for outcome in outcomes {
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

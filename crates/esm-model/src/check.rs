//! Running the checker.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::Hash;
use std::time::{Duration, Instant};

use stateright::{Checker as _, Expectation, HasDiscoveries, Model, Property};

use crate::action::Action;
use crate::property;
use crate::protocol::Protocol;
use crate::world::World;

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::begin(&self.scope, self.names.streams())]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.possible(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        self.after(world, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        property::all(self)
    }
}

/// What a check has come to.
#[derive(Debug)]
pub struct Verdict<A> {
    /// States that differ.
    pub states: usize,
    /// The longest way to one of them, in actions.
    pub depth: usize,
    /// How long it took.
    pub time: Duration,
    /// The properties that do not hold, each with the actions that lead there.
    pub counterexamples: Vec<(&'static str, Vec<A>)>,
    /// What should happen sometimes and never did.
    pub missing: Vec<&'static str>,
}

impl<A> Verdict<A> {
    /// Whether everything holds, and everything happens that should.
    pub fn holds(&self) -> bool {
        self.counterexamples.is_empty() && self.missing.is_empty()
    }
}

impl<A: fmt::Debug> fmt::Display for Verdict<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (states, depth) = (self.states, self.depth);
        write!(f, "{states} states, depth {depth}, {:.1?}", self.time)?;
        for name in &self.missing {
            write!(f, "\n  never: {name}")?;
        }
        for (name, actions) in &self.counterexamples {
            write!(f, "\n  does not hold: {name}")?;
            for action in actions {
                write!(f, "\n    {action:?}")?;
            }
        }
        Ok(())
    }
}

/// Explores everything that can happen, up to the first counterexample.
pub fn explore<M>(model: M, threads: usize) -> Verdict<M::Action>
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + Clone + PartialEq + 'static,
    M::Action: Clone + PartialEq,
{
    run(model, threads, HasDiscoveries::AnyFailures)
}

/// Looks for a counterexample to one property, the shortest.
pub fn refute<M>(model: M, property: &'static str) -> Verdict<M::Action>
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + Clone + PartialEq + 'static,
    M::Action: Clone + PartialEq,
{
    run(model, 1, HasDiscoveries::AnyOf(BTreeSet::from([property])))
}

fn run<M>(model: M, threads: usize, until: HasDiscoveries) -> Verdict<M::Action>
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + Clone + PartialEq + 'static,
    M::Action: Clone + PartialEq,
{
    let properties = model.properties();
    let begun = Instant::now();
    let checker = model
        .checker()
        .threads(threads)
        .finish_when(until)
        .spawn_bfs()
        .join();
    let time = begun.elapsed();
    let mut found = checker.discoveries();
    let mut verdict = Verdict {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        time,
        counterexamples: Vec::new(),
        missing: Vec::new(),
    };
    for property in properties {
        match (property.expectation, found.remove(property.name)) {
            (Expectation::Sometimes, None) => verdict.missing.push(property.name),
            (Expectation::Always, Some(path)) => verdict
                .counterexamples
                .push((property.name, path.into_actions())),
            _ => {}
        }
    }
    verdict
}

//! Migrations in fresh worlds, with writers and faults.

use std::fmt;
use std::str::FromStr;

use esm_core::Error;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use super::{World, WorldOutcome};
use crate::strategies;
use crate::sweep::{Disturbance, Ended, Happened, Scenario, disturbed};

/// One run. Written as it is replayed: `3,0 2 first@12:lost second@3:write`.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// The number of each object's events that are there from the beginning.
    there: Vec<usize>,
    /// The number of events in a cell of a source, and in one of a target.
    cell: usize,
    disturbances: Vec<Disturbance>,
}

impl Run {
    /// The run, in a fresh world.
    pub(super) fn happen(&self, world: &World) -> Result<Happened, String> {
        let scenario = self.scenario(world)?;
        let judge = |objects: &[Ended]| {
            objects.iter().try_for_each(|ended| {
                let compared = world.folds.compare(&ended.appended, &ended.found);
                compared.map_err(|what| format!("{}: {what}", ended.object))
            })
        };
        disturbed(&scenario, &self.disturbances, &judge)
    }

    fn scenario(&self, world: &World) -> Result<Scenario, String> {
        let mut scenario: Option<Scenario> = None;
        for (at, (object, events)) in world.objects.iter().enumerate() {
            let there = self.there.get(at).copied().unwrap_or_default();
            let (before, after) = events.split_at(there.min(events.len()));
            let cells = before.chunks(self.cell.max(1)).map(<[_]>::to_vec).collect();
            let described = match scenario {
                None => Scenario::new(object.clone(), cells),
                Some(scenario) => scenario.and(object.clone(), cells),
            };
            scenario = Some(described.appended_meanwhile(object.clone(), after.to_vec()));
        }
        let mut scenario = scenario.ok_or("there is no object")?;
        if !world.registered {
            scenario = scenario.unregistered();
        }
        let (describe, cell) = (world.describe.clone(), self.cell);
        Ok(scenario
            .transform(world.transformer.clone())
            .describe(move |builder| describe(builder.cells(cell, 1 << 20))))
    }
}

/// Random runs. A failing run is shrunk to the smallest that fails too.
pub(super) fn all(world: &World, outcome: &mut WorldOutcome) -> Result<(), String> {
    let sizes: Vec<_> = world.objects.iter().map(|(_, e)| 0..=e.len()).collect();
    // most operations of two small migrations are among these
    let disturbances = strategies::disturbances(0..70, 0..16);
    let runs = (sizes, 1_usize..4, disturbances);
    let runs = runs.prop_map(|(there, cell, disturbances)| Run {
        there,
        cell,
        disturbances,
    });
    let config = Config {
        cases: world.runs,
        max_shrink_iters: 400,
        failure_persistence: None,
        ..Config::default()
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&world.seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let seen = std::cell::RefCell::new(&mut *outcome);
    let tested = TestRunner::new_with_rng(config, random).run(&runs, |run| {
        let happened = run.happen(world).map_err(TestCaseError::fail)?;
        add(*seen.borrow_mut(), happened);
        Ok(())
    });
    match tested {
        Ok(()) => Ok(()),
        Err(TestError::Fail(what, run)) => Err(format!("{what}\nreplay it with ESM_WORLD='{run}'")),
        Err(TestError::Abort(what)) => Err(what.to_string()),
    }
}

/// Counts a successful run.
pub(super) fn add(outcome: &mut WorldOutcome, happened: Happened) {
    outcome.runs += 1;
    outcome.appended += happened.appended;
    outcome.refused += happened.refused;
    outcome.crashes += happened.crashes;
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there: Vec<_> = self.there.iter().map(usize::to_string).collect();
        write!(f, "{} {}", there.join(","), self.cell)?;
        let mut disturbances = self.disturbances.iter();
        disturbances.try_for_each(|disturbance| write!(f, " {disturbance}"))
    }
}

impl FromStr for Run {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::invalid(format!("not a run of a world: {text:?}"))
                .with_hint("take it from the failure's last line, such as '3 2 first@12:lost'")
        };
        let mut words = text.split_whitespace();
        let there = words.next().ok_or_else(wrong)?.split(',');
        let there = there.map(str::parse).collect::<Result<_, _>>();
        let cell = words.next().and_then(|word| word.parse().ok());
        Ok(Self {
            there: there.map_err(|_| wrong())?,
            cell: cell.filter(|cell| *cell > 0).ok_or_else(wrong)?,
            disturbances: words.map(str::parse).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_as_it_is_written() {
        for text in ["0 1", "3,0 2 first@12:lost second@3:write"] {
            assert_eq!(text.parse::<Run>().unwrap().to_string(), text);
        }
        for wrong in ["", "3", "x 1", "3 0", "3 1 first"] {
            assert!(wrong.parse::<Run>().is_err(), "{wrong:?}");
        }
    }
}

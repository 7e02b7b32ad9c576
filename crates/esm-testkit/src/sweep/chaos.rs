//! Two migrators without any lock, with writers and random faults.

use esm_core::event::Event;
use esm_core::id::ObjectId;

use super::continuation;
use super::simulation::Simulation;
use super::{Disturbance, Scenario, end};
use crate::faults::{At, Fault, FaultPlan};
use crate::tap::Outcome;

/// Two processes without a common lock begin the scenario's migration at the same time, and are
/// disturbed. However they end, a third, undisturbed, completes everything. The invariants are
/// checked after every operation, and the end is checked, too.
///
/// The same disturbances give the same run, every time. Everything happens in one thread, in
/// simulated time. Only a page of more than 64 events would be transformed in another thread.
///
/// ```
/// use esm_testkit::event;
/// use esm_testkit::sweep::{Scenario, chaos};
///
/// let scenario = Scenario::new("order/1".parse()?, vec![vec![event("e1", "Placed")]]);
/// chaos(&scenario, &["first@9:lost".parse()?, "second@5:write".parse()?]).unwrap();
/// # Ok::<(), esm_core::Error>(())
/// ```
///
/// # Errors
/// The violation, with the log of operations.
///
/// # Panics
/// When no runtime can be started.
pub fn chaos(scenario: &Scenario, disturbances: &[Disturbance]) -> Result<(), String> {
    disturbed(scenario, disturbances, &|_| Ok(())).map(drop)
}

/// An object at the end of a migration.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) object: ObjectId,
    /// The events whose appends were acknowledged, in order.
    pub(crate) appended: Vec<Event>,
    /// The stored events.
    pub(crate) found: Vec<Event>,
}

/// Counts of a run.
#[derive(Debug, Default)]
pub(crate) struct Happened {
    /// Number of events that writers appended, before or after the migration of the object.
    pub(crate) appended: u64,
    /// Number of appends that were refused because their schema is retired.
    pub(crate) refused: u64,
    /// Number of crashes.
    pub(crate) crashes: u64,
}

/// Returns the violation that objects have at the end, if there is one.
pub(crate) type Judge<'a> = &'a dyn Fn(&[Ended]) -> Result<(), String>;

/// As [`chaos`], and `judge` checks the end. Where writers have events left then, they append them,
/// and `judge` checks once more.
pub(crate) fn disturbed(
    scenario: &Scenario,
    disturbances: &[Disturbance],
    judge: Judge<'_>,
) -> Result<Happened, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = runtime.expect("a runtime can be started");
    runtime.block_on(async {
        let plan = FaultPlan::new().limited_to(20_000);
        let verdict = match Simulation::new(scenario, plan.clone()).await {
            Ok(simulation) => {
                disturb(&simulation, disturbances);
                run(&simulation, judge).await
            }
            Err(error) => Err(error.to_string()),
        };
        verdict.map_err(|what| format!("{what}\n{}", plan.log()))
    })
}

fn disturb(simulation: &Simulation<'_>, disturbances: &[Disturbance]) {
    let writer = simulation.writer();
    for disturbance in disturbances {
        let actor = if disturbance.second {
            "second-2"
        } else {
            "first-1"
        };
        let fault = disturbance.fault.clone();
        let fault = fault.unwrap_or_else(|| Fault::Interject(writer.clone()));
        let at = At::OfActor(actor.to_owned(), disturbance.operation);
        simulation.plan.inject(at, fault);
    }
}

async fn run(simulation: &Simulation<'_>, judge: Judge<'_>) -> Result<Happened, String> {
    let scenario = simulation.scenario;
    let process = async |holder, seed| {
        let process = simulation.process_without_lock(holder, seed).await;
        process.map_err(|e| e.to_string())
    };
    let (first, second) = (process("first", 1).await?, process("second", 2).await?);
    // however they end, the third must handle it
    let _ = tokio::join!(
        first.actor.run(first.begin(scenario)),
        second.actor.run(second.begin(scenario)),
    );
    end::check_violations(simulation)?;
    simulation.let_leases_pass().await;
    let third = process("third", 3).await?;
    continuation::finish_all(simulation, &third).await?;
    end::check(simulation).await?;
    judge(&ended(simulation).await?)?;
    if scenario.appends.is_some() {
        simulation.append_the_rest().await;
        end::check(simulation).await?;
        judge(&ended(simulation).await?)?;
    }
    Ok(happened(simulation))
}

async fn ended(simulation: &Simulation<'_>) -> Result<Vec<Ended>, String> {
    let mut objects = Vec::new();
    for (object, history) in &simulation.histories {
        let document = simulation.place.document(object).await?;
        objects.push(Ended {
            object: object.clone(),
            appended: history.acknowledged(),
            found: simulation.place.events(&document.active.stream).await?,
        });
    }
    Ok(objects)
}

fn happened(simulation: &Simulation<'_>) -> Happened {
    let mut happened = Happened::default();
    for (object, cells) in &simulation.scenario.objects {
        let Some(history) = simulation.histories.get(object) else {
            continue;
        };
        let before: usize = cells.iter().map(Vec::len).sum();
        happened.appended += (history.acknowledged().len() - before) as u64;
        happened.refused += history.failures();
    }
    let operations = simulation.plan.log().operations();
    let crashed = operations
        .iter()
        .filter(|operation| operation.outcome == Some(Outcome::Crashed));
    happened.crashes = crashed.count() as u64;
    happened
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events;

    #[test]
    fn the_same_disturbances_always_give_the_same_run() {
        let cells = events("e", ["Old", "Noise", "Old"]).map(|event| vec![event]);
        let rules = crate::Rules::new([("Old", crate::Rule::Change), ("Noise", crate::Rule::Drop)]);
        let scenario = Scenario::new("order/1".parse().unwrap(), cells.collect()).transform(rules);
        let log = |lines: &[&str]| {
            let disturbances: Vec<_> = lines.iter().map(|line| line.parse().unwrap()).collect();
            let shown = disturbed(&scenario, &disturbances, &|_| Err("as asked".to_owned()));
            shown.map(|_| ()).unwrap_err()
        };
        for lines in [
            &["first@9:lost", "second@5:write"],
            &["second@20:after", "first@14:twice"],
        ] {
            let first = log(lines);
            for _ in 0..8 {
                assert_eq!(log(lines), first);
            }
        }
    }
}

//! Two migrators without any lock, writers, and faults wherever they fall.

use super::continuation;
use super::simulation::Simulation;
use super::{Scenario, end};
use crate::faults::{At, Fault, FaultPlan};

/// Something that happens to one of the two migrators.
#[derive(Debug, Clone)]
pub struct Disturbance {
    /// To the second, or to the first.
    pub second: bool,
    /// At which of its operations.
    pub operation: u64,
    /// What happens; nothing means that an application appends before the operation.
    pub fault: Option<Fault>,
}

/// Two processes that no lock keeps apart begin the scenario's migration at the same time, and are
/// disturbed. Whatever comes of them, a third, undisturbed, brings everything to its end. The
/// invariants are checked after every operation, and the end.
///
/// # Errors
/// What was wrong, with the log of operations.
///
/// # Panics
/// When no runtime can be started.
pub fn chaos(scenario: &Scenario, disturbances: &[Disturbance]) -> Result<(), String> {
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
                run(&simulation).await
            }
            Err(error) => Err(error.to_string()),
        };
        verdict.map_err(|what| format!("{what}\n{}", plan.log()))
    })
}

fn disturb(simulation: &Simulation<'_>, disturbances: &[Disturbance]) {
    let writer = simulation.writer();
    for disturbance in disturbances {
        let actor = match disturbance.second {
            true => "second-2",
            false => "first-1",
        };
        let fault = disturbance.fault.clone();
        let fault = fault.unwrap_or_else(|| Fault::Interject(writer.clone()));
        let at = At::OfActor(actor.to_owned(), disturbance.operation);
        simulation.plan.inject(at, fault);
    }
}

async fn run(simulation: &Simulation<'_>) -> Result<(), String> {
    let scenario = simulation.scenario;
    let process = |holder, seed| {
        let process = simulation.process_without_lock(holder, seed);
        process.map_err(|e| e.to_string())
    };
    let (first, second) = (process("first", 1)?, process("second", 2)?);
    // however they end, the third must cope with it
    let _ = tokio::join!(
        first.actor.run(first.begin(scenario)),
        second.actor.run(second.begin(scenario)),
    );
    end::check_violations(simulation)?;
    simulation.let_leases_pass().await;
    let third = process("third", 3)?;
    continuation::finish_all(simulation, &third).await?;
    end::check(simulation).await
}

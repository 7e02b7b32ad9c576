//! Two migrators without any lock, with writers and faults wherever they fall: random streams,
//! transformations, cell sizes and disturbances.

use esm_core::id::ObjectId;
use esm_testkit::strategies;
use esm_testkit::sweep::{Scenario, chaos};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_is_lost(
        cells in strategies::cells(0..5, 1..4),
        rules in strategies::rules(),
        cell_events in 1_usize..5,
        rollback in any::<bool>(),
        disturbances in strategies::disturbances(0..70, 0..14),
    ) {
        let object = "order/1".parse().expect("a valid object");
        let scenario = Scenario::new(object, cells).transform(rules).describe(move |builder| {
            let builder = builder.cells(cell_events, 1 << 20);
            if rollback {
                builder.with_rollback()
            } else {
                builder
            }
        });
        if let Err(what) = chaos(&scenario, &disturbances) {
            return Err(TestCaseError::fail(what));
        }
    }

    /// Applications append events that the migration transforms, drops and splits.
    #[test]
    fn whatever_is_appended_meanwhile_nothing_is_lost(
        workload in strategies::workload(0..4, 0..6),
        rules in strategies::rules(),
        registered in any::<bool>(),
        disturbances in strategies::disturbances(0..70, 0..14),
    ) {
        let object: ObjectId = "order/1".parse().expect("a valid object");
        let scenario = Scenario::new(object.clone(), workload.cells).transform(rules);
        let scenario = scenario.appended_meanwhile(object, workload.appended);
        let scenario = if registered {
            scenario
        } else {
            scenario.unregistered()
        };
        if let Err(what) = chaos(&scenario, &disturbances) {
            return Err(TestCaseError::fail(what));
        }
    }
}

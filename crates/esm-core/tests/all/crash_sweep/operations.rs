//! The operations that the scenarios reach, as snapshots.

use std::collections::BTreeSet;

use esm_core::Result;
use esm_testkit::sweep::Sweep;
use esm_testkit::tap::Effect;

use super::scenarios;

/// Every operation that the scenarios reach. A new storage call changes the snapshot, and the sweeps
/// disturb it because it is in a scenario.
#[test]
fn no_operation_escapes() -> Result<()> {
    let mut names = BTreeSet::new();
    for scenario in scenarios::all()? {
        let clean = Sweep::of_crashes(scenario).clean();
        names.extend(clean.into_iter().map(|operation| operation.call.name));
    }
    let names: Vec<_> = names.into_iter().collect();
    insta::assert_snapshot!(names.join("\n"));
    Ok(())
}

/// The same seed gives the same run, and a small migration costs these operations (the budget of
/// writes for one small stream alone is nine).
#[test]
fn a_small_migration_is_these_operations() -> Result<()> {
    let run = || -> Result<Vec<String>> {
        let clean = Sweep::of_crashes(scenarios::identity()?).clean();
        Ok(clean.iter().map(ToString::to_string).collect())
    };
    assert_eq!(run()?, run()?);
    let clean = Sweep::of_crashes(scenarios::identity()?).clean();
    let writes = clean.iter().filter(|o| o.call.effect == Effect::Write);
    let writes: Vec<_> = writes.map(|operation| operation.call.name).collect();
    assert!(writes.len() <= 9, "{writes:?}");
    insta::assert_snapshot!(writes.join("\n"));
    Ok(())
}

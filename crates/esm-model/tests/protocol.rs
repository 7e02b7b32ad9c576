//! The whole protocol holds in every scope, and everything that should happen in one does.
//!
//! `ESM_MODEL=large` explores as far as fits into a night.

use esm_model::{
    Bounds, Phases, Protocol, Scope, attempts, beside, commands, competing, deletion, dual_read,
    explore, flush, fold, fold_and_back, in_a_row, lock, lock_losses, losses_in_a_row,
    lost_answers, mirror, restore, reverse, rollback, two_migrators, writers_in_a_row,
};

fn holds(scope: impl Fn(Bounds) -> Scope) -> esm_core::Result<()> {
    let scope = scope(Bounds::from_environment());
    let name = scope.name;
    let verdict = explore(Protocol::whole(scope)?, 1);
    println!("{name}: {verdict}");
    assert!(verdict.holds(), "{name}: {verdict}");
    Ok(())
}

macro_rules! scopes {
    ($($scope:ident)*) => {$(
        mod $scope {
            #[test]
            fn holds() -> esm_core::Result<()> {
                super::holds(super::$scope)
            }
        }
    )*};
}

scopes! {
    two_migrators lost_answers rollback attempts lock lock_losses in_a_row writers_in_a_row losses_in_a_row competing
    reverse restore mirror dual_read deletion commands beside fold fold_and_back flush
}

#[test]
fn r20_phases_hold() -> esm_core::Result<()> {
    let verdict = explore(Phases::new(None)?, 1);
    assert!(verdict.holds(), "{verdict}");
    Ok(())
}

#[test]
fn r20_phases_of_competing_migrations_hold() -> esm_core::Result<()> {
    let verdict = explore(Phases::competing(None)?, 1);
    assert!(verdict.holds(), "{verdict}");
    Ok(())
}

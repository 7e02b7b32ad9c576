//! Sweeps of the saga on the in-memory fakes: one run for each of its operations, disturbed there.
//!
//! A failure prints a line that replays it alone, such as
//! `ESM_CRASH=12:after:other cargo test -p esm-core --test all crash_sweep::crashes::identity`.

mod chaos;
mod operations;
mod regressions;
mod run;
mod scenarios;

macro_rules! sweeps {
    ($kind:ident: $($name:ident)*) => {
        mod $kind {
            $(
                #[test]
                fn $name() {
                    super::run::$kind(stringify!($name), super::scenarios::$name());
                }
            )*
        }
    };
}

sweeps!(crashes: identity undo);
sweeps!(thinned_crashes: dropping empty many_cells with_books undoing_itself late_undo with_phases with_a_window
    reversal reversal_of_many_cells undo_of_reversal late_undo_of_reversal);
sweeps!(sparse_crashes: bulk undo_of_bulk reversal_of_bulk);
sweeps!(zombies: identity dropping empty many_cells with_books undoing_itself undo with_phases with_a_window
    reversal undo_of_reversal);
sweeps!(sparse_zombies: bulk reversal_of_bulk);
sweeps!(writers: identity dropping empty many_cells with_books bulk undo with_phases with_a_window
    reversal reversal_of_many_cells reversal_of_bulk undo_of_reversal);

// nextest's default profile leaves these out: `cargo xtask nightly` runs them
sweeps!(pairs: identity dropping many_cells with_books undo);

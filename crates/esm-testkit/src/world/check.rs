//! Runs a described test.

use super::run::{self, Run};
use super::{World, WorldOutcome, prefixes};

impl World {
    /// Runs the test. With the variable `ESM_WORLD`, runs that one run alone.
    ///
    /// # Panics
    /// When a check fails, with a line that replays it.
    pub fn check(&self) -> WorldOutcome {
        match self.try_check() {
            Ok(outcome) => outcome,
            Err(what) => panic!("{what}"),
        }
    }

    /// As [`check`](Self::check), but returns the outcome.
    ///
    /// # Errors
    /// The failure, for people, with a line that replays it.
    pub fn try_check(&self) -> Result<WorldOutcome, String> {
        if self.objects.iter().all(|(_, events)| events.is_empty()) {
            return Err("there is nothing to test: give an object with events".to_owned());
        }
        let mut outcome = WorldOutcome {
            prefixes: prefixes::check(self)?,
            ..WorldOutcome::default()
        };
        match std::env::var("ESM_WORLD") {
            Ok(text) => {
                let one = text.parse::<Run>().map_err(|error| error.to_string())?;
                run::add(&mut outcome, one.happen(self)?);
            }
            Err(_) => run::all(self, &mut outcome)?,
        }
        Ok(outcome)
    }
}

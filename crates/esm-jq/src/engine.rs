//! What the engine's functions work on.

use jaq_core::data::HasLut;
use jaq_core::{DataT, Lut};
use jaq_json::Val;

use crate::budget::Budget;

/// What the engine's functions work on: JSON values, and the budget of the run.
#[derive(Debug)]
pub(crate) enum Engine {}

impl DataT for Engine {
    type V<'a> = Val;
    type Data<'a> = &'a Run<'a>;
}

/// One run of a program.
pub(crate) struct Run<'a> {
    lut: &'a Lut<Engine>,
    pub(crate) budget: Budget,
}

impl<'a> Run<'a> {
    pub(crate) fn new(lut: &'a Lut<Engine>, budget: Budget) -> Self {
        Self { lut, budget }
    }
}

impl<'a> HasLut<'a, Engine> for &'a Run<'a> {
    fn lut(&self) -> &'a Lut<Engine> {
        self.lut
    }
}

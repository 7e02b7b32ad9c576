//! Values as text inside of a program: `tojson` and `tostring`.

use super::show::show;
use super::{Text, Val};
use crate::budget::Budget;
use crate::fail::Exit;

/// The value as JSON, as `tojson` gives it. Infinities become the largest number, NaN becomes null.
///
/// # Errors
/// If it takes more than the budget has: a small value that occurs many times in another, and that in
/// a third, becomes a long text.
pub(crate) fn json(value: &Val, budget: &Budget) -> Result<Vec<u8>, Exit> {
    let mut out = Vec::new();
    show(value, &mut out, budget.memory_left(), 0);
    budget.make(out.len() as u64)?;
    Ok(out)
}

/// A text as it is, anything else as JSON.
pub(crate) fn text_of(value: Val, budget: &Budget) -> Result<Text, Exit> {
    match value {
        Val::Str(text) => Ok(text),
        other => Ok(json(&other, budget)?.into()),
    }
}

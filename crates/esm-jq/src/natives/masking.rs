//! What jq does not have: masking of personal data.

use esm_core::transform::{DateUnit, MaskingKey};

use super::{Native, native};
use crate::fail::Fail;
use crate::value::Val;

pub(super) const ALL: &[Native] = &[native("floor_date", 1, |_, input, arguments| {
    Ok(floor_date(input, &arguments[0])?)
})];

/// The pseudonym of a text. No error shows what it was to be made of.
pub(crate) fn pseudonym(key: &MaskingKey, input: &Val) -> Result<Val, Fail> {
    match input {
        Val::Str(text) => Ok(key.pseudonym(text).into()),
        _ => Err(Fail::text("pseudonym input must be a string")),
    }
}

fn floor_date(input: Val, unit: &Val) -> Result<Val, Fail> {
    let unit = match unit {
        Val::Str(unit) => std::str::from_utf8(unit)
            .ok()
            .and_then(|unit| unit.parse::<DateUnit>().ok()),
        _ => None,
    };
    let Some(unit) = unit else {
        return Err(Fail::text(
            "floor_date takes \"year\", \"month\", \"day\" or \"hour\"",
        ));
    };
    let Val::Str(text) = &input else {
        return Err(Fail::text("floor_date input must be a string"));
    };
    let floored = std::str::from_utf8(text)
        .ok()
        .and_then(|text| unit.floor(text));
    floored.map(Val::from).ok_or_else(|| {
        Fail::text(
            "floor_date input must be a date or a time, like 2026-05-17 or 2026-05-17T10:11:12Z",
        )
    })
}

//! How a program masks values, derived from its text.
//!
//! A plan looks for fields that are masked in these ways, in the events that the program changes. So
//! it does not matter here which field of which event is meant.

use esm_core::transform::{MaskKind, Masks};
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::path::Part;

use crate::syntax::{each, first_key, literal};

/// Attributes of an event that hold no personal data: to set them masks nothing.
const ATTRIBUTES: [&str; 4] = ["type", "schemaversion", "id", "time"];

/// The ways in which the program masks values: `pseudonym`, `floor_date`, `del`, `delpaths`, a slice,
/// and an assignment of a constant or of nothing.
pub(crate) fn masks(program: &Term<&str>) -> Masks {
    let mut masks = Masks::default();
    each(program, &mut |term| match term {
        Term::Call("pseudonym", _) => personal(&mut masks, MaskKind::Pseudonym),
        Term::Call("floor_date", _) => personal(&mut masks, MaskKind::Date),
        Term::Call("del" | "delpaths", _) => drop(masks.kinds.insert(MaskKind::Removed)),
        Term::Path(_, path) if path.0.iter().any(|(part, _)| is_slice(part)) => {
            masks.kinds.insert(MaskKind::Truncated);
        }
        Term::BinOp(left, BinaryOp::Assign | BinaryOp::Update, right) => {
            let key = first_key(left);
            if !key.is_some_and(|key| ATTRIBUTES.contains(&key.as_str())) {
                add_constant(&mut masks, right);
            }
        }
        _ => {}
    });
    masks
}

fn personal(masks: &mut Masks, kind: MaskKind) {
    masks.kinds.insert(kind);
    masks.personal = true;
}

fn is_slice(part: &Part<Term<&str>>) -> bool {
    matches!(part, Part::Range(..))
}

fn add_constant(masks: &mut Masks, value: &Term<&str>) {
    match value {
        Term::Call("empty" | "null" | "true" | "false", arguments) if arguments.is_empty() => {
            masks.kinds.insert(MaskKind::Removed);
        }
        Term::Arr(None) => drop(masks.kinds.insert(MaskKind::Removed)),
        Term::Obj(entries) if entries.is_empty() => {
            masks.kinds.insert(MaskKind::Removed);
        }
        Term::Num(digits) => {
            if let Ok(number) = digits.parse::<i64>() {
                masks.add_replacement(number);
            }
        }
        value => {
            if let Some(text) = literal(value) {
                masks.add_replacement(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jaq_core::load::parse;

    fn masks_of(program: &str) -> Masks {
        let term = parse(program, |p| p.term()).unwrap_or_else(|| panic!("{program}"));
        masks(&term)
    }

    #[test]
    fn the_ways_to_mask_are_read_from_the_text() {
        for (program, kind) in [
            ("(.data.email | strings) |= pseudonym", MaskKind::Pseudonym),
            (
                "def f: floor_date(\"year\"); .data.born |= f",
                MaskKind::Date,
            ),
            ("del(.data.phone)", MaskKind::Removed),
            (".data.phone |= empty", MaskKind::Removed),
            (".data.phone = null", MaskKind::Removed),
            (".data.zip |= .[:2]", MaskKind::Truncated),
            (".data.zip = .data.zip[:2]", MaskKind::Truncated),
        ] {
            let found = masks_of(program);
            assert!(found.kinds.contains(&kind), "{program}");
            let personal = [MaskKind::Pseudonym, MaskKind::Date].contains(&kind);
            assert_eq!(found.personal, personal, "{program}");
        }
        let found = masks_of(".data.name = \"era\\\"sed\" | .data.n |= 0 | .type = \"B\"");
        let found: Vec<_> = found.replacements.into_iter().collect();
        assert_eq!(found, ["\"era\\\"sed\"", "0"]);
    }

    #[test]
    fn a_program_that_masks_nothing_says_so() {
        for program in [
            ".",
            ".type = \"B\" | .schemaversion = 2",
            "if .type == \"A\" then .data.cents = .data.total * 100 end",
            "select(.type != \"A\")",
            ".data |= with_entries(if .key == \"a\" then .key else . end)",
        ] {
            assert!(masks_of(program).is_empty(), "{program}");
        }
    }
}

//! The difference between the fields of two events.

use std::collections::BTreeMap;

use super::fields::Fields;

/// A difference between the fields of two events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The field is no longer there.
    Removed {
        /// The path of the field.
        path: String,
        /// The value that it had.
        value: String,
    },
    /// The field is new.
    Added {
        /// The path of the field.
        path: String,
        /// Its value.
        value: String,
    },
    /// The field has another value.
    Changed {
        /// The path of the field.
        path: String,
        /// The value before.
        from: String,
        /// The value after.
        to: String,
    },
    /// The value is at another path.
    Moved {
        /// The path before.
        from: String,
        /// The path after.
        to: String,
        /// The value.
        value: String,
    },
}

/// Returns the differences: of the attributes, then of the data, each in the order of the paths.
pub fn changes(before: &Fields, after: &Fields) -> Vec<Change> {
    let only = |these: &Fields, those: &Fields| -> Fields {
        let these = these.iter().filter(|(path, _)| !those.contains_key(*path));
        these.map(|(p, v)| (p.clone(), v.clone())).collect()
    };
    let (mut removed, mut added) = (only(before, after), only(after, before));
    let mut changes = BTreeMap::new();
    for (value, from, to) in moved(&removed, &added) {
        removed.remove(&from);
        added.remove(&to);
        changes.insert(from.clone(), Change::Moved { from, to, value });
    }
    for (path, from) in before {
        if let Some(to) = after.get(path).filter(|to| *to != from) {
            let (from, to) = (from.clone(), to.clone());
            let path = path.clone();
            changes.insert(path.clone(), Change::Changed { path, from, to });
        }
    }
    for (path, value) in removed {
        changes.insert(path.clone(), Change::Removed { path, value });
    }
    for (path, value) in added {
        changes.insert(path.clone(), Change::Added { path, value });
    }
    let is_data =
        |path: &str| path == ".data" || path.starts_with(".data.") || path.starts_with(".data[");
    let (data, mut all): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|(path, _)| is_data(path));
    all.extend(data);
    all.into_iter().map(|(_, change)| change).collect()
}

/// Finds values that occur once among the removed fields and once among the added ones: they are
/// moved. Returns value, old path and new path.
fn moved(removed: &Fields, added: &Fields) -> Vec<(String, String, String)> {
    let (from, to) = (by_value(removed), by_value(added));
    let once = |paths: &[&str]| match paths {
        [path] => Some((*path).to_owned()),
        _ => None,
    };
    let pairs = from.iter().filter(|(value, _)| tells_apart(value));
    pairs
        .filter_map(|(value, paths)| {
            let (from, to) = (once(paths)?, once(to.get(value)?)?);
            Some(((*value).to_owned(), from, to))
        })
        .collect()
}

fn by_value(fields: &Fields) -> BTreeMap<&str, Vec<&str>> {
    let mut paths: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, value) in fields {
        paths.entry(value).or_default().push(path);
    }
    paths
}

/// Whether a value is hardly twice the same by chance.
fn tells_apart(value: &str) -> bool {
    !matches!(
        value,
        "null" | "true" | "false" | "0" | "1" | "\"\"" | "[]" | "{}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[(&str, &str)]) -> Fields {
        let fields = fields.iter();
        fields
            .map(|(path, value)| ((*path).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn shown(before: &[(&str, &str)], after: &[(&str, &str)]) -> Vec<String> {
        changes(&of(before), &of(after))
            .into_iter()
            .map(|change| match change {
                Change::Removed { path, value } => format!("-{path}={value}"),
                Change::Added { path, value } => format!("+{path}={value}"),
                Change::Changed { path, from, to } => format!("~{path}={from}>{to}"),
                Change::Moved { from, to, value } => format!("@{from}>{to}={value}"),
            })
            .collect()
    }

    #[test]
    fn removed_added_changed_and_moved_are_told_apart() {
        let before = [(".a", "1"), (".b", "\"x\""), (".c", "2"), (".d", "true")];
        let after = [(".a", "1"), (".b", "\"y\""), (".e", "2"), (".f", "true")];
        assert_eq!(
            shown(&before, &after),
            ["~.b=\"x\">\"y\"", "@.c>.e=2", "-.d=true", "+.f=true"]
        );
        assert!(shown(&before, &before).is_empty());
    }

    #[test]
    fn a_value_that_occurs_twice_is_not_called_moved() {
        let before = [(".a", "7"), (".b", "7")];
        assert_eq!(shown(&before, &[(".c", "7")]), ["-.a=7", "-.b=7", "+.c=7"]);
        assert_eq!(
            shown(&[(".a", "7")], &[(".c", "7"), (".d", "7")]),
            ["-.a=7", "+.c=7", "+.d=7"]
        );
    }
}

//! Failures of objects: equal ones are one, with a count.

use std::fmt;

use esm_core::Error;
use esm_core::migration::{ObjectFailure, Statistics};

use crate::units::counted;

/// Objects that a line names.
const NAMED: usize = 3;

/// The objects that failed alike, or the number of those that are not named.
#[derive(Debug)]
pub enum FailedObjects<'a> {
    /// The failures, by object.
    Alike(Vec<&'a ObjectFailure>),
    /// So many more.
    More(u64),
}

/// The failures of objects, those that are alike as one.
pub fn object_failures(statistics: &Statistics) -> Vec<FailedObjects<'_>> {
    let mut groups: Vec<Vec<&ObjectFailure>> = Vec::new();
    for failure in &statistics.failures {
        let group = groups.iter_mut().find(|group| are_alike(group[0], failure));
        match group {
            Some(group) => group.push(failure),
            None => groups.push(vec![failure]),
        }
    }
    // they ended in any order
    for group in &mut groups {
        group.sort_by_key(|failure| &failure.object);
    }
    let named = statistics.failures.len() as u64;
    let more = statistics.failed.saturating_sub(named);
    let more = (more > 0).then_some(FailedObjects::More(more));
    let groups = groups.into_iter().map(FailedObjects::Alike);
    groups.chain(more).collect()
}

impl FailedObjects<'_> {
    /// Whether this is the failure that an error reports.
    pub fn is(&self, error: Option<&Error>) -> bool {
        let Self::Alike(failures) = self else {
            return false;
        };
        let error = error.map(ToString::to_string);
        // the message of a failure ends with the hint
        let reports = |failure: &&ObjectFailure| {
            error
                .as_ref()
                .is_some_and(|error| failure.message.starts_with(error))
        };
        failures.iter().any(reports)
    }

    /// The objects, and the step that failed.
    pub fn objects(&self) -> String {
        let failures = match self {
            Self::Alike(failures) => failures,
            Self::More(number) => return counted(*number, "more object"),
        };
        let ObjectFailure { object, step, .. } = failures[0];
        if failures.len() == 1 {
            return format!("{object}, {step}");
        }
        let named = failures.iter().take(NAMED).map(|f| f.object.to_string());
        let more = (failures.len() > NAMED).then(|| "…".to_owned());
        let named: Vec<_> = named.chain(more).collect();
        let count = counted(failures.len() as u64, "object");
        format!("{count} ({}), {step}", named.join(", "))
    }
}

impl fmt::Display for FailedObjects<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.objects())?;
        match self {
            Self::Alike(failures) => match failures.as_slice() {
                [] => Ok(()),
                [first, _, ..] if first.failure.is_none() => write!(f, ": {}", of_all(first)),
                [first, ..] => write!(f, ": {}", first.message),
            },
            Self::More(_) => Ok(()),
        }
    }
}

fn are_alike(one: &ObjectFailure, other: &ObjectFailure) -> bool {
    let failures = one.failure.as_ref().zip(other.failure.as_ref());
    let is_same = failures.map_or_else(
        || of_all(one) == of_all(other),
        |(one, other)| one.is_like(other),
    );
    one.step == other.step && is_same
}

/// The message without the name of the object.
fn of_all(failure: &ObjectFailure) -> String {
    let object = &failure.object;
    let message = failure.message.replace(&format!(": {object}"), "");
    message.replace(&object.to_string(), "the object")
}

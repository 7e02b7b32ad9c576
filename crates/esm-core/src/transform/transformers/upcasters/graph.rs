//! The graph of versions, checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::event::{Schema, SchemaVersion};
use crate::id::EventType;

/// Faults that an error names, at most.
const FAULTS: usize = 5;
/// The most versions below the newest ones, of all types.
pub(super) const MAX_OLD: u64 = 10_000;

/// A step from one version of a type to a later one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpcasterStep {
    /// The version of its input.
    pub from: SchemaVersion,
    /// The version of its outputs.
    pub to: SchemaVersion,
    /// The file that it was read from, if any.
    pub file: Option<String>,
}

/// The versions of each type, and the steps between them.
///
/// # Guarantees
/// Of each type, every version but the newest has exactly one step from it, which leads to a higher
/// version. So there is exactly one way from it to the newest one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpcasterGraph {
    /// Never empty, and no type without a step.
    types: BTreeMap<EventType, Ways>,
}

/// The ways of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ways {
    newest: SchemaVersion,
    steps: Steps,
}

/// The step from each version.
type Steps = BTreeMap<SchemaVersion, UpcasterStep>;

impl UpcasterGraph {
    /// The graph of these steps.
    ///
    /// # Errors
    /// As [`UpcastersBuilder::build`](super::UpcastersBuilder::build).
    pub(super) fn checked<'s>(
        steps: impl Iterator<Item = (&'s EventType, &'s UpcasterStep)>,
    ) -> Result<Self> {
        let mut all: BTreeMap<&EventType, Vec<&UpcasterStep>> = BTreeMap::new();
        for (event_type, step) in steps {
            all.entry(event_type).or_default().push(step);
        }
        if all.is_empty() {
            return Err(Error::invalid("upcasters have no step")
                .with_hint("add a step for each old version of each type"));
        }
        let mut faults = Vec::new();
        let mut types = BTreeMap::new();
        for (event_type, steps) in all {
            match ways(event_type, &steps) {
                Ok(ways) => drop(types.insert(event_type.clone(), ways)),
                Err(fault) => faults.push(fault),
            }
        }
        faults.extend(differ_in_case(types.keys()));
        if !faults.is_empty() {
            return Err(error(faults));
        }
        let graph = Self { types };
        graph.check_old()?;
        Ok(graph)
    }

    /// Refuses more old versions than the first cell of a stream may name.
    fn check_old(&self) -> Result<()> {
        let old: u64 = self.types.values().map(Ways::old).map(count).sum();
        let highest = self.types.iter().max_by_key(|(_, ways)| ways.newest);
        match highest {
            Some((event_type, ways)) if old > MAX_OLD => Err(Error::invalid(format!(
                "upcasters retire more than {MAX_OLD} old versions: the newest one of {event_type} is v{}",
                ways.newest
            ))
            .with_hint("number the versions of a type one after another")),
            _ => Ok(()),
        }
    }

    /// The types, in alphabetical order.
    pub fn types(&self) -> impl Iterator<Item = &EventType> {
        self.types.keys()
    }

    /// The steps of a type, from the oldest version to the newest; none of an unknown type.
    pub fn steps(&self, event_type: &EventType) -> impl Iterator<Item = &UpcasterStep> {
        self.types
            .get(event_type)
            .into_iter()
            .flat_map(|ways| ways.steps.values())
    }

    /// The newest version of a type; `None` of an unknown one.
    pub fn newest(&self, event_type: &EventType) -> Option<SchemaVersion> {
        self.types.get(event_type).map(|ways| ways.newest)
    }

    /// The versions below the newest one of their type, of all types.
    pub(super) fn old(&self) -> impl Iterator<Item = Schema> {
        self.types.iter().flat_map(|(event_type, ways)| {
            ways.old().map(|version| Schema {
                event_type: event_type.clone(),
                version: SchemaVersion(version),
            })
        })
    }

    /// The longest ways of a type to its newest version: each begins at a version that no step leads
    /// to, and all but the first end where they meet one of those before.
    pub(super) fn chains(&self, event_type: &EventType) -> Vec<Vec<SchemaVersion>> {
        let Some(Ways { steps, .. }) = self.types.get(event_type) else {
            return Vec::new();
        };
        let reached: BTreeSet<_> = steps.values().map(|step| step.to).collect();
        let mut drawn = BTreeSet::new();
        let begins = steps.keys().filter(|version| !reached.contains(version));
        begins
            .map(|begin| {
                let mut chain = vec![*begin];
                let mut at = begin;
                while let Some(step) = steps.get(at) {
                    chain.push(step.to);
                    at = &step.to;
                    if !drawn.insert(step.to) {
                        break;
                    }
                }
                chain
            })
            .collect()
    }
}

impl Ways {
    /// The versions below the newest one. There is no version 0, unless a step leads from it.
    fn old(&self) -> Range<u32> {
        let first = self.steps.keys().next().map_or(1, |first| first.0.min(1));
        first..self.newest.0
    }
}

fn count(range: Range<u32>) -> u64 {
    u64::from(range.end.saturating_sub(range.start))
}

/// The first two types that differ in case alone: files of both cannot be in every directory.
fn differ_in_case<'t>(mut types: impl Iterator<Item = &'t EventType>) -> Option<Fault> {
    let mut seen = BTreeMap::new();
    types.find_map(|event_type| {
        let other = seen.insert(event_type.as_str().to_lowercase(), event_type)?;
        let fault =
            format!("upcasters have types that differ in case alone: {other}, {event_type}");
        Some((fault, "name one type alike in all steps"))
    })
}

/// What is wrong, and a hint.
type Fault = (String, &'static str);

fn error(faults: Vec<Fault>) -> Error {
    let mut hints: Vec<_> = Vec::new();
    for (_, hint) in faults.iter().take(FAULTS) {
        if !hints.contains(hint) {
            hints.push(*hint);
        }
    }
    let more = faults.len().saturating_sub(FAULTS);
    let shown = faults.iter().take(FAULTS).map(|(fault, _)| fault.as_str());
    let mut message = shown.collect::<Vec<_>>().join("; ");
    if more > 0 {
        message.push_str(&format!("; and {more} more"));
    }
    Error::invalid(message).with_hint(hints.join("; "))
}

/// The step from each version of a type but the newest, or what is wrong with them, with a hint.
fn ways(event_type: &EventType, steps: &[&UpcasterStep]) -> Result<Ways, Fault> {
    let mut ways = Steps::new();
    for step in steps {
        if let Some(other) = ways.insert(step.from, (*step).clone()) {
            let from = step.from;
            let [one, two] = [&other, step].map(|step| format!("to v{}{}", step.to, file(step)));
            return Err((
                format!(
                    "upcasters fork: two steps lead from {event_type} v{from}: {one}, and {two}"
                ),
                "keep one of the two: there must be one way from each version to the newest",
            ));
        }
    }
    if let Some(circle) = ways.values().find_map(|step| circle(&ways, step)) {
        let versions = circle.iter().map(|step| step.from).chain([circle[0].from]);
        let versions = joined(versions.map(|version| format!("v{version}")), " → ");
        return Err((
            format!(
                "upcasters lead in a circle: {event_type} {versions}{}",
                files(&circle)
            ),
            "remove a step of the circle: each leads to a higher version",
        ));
    }
    if let Some(step) = ways.values().find(|step| step.to < step.from) {
        let UpcasterStep { from, to, .. } = step;
        return Err((
            format!(
                "upcaster leads to a lower version: {event_type} v{from} → v{to}{}",
                file(step)
            ),
            "upcasters lead to higher versions: remove it, or exchange the versions",
        ));
    }
    let newest = ways.values().map(|step| step.to).max();
    let gap = ways
        .values()
        .find(|step| Some(step.to) != newest && !ways.contains_key(&step.to));
    if let (Some(step), Some(newest)) = (gap, newest) {
        let to = step.to;
        let known: Vec<_> = ways.values().collect();
        return Err((
            format!(
                "upcasters have a gap: no step leads on from {event_type} v{to}, and the newest \
                 version is v{newest}{}",
                files(&known)
            ),
            "add the step that is missing, or remove those that it would lead to",
        ));
    }
    Ok(Ways {
        newest: newest.unwrap_or_default(),
        steps: ways,
    })
}

/// The steps of the circle that a step is on, if it is on one.
fn circle<'w>(ways: &'w Steps, first: &'w UpcasterStep) -> Option<Vec<&'w UpcasterStep>> {
    let mut steps = vec![first];
    let mut at = first;
    // without a circle, no way has more steps than there are
    for _ in 0..ways.len() {
        if at.to == first.from {
            return Some(steps);
        }
        at = ways.get(&at.to)?;
        steps.push(at);
    }
    None
}

/// The file of a step in parentheses, if it has one.
fn file(step: &UpcasterStep) -> String {
    files(&[step])
}

/// The files of steps in parentheses, if they have some.
fn files(steps: &[&UpcasterStep]) -> String {
    let files: Vec<_> = steps.iter().filter_map(|step| step.file.as_ref()).collect();
    if files.is_empty() {
        String::new()
    } else {
        format!(" ({})", joined(files, ", "))
    }
}

pub(super) fn joined(parts: impl IntoIterator<Item = impl Display>, between: &str) -> String {
    let parts: Vec<_> = parts.into_iter().map(|part| part.to_string()).collect();
    parts.join(between)
}

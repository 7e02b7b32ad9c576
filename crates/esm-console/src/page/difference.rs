//! An event before and after its transformation: what was renamed, moved, changed, dropped and added,
//! distinguished.

use esm_core::transform::{EventSample, SampleOutcome};
use esm_view::diff::{Change, Fields, changes, fields};
use esm_view::units::{bytes, count, counted, shortened};
use maud::{Markup, html};

use super::parts::{Tone, chip, object_address};
use crate::payload::{Visible, VisibleSample};
use crate::shared::{Shared, Store};

/// Characters of a value that are shown.
const VALUE: usize = 600;
/// Rows of a difference.
const ROWS: usize = 60;
/// Fields that stay and are shown at once; more are folded.
const SAME: usize = 4;

/// What became of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Row {
    Same(Field),
    Changed(Field, Field),
    Renamed(Field, Field),
    Moved(Field, Field),
    Dropped(Field),
    /// It is in this other output of the same event.
    Elsewhere(Field, usize),
    Added(Field),
}

/// A field with its value as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    path: String,
    value: String,
}

impl Row {
    /// Its class, which is also its word.
    fn class(&self) -> &'static str {
        match self {
            Self::Same(_) => "same",
            Self::Changed(..) => "changed",
            Self::Renamed(..) => "renamed",
            Self::Moved(..) => "moved",
            Self::Dropped(_) => "dropped",
            Self::Elsewhere(..) => "elsewhere",
            Self::Added(_) => "added",
        }
    }

    /// A sign that is distinguished without colour.
    fn sign(&self) -> &'static str {
        match self {
            Self::Same(_) => "=",
            Self::Changed(..) => "≠",
            Self::Renamed(..) => "✎",
            Self::Moved(..) => "→",
            Self::Dropped(_) => "−",
            Self::Elsewhere(..) => "↷",
            Self::Added(_) => "+",
        }
    }

    fn word(&self) -> String {
        match self {
            Self::Elsewhere(_, output) => format!("in event {output}"),
            other => other.class().to_owned(),
        }
    }

    /// Where it is in the list: what changes first, then what comes, then what stays.
    fn order(&self) -> u8 {
        match self {
            Self::Changed(..) | Self::Renamed(..) | Self::Moved(..) | Self::Dropped(_) => 0,
            Self::Added(_) => 1,
            Self::Elsewhere(..) => 2,
            Self::Same(_) => 3,
        }
    }
}

/// The rows of a difference. The other outputs of the same event have numbers, from 1.
fn rows(before: &Fields, after: &Fields, others: &[(usize, Fields)]) -> Vec<Row> {
    let elsewhere = |path: &String, value: &String| {
        let has = |(_, other): &&(usize, Fields)| other.get(path) == Some(value);
        others.iter().find(has).map(|(number, _)| *number)
    };
    let field = |path: String, value: String| Field { path, value };
    let mut rows: Vec<_> = changes(before, after)
        .into_iter()
        .map(|change| match change {
            Change::Removed { path, value } => match elsewhere(&path, &value) {
                Some(output) => Row::Elsewhere(field(path, value), output),
                None => Row::Dropped(field(path, value)),
            },
            Change::Added { path, value } => Row::Added(field(path, value)),
            Change::Changed { path, from, to } => {
                Row::Changed(field(path.clone(), from), field(path, to))
            }
            Change::Moved { from, to, value } => {
                let is_renamed = parent(&from) == parent(&to);
                let (from, to) = (field(from, value.clone()), field(to, value));
                if is_renamed {
                    Row::Renamed(from, to)
                } else {
                    Row::Moved(from, to)
                }
            }
        })
        .collect();
    let same = before
        .iter()
        .filter(|(path, value)| after.get(*path) == Some(value));
    rows.extend(same.map(|(path, value)| Row::Same(field(path.clone(), value.clone()))));
    rows.sort_by_key(Row::order);
    rows
}

/// The path of what a field is in.
fn parent(path: &str) -> &str {
    let end = path.rfind(['.', '[']).unwrap_or(0);
    &path[..end]
}

/// A sample as a card.
pub(super) fn sample(shared: &Shared, store: Option<Store>, visible: &VisibleSample) -> Markup {
    let sample = &visible.sample;
    let (tone, word) = match &sample.outcome {
        SampleOutcome::Changed => (Tone::Working, "changed".to_owned()),
        SampleOutcome::Split => {
            let word = format!("split into {}", count(sample.outputs));
            (Tone::Person, word)
        }
        SampleOutcome::Dropped { rule } => (Tone::Over, format!("dropped by {rule}")),
        SampleOutcome::Failed { rule, .. } => (Tone::Wrong, format!("failed by {rule}")),
    };
    let place = format!("{} revision {}", sample.object, sample.revision);
    html! {
        article.card.sample {
            header {
                (chip(tone, &word))
                h3 { (schemas(sample)) }
                p.small {
                    "from "
                    @match store {
                        Some(store) => {
                            @let slug = shared.source(store).slug();
                            a href=(object_address(&slug, &sample.object)) { (place) }
                        }
                        None => (place),
                    }
                    ", id " code { (sample.before.id) }
                }
            }
            (content(visible))
        }
    }
}

/// The schema before, and those after.
fn schemas(sample: &EventSample) -> Markup {
    let mut after: Vec<_> = sample
        .after
        .iter()
        .map(|event| event.schema.to_string())
        .collect();
    after.dedup();
    html! {
        (sample.before.schema)
        @if !after.is_empty() && after != [sample.before.schema.to_string()] { " → " (after.join(" + ")) }
    }
}

fn content(visible: &VisibleSample) -> Markup {
    let sample = &visible.sample;
    let before = match &visible.before {
        Visible::Event(event) => event,
        Visible::Hidden(why) => return html! { p.empty { (why) } },
    };
    let all = fields(before);
    // of a split or dropped event the headings have these
    let unnamed = without_names(all.clone());
    let outputs = visible.after.iter().map(|output| match output {
        Visible::Event(output) => Ok(fields(output)),
        Visible::Hidden(why) => Err(*why),
    });
    let outputs: Vec<_> = outputs.collect();
    html! {
        @match &sample.outcome {
            SampleOutcome::Failed { message, .. } => {
                p.problem { (message) }
                (alone(&all))
            }
            SampleOutcome::Dropped { .. } => (alone(&unnamed)),
            SampleOutcome::Changed => {
                @for output in &outputs {
                    @match output {
                        Ok(output) => (difference(&all, output, &[])),
                        Err(why) => p.empty { (why) }
                    }
                }
            }
            SampleOutcome::Split => {
                @for (at, (output, event)) in outputs.iter().zip(&sample.after).enumerate() {
                    h4 { "Event " (at + 1) " of " (count(sample.outputs)) ": " (event.schema)
                        span.small { ", id " code { (event.id) } } }
                    @match output {
                        Ok(output) => (difference(&unnamed, &without_names(output.clone()), &others(&outputs, at))),
                        Err(why) => p.empty { (why) }
                    }
                }
                @let more = sample.outputs.saturating_sub(sample.after.len() as u64);
                @if more > 0 { p.small { "and " (counted(more, "more event")) } }
            }
        }
        @if let Some(cut) = sample.after.iter().chain([&sample.before]).find(|event| event.cut) {
            p.small { "Only the beginning is compared: the payload has " (bytes(cut.payload_bytes)) "." }
        }
    }
}

/// The fields that a heading does not name.
fn without_names(mut fields: Fields) -> Fields {
    for named in [".id", ".type", ".schemaversion"] {
        fields.remove(named);
    }
    fields
}

/// The outputs but for one of them, with their numbers.
fn others(outputs: &[Result<Fields, &'static str>], but: usize) -> Vec<(usize, Fields)> {
    let all = outputs.iter().enumerate().filter(|(at, _)| *at != but);
    all.filter_map(|(at, output)| Some((at + 1, output.as_ref().ok()?.clone())))
        .collect()
}

/// The fields of an event that nothing becomes of.
fn alone(all: &Fields) -> Markup {
    difference(all, &Fields::new(), &[])
}

fn difference(before: &Fields, after: &Fields, others: &[(usize, Fields)]) -> Markup {
    let rows = rows(before, after, others);
    let first_same = rows.partition_point(|row| row.order() < 3);
    let (different, same) = rows.split_at(first_same);
    let hidden = different.len().saturating_sub(ROWS) as u64;
    html! {
        div.diff role="table" aria-label="Fields before and after" {
            div.heads role="row" {
                span role="columnheader" { "what" }
                span role="columnheader" { "before" }
                span role="columnheader" { "after" }
            }
            @for row in different.iter().take(ROWS) { (row_line(row)) }
            @if same.len() <= SAME { @for row in same { (row_line(row)) } }
        }
        @if hidden > 0 { p.small { "and " (counted(hidden, "more field")) } }
        @if same.len() > SAME {
            details.same {
                summary { (counted(same.len() as u64, "field")) " stay as they are" }
                div.diff role="table" aria-label="Fields that stay" {
                    @for row in same.iter().take(ROWS) { (row_line(row)) }
                }
            }
        }
    }
}

fn row_line(row: &Row) -> Markup {
    let (before, after) = match row {
        Row::Same(field) => (Some(plain(field)), Some(plain(field))),
        Row::Changed(from, to) => {
            let (kept, end) = common(&from.value, &to.value);
            (Some(marked(from, kept, end)), Some(marked(to, kept, end)))
        }
        Row::Renamed(from, to) | Row::Moved(from, to) => (Some(plain(from)), Some(plain(to))),
        Row::Dropped(field) | Row::Elsewhere(field, _) => (Some(plain(field)), None),
        Row::Added(field) => (None, Some(plain(field))),
    };
    let side = |name: &'static str, field: Option<Markup>| {
        html! {
            div role="cell" class=(name) {
                @match field { Some(field) => (field), None => span.nothing { "—" } }
            }
        }
    };
    html! {
        div role="row" class={ "row " (row.class()) } {
            div.what role="cell" { span aria-hidden="true" { (row.sign()) } " " (row.word()) }
            (side("before", before))
            (side("after", after))
        }
    }
}

fn plain(field: &Field) -> Markup {
    html! { code.path { (field.path) } " " code.value { (shortened(&field.value, VALUE)) } }
}

/// A value whose middle is marked.
fn marked(field: &Field, start: usize, end: usize) -> Markup {
    let value = &field.value;
    if value.chars().count() > VALUE {
        return plain(field);
    }
    let (first, rest) = value.split_at(start);
    let (middle, last) = rest.split_at(rest.len() - end);
    html! {
        code.path { (field.path) } " "
        code.value { (first) @if !middle.is_empty() { mark { (middle) } } (last) }
    }
}

/// Bytes that two values have in common at their beginning and at their end.
fn common(one: &str, other: &str) -> (usize, usize) {
    let same = |(a, b): &(char, char)| a == b;
    let start: usize = (one.chars().zip(other.chars()).take_while(same))
        .map(|(c, _)| c.len_utf8())
        .sum();
    let (one, other) = (&one[start..], &other[start..]);
    let ends = one.chars().rev().zip(other.chars().rev());
    let end = ends.take_while(same).map(|(c, _)| c.len_utf8()).sum();
    (start, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: &[(&str, &str)]) -> Fields {
        let all = all.iter();
        all.map(|(path, value)| ((*path).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn renamed_moved_changed_dropped_and_added_fields_are_told_apart() {
        let before = of(&[
            (".schemaversion", "1"),
            (".data.customer", "\"Zoë\""),
            (".data.city", "\"Bonn\""),
            (".data.note", "\"x\""),
            (".data.total", "5"),
        ]);
        let after = of(&[
            (".schemaversion", "2"),
            (".data.customer_name", "\"Zoë\""),
            (".data.address.city", "\"Bonn\""),
            (".data.paid", "false"),
            (".data.total", "5"),
        ]);
        let other = of(&[(".data.note", "\"x\""), (".data.city", "\"Köln\"")]);
        let told = |others: &[(usize, Fields)]| {
            let rows = rows(&before, &after, others);
            let told = rows.iter().map(|row| match row {
                Row::Same(f) | Row::Dropped(f) | Row::Added(f) | Row::Elsewhere(f, _) => {
                    format!("{} {}", row.word(), f.path)
                }
                Row::Changed(f, to) | Row::Renamed(f, to) | Row::Moved(f, to) => {
                    format!("{} {} {}", row.word(), f.path, to.path)
                }
            });
            told.collect::<Vec<_>>()
        };
        assert_eq!(
            told(&[]),
            [
                "changed .schemaversion .schemaversion",
                "moved .data.city .data.address.city",
                "renamed .data.customer .data.customer_name",
                "dropped .data.note",
                "added .data.paid",
                "same .data.total",
            ]
        );
        assert!(told(&[(2, other)]).contains(&"in event 2 .data.note".to_owned()));
    }

    #[test]
    fn the_middle_of_two_values_differs() {
        for (one, other, expected) in [
            ("\"aXb\"", "\"aYYb\"", (2, 2)),
            ("1", "2", (0, 0)),
            ("aa", "aaa", (2, 0)),
            ("é1", "è1", (0, 1)),
            ("same", "same", (4, 0)),
        ] {
            assert_eq!(common(one, other), expected, "{one} {other}");
        }
    }
}

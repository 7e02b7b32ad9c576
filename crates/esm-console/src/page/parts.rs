//! Pieces that pages share: states, terms, times, facts.

use esm_core::id::ObjectId;
use esm_view::migration::{Kind, Shown};
use esm_view::units::to_the_second;
use jiff::Timestamp;
use maud::{Markup, PreEscaped, Render, html};

use crate::source::encoded;

/// A time. The script adds how long ago it is.
pub(super) fn time(at: Timestamp) -> Markup {
    let text = to_the_second(at);
    let seconds = at.as_second();
    html! { time datetime=(text) data-seconds=(seconds) { (text.replace('T', " ").replace('Z', " UTC")) } }
}

/// A group of states that look the same. Each has a colour, a shape and a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    /// A person has to do something.
    Person,
    /// Something is wrong.
    Wrong,
    /// It works.
    Working,
    /// It rests, and continues by itself.
    Resting,
    /// It has ended well.
    Done,
    /// It has ended otherwise.
    Over,
}

impl Tone {
    /// The tone of a migration.
    pub(super) fn of(shown: &Shown) -> Self {
        use esm_core::migration::MigrationStatus::Completed;
        match shown.condition.condition {
            Kind::Ready | Kind::Paused | Kind::Stopped => Self::Person,
            Kind::Failed | Kind::Damaged | Kind::ProbablyDead | Kind::Dead => Self::Wrong,
            Kind::Running => Self::Working,
            Kind::Waiting => Self::Resting,
            Kind::Ended if shown.condition.reversed_by.is_some() => Self::Over,
            Kind::Ended if shown.state.status == Completed => Self::Done,
            Kind::Ended => Self::Over,
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Wrong => "wrong",
            Self::Working => "working",
            Self::Resting => "resting",
            Self::Done => "done",
            Self::Over => "over",
        }
    }

    /// A shape that is distinguished without colour.
    fn shape(self) -> &'static str {
        match self {
            Self::Person => "M8 1 15 8 8 15 1 8Z",
            Self::Wrong => "M4 1 8 5 12 1 15 4 11 8 15 12 12 15 8 11 4 15 1 12 5 8 1 4Z",
            Self::Working => "M3 1 15 8 3 15Z",
            Self::Resting => "M2 2h4v12H2ZM10 2h4v12h-4Z",
            Self::Done => "M1 8 4 5 7 8 13 2 16 5 7 14Z",
            Self::Over => "M2 6.5h12v3H2Z",
        }
    }
}

/// A tone's shape.
pub(super) fn shape(tone: Tone) -> Markup {
    html! {
        svg.shape viewBox="0 0 16 16" aria-hidden="true" { path d=(tone.shape()) {} }
    }
}

/// The state of a migration: shape and word.
pub(super) fn state(shown: &Shown) -> Markup {
    let tone = Tone::of(shown);
    chip(tone, &shown.condition.name(shown.status()))
}

/// A shape and a word.
pub(super) fn chip(tone: Tone, word: &str) -> Markup {
    html! { span class={ "chip " (tone.class()) } { (shape(tone)) (word) } }
}

/// A bar of what is done; nothing where that is not known.
pub(super) fn bar(percent: Option<u8>) -> Markup {
    let Some(percent) = percent else {
        return html! {};
    };
    let width = f32::from(percent.min(100));
    html! {
        svg.bar viewBox="0 0 100 4" preserveAspectRatio="none" role="img"
            aria-label={ (percent) " % done" } {
            rect.track width="100" height="4" {}
            rect.fill width=(width) height="4" {}
        }
    }
}

/// Facts below each other: a term, and what is to be said of it.
#[derive(Debug, Default)]
pub(super) struct Facts(Vec<(&'static str, Markup)>);

impl Facts {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn add(mut self, name: &'static str, value: impl Render) -> Self {
        self.0.push((name, html! { (value) }));
        self
    }

    pub(super) fn add_some(self, name: &'static str, value: Option<impl Render>) -> Self {
        match value {
            Some(value) => self.add(name, value),
            None => self,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Render for Facts {
    fn render(&self) -> Markup {
        html! {
            dl.facts {
                @for (name, value) in &self.0 {
                    div { dt { (term(name)) } dd { (value) } }
                }
            }
        }
    }
}

/// The address of an object's page.
pub(super) fn object_address(slug: &str, object: &ObjectId) -> String {
    format!("/s/{slug}/objects/{}", encoded(&object.to_string()))
}

/// Longest word of a command that is kept on one line.
const UNBROKEN: usize = 28;

/// A command to copy.
pub(super) fn command(line: &str) -> Markup {
    html! {
        span.command {
            code {
                @for (at, word) in line.split(' ').enumerate() {
                    @if at > 0 { " " }
                    span class=[(word.len() <= UNBROKEN).then_some("word")] { (word) }
                }
            }
            button.copy type="button" data-copy=(line) hidden { "Copy" }
        }
    }
}

/// A term with its explanation, which opens at it; a word that is no term as it is.
pub(super) fn term(name: &str) -> Markup {
    let found = TERMS.iter().find(|(term, _)| *term == name);
    html! {
        @if let Some((_, meaning)) = found {
            details.term { summary { (name) } span.meaning { (meaning) } }
        } @else {
            (name)
        }
    }
}

/// Text with places where a long word may break.
pub(super) fn breakable(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('/').enumerate() {
            @if at > 0 { "/" (PreEscaped("<wbr>")) }
            (part)
        }
    }
}

/// The terms of the glossary that pages use, in a line each.
const TERMS: &[(&str, &str)] = &[
    (
        "scope",
        "What one migration covers: one object, all objects of a name, or the whole store.",
    ),
    (
        "holder",
        "The process that works on the migration, as user@host:process.",
    ),
    (
        "lock",
        "Keeps two processes from doing the same work. Safety does not depend on it.",
    ),
    ("lease", "How long a lock holds without a renewal."),
    (
        "phase",
        "How applications read and write an object during its migration.",
    ),
    (
        "lag",
        "Events of the source that the target does not have yet.",
    ),
    (
        "cutover",
        "Closing the source, so that the target takes its place. Until then nothing is final.",
    ),
    (
        "fingerprint",
        "The identity of a transformation: the hash of its program.",
    ),
    (
        "transformation",
        "The program that turns one source event into none, one or several.",
    ),
    (
        "ledger",
        "The count of what became of the events. It always balances.",
    ),
    (
        "verification",
        "The second pass: it transforms the source again and compares every event.",
    ),
    (
        "backup",
        "A verified copy of streams in files of their own.",
    ),
    (
        "archive",
        "The backup of a closed stream, written when its books are closed.",
    ),
    ("journal", "The durable record of the migration."),
    (
        "limit",
        "What slows the migration down on purpose, so that applications do not notice it.",
    ),
    (
        "close attempts lost",
        "How often an application wrote just before the Close. It is tried again.",
    ),
    ("reversibility", "What can be undone, and until when."),
    (
        "document",
        "The record of an object: its active stream and its earlier ones.",
    ),
    ("generation", "The depth of a stream in its object's chain."),
    ("revision", "The place of an event in its stream, from 0."),
    (
        "schema",
        "An event type together with the version of its payload.",
    ),
    (
        "retired",
        "A schema that the transformation changes or drops. Old code may still append it.",
    ),
    (
        "strategy",
        "How streams are moved: copied into fresh ones, or rewritten in place.",
    ),
    (
        "way back",
        "How far the migration can be rolled back after its cutover.",
    ),
];

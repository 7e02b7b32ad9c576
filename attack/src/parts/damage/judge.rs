//! Whether a change was noticed by a command, or did no harm to it.

use std::collections::BTreeSet;

use super::change::{Change, What};
use super::names;
use super::question::{Answer, Baseline, Question};
use crate::formats::{Kind, Place};

/// What a command made of a change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The same output.
    Harmless,
    /// It failed, or warned, and named what is damaged.
    Seen,
    /// Nothing that is left says that anything is missing (docs/guarantees.md).
    Unnoticeable,
    Fault {
        kind: String,
        happened: String,
    },
}

/// The files of the store before any change.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) paths: Vec<String>,
    /// The cells that applications appended to streams. Nothing counts their events before a Close.
    pub(crate) appended: BTreeSet<String>,
    /// The streams that were never closed, and that no Close leads to.
    pub(crate) unclosed: BTreeSet<String>,
}

impl Files {
    /// Whether no file of its kind and owner has a higher number.
    fn is_newest(&self, place: &Place) -> bool {
        let mut others = self.paths.iter().map(|path| Place::of(path));
        !others.any(|other| {
            other.kind == place.kind && other.of == place.of && other.number > place.number
        })
    }
}

/// Whether events, or a whole object, may be missing after a change without a trace.
pub(crate) fn forgets_events(change: &Change, before: &Files) -> bool {
    is_unnoticeable("export --all", change, before)
}

/// Judges the answer to a question after a change.
pub(crate) fn judge(
    baseline: &Baseline,
    question: &Question,
    answer: &Answer,
    change: &Change,
    before: &Files,
) -> Verdict {
    let line = &question.line;
    let command = line.split([' ']).next().unwrap_or_default();
    let fault = |what: &str, happened: String| Verdict::Fault {
        kind: format!(
            "{command}: {what} ({} {})",
            change.what.name(),
            subject(change)
        ),
        happened: format!("esm {line}: {happened}"),
    };
    if let Some(complaint) = answer.outcome.bad_manners() {
        return fault("bad end", complaint);
    }
    let names = names::of(change, &before.paths);
    let named = names.iter().any(|name| answer.outcome.says(name));
    if !answer.outcome.succeeded() {
        let kind = answer.outcome.kind();
        if !named {
            return fault("fails without a name", answer.outcome.to_string());
        }
        if !is_right_kind(&kind, change, command, before) {
            return fault(&format!("fails as {kind}"), answer.outcome.to_string());
        }
        return Verdict::Seen;
    }
    let Some(difference) = baseline.difference(line, answer) else {
        return Verdict::Harmless;
    };
    // a list names what is damaged in it, and lists the rest
    let listed = baseline
        .changed(line, answer)
        .any(|value| names.iter().any(|name| value.contains(name)));
    if command == "doctor" && listed {
        return Verdict::Seen;
    }
    if is_unnoticeable(line, change, before) {
        return Verdict::Unnoticeable;
    }
    let behind = answer
        .fields
        .get("0.document_is_behind")
        .is_some_and(|is| is == "true");
    if behind || ((named || listed) && !["export", "verify"].contains(&command)) {
        return Verdict::Seen;
    }
    fault("exit 0, another output", difference)
}

/// Whether a change touches only what informs: a heartbeat, or journals that are gone as a whole.
pub(crate) fn only_informs(change: &Change) -> bool {
    let is_journal = change.what == What::DeleteFolder && change.path.starts_with("journals");
    is_journal || Place::of(&change.path).kind == Kind::Heartbeat
}

/// Kinds of files that a change touches, for messages.
pub(crate) fn subject(change: &Change) -> String {
    match &change.what {
        What::DeleteFolder => {
            let top = change.path.split('/').next().unwrap_or_default();
            let depth = change.path.matches('/').count();
            format!("{top}{}", "/*".repeat(depth))
        }
        _ => Place::of(&change.path).kind.to_string(),
    }
}

/// Whether an error of this kind says what happened.
fn is_right_kind(kind: &str, change: &Change, command: &str, before: &Files) -> bool {
    let removed = matches!(change.what, What::Delete | What::DeleteFolder);
    let place = Place::of(&change.path);
    let only_version = place.kind == Kind::Document && place.number == Some(0);
    let whole = matches!(place.kind, Kind::Marker | Kind::Manifest)
        || only_version && before.is_newest(&place);
    match kind {
        // `unsupported`: the digit of a version may become a newer one
        "corrupt" | "unsupported" => true,
        "gone" => removed,
        // without its marker a folder is no store, without its manifest no backup, without the only
        // version of its document no object
        "not_found" => removed && (whole || change.what == What::DeleteFolder),
        // the differences, or the damage, are its output
        "verification_failed" | "" => ["doctor", "verify", "show"].contains(&command),
        _ => false,
    }
}

/// Whether what is left is the whole of an earlier state: nothing refers to what is missing.
fn is_unnoticeable(line: &str, change: &Change, before: &Files) -> bool {
    let (command, of) = line.split_once(' ').unwrap_or((line, ""));
    let place = Place::of(&change.path);
    let newest = |place: &Place| before.is_newest(place);
    // it counts what every other command shows
    let is_doctor = command == "doctor";
    let folder = change.path.split('/').next().unwrap_or_default();
    let is_about_objects = ["doctor", "export", "list", "store", "verify"].contains(&command);
    match change.what {
        What::Delete => match place.kind {
            Kind::Journal | Kind::Control | Kind::Progress => {
                (is_doctor || command == "status") && newest(&place)
            }
            Kind::Acquisition | Kind::Heartbeat => {
                is_doctor || ["lock", "status"].contains(&command)
            }
            // a hint
            Kind::Routing | Kind::Index => is_doctor || ["show", "status"].contains(&command),
            Kind::Manifest => is_doctor || command == "backup",
            Kind::Cell => newest(&place) && before.appended.contains(&change.path),
            // the whole object, where there is one version; details of its book closing otherwise
            Kind::Document if place.number == Some(0) => newest(&place) && is_about_objects,
            Kind::Document => newest(&place) && (is_doctor || command == "show"),
            _ => false,
        },
        What::DeleteFolder => match folder {
            "documents" => is_about_objects,
            "locks" | "control" | "progress" => is_doctor || ["lock", "status"].contains(&command),
            "routing" | "index" => is_doctor || ["show", "status"].contains(&command),
            "journals" => is_doctor || command == "status",
            "backups" => is_doctor || command == "backup",
            "streams" => {
                let shown = if command == "show" { of } else { "" };
                is_never_closed(shown, change, before)
            }
            _ => false,
        },
        _ => false,
    }
}

/// Whether a folder has only streams that were never closed, and that no Close leads to; of those of
/// one object, where an object is given.
fn is_never_closed(object: &str, folder: &Change, before: &Files) -> bool {
    let touched = folder.touches(&before.paths);
    let mut places = touched
        .iter()
        .map(|path| Place::of(path))
        .filter(|place| object.is_empty() || names::object_of(place) == Some(object));
    places.all(|place| before.unclosed.contains(&place.of))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [&str; 2] = ["streams/o-plain.a/c/0", "streams/o-plain.a/c/1"];
    const MOVED: [&str; 2] = ["streams/o-moved.b/c/0", "streams/o-moved.b/c/1"];

    fn numbered(path: &str) -> String {
        let (folder, number) = path.rsplit_once('/').unwrap_or_default();
        format!("{folder}/{number:0>20}")
    }

    /// `o/plain` was never closed; the newest cell of `o/moved` is its Close.
    fn unnoticed(line: &str, change: &str) -> anyhow::Result<bool> {
        let before = Files {
            paths: PLAIN.iter().chain(&MOVED).map(|p| numbered(p)).collect(),
            appended: [PLAIN[0], PLAIN[1], MOVED[0]].map(numbered).into(),
            unclosed: ["o-plain.a".to_owned()].into(),
        };
        Ok(is_unnoticeable(line, &change.parse()?, &before))
    }

    #[test]
    fn only_the_end_of_a_stream_that_was_never_closed_cannot_be_noticed() -> anyhow::Result<()> {
        for (line, change, expected) in [
            ("show o/plain", "delete-folder streams", true),
            ("show o/moved", "delete-folder streams", false),
            ("export --all", "delete-folder streams", false),
            ("verify --all", "delete-folder streams", false),
            ("show o/plain", "delete-folder streams/o-plain.a", true),
            ("export --all", "delete-folder streams/o-plain.a/c", true),
            ("show o/moved", "delete-folder streams/o-moved.b", false),
            ("export --all", "delete-folder streams/o-moved.b", false),
        ] {
            assert_eq!(unnoticed(line, change)?, expected, "{line}, {change}");
        }
        for (path, expected) in [
            (PLAIN[0], false),
            (PLAIN[1], true),
            (MOVED[0], false),
            (MOVED[1], false),
        ] {
            let change = format!("delete {}", numbered(path));
            assert_eq!(unnoticed("export --all", &change)?, expected, "{change}");
        }
        Ok(())
    }
}

//! Whether a change was noticed by a command, or did no harm to it.

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

/// Judges the answer to a question after a change.
pub(crate) fn judge(
    baseline: &Baseline,
    question: &Question,
    answer: &Answer,
    change: &Change,
    paths: &[String],
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
    let names = names::of(change, paths);
    let named = names.iter().any(|name| answer.outcome.says(name));
    if !answer.outcome.succeeded() {
        let kind = answer.outcome.kind();
        if !named {
            return fault("fails without a name", answer.outcome.to_string());
        }
        if !is_right_kind(&kind, change, command) {
            return fault(&format!("fails as {kind}"), answer.outcome.to_string());
        }
        return Verdict::Seen;
    }
    let Some(difference) = baseline.difference(line, answer) else {
        return Verdict::Harmless;
    };
    if is_unnoticeable(command, change, paths) {
        return Verdict::Unnoticeable;
    }
    let behind = answer
        .fields
        .get("0.document_is_behind")
        .is_some_and(|is| is == "true");
    // a list names what is damaged in it, and lists the rest
    let listed = baseline
        .changed(line, answer)
        .any(|value| names.iter().any(|name| value.contains(name)));
    if behind || ((named || listed) && !["export", "verify"].contains(&command)) {
        return Verdict::Seen;
    }
    fault("exit 0, another output", difference)
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
fn is_right_kind(kind: &str, change: &Change, command: &str) -> bool {
    let removed = matches!(change.what, What::Delete | What::DeleteFolder);
    let whole = matches!(Place::of(&change.path).kind, Kind::Marker | Kind::Manifest);
    match kind {
        // `unsupported`: the digit of a version may become a newer one
        "corrupt" | "unsupported" => true,
        "gone" => removed,
        // without its marker a folder is no store, without its manifest no backup
        "not_found" => removed && (whole || change.what == What::DeleteFolder),
        // the differences, or the damage, are its output
        "verification_failed" | "" => ["verify", "show"].contains(&command),
        _ => false,
    }
}

/// Whether what is left is the whole of an earlier state: nothing refers to what is missing.
fn is_unnoticeable(command: &str, change: &Change, paths: &[String]) -> bool {
    let place = Place::of(&change.path);
    let newest = |place: &Place| {
        let number = place.number;
        let brothers = paths.iter().map(|path| Place::of(path));
        !brothers
            .into_iter()
            .any(|other| other.kind == place.kind && other.of == place.of && other.number > number)
    };
    let folder = change.path.split('/').next().unwrap_or_default();
    match change.what {
        What::Delete => match place.kind {
            Kind::Journal | Kind::Control | Kind::Progress => command == "status" && newest(&place),
            Kind::Acquisition | Kind::Heartbeat => ["lock", "status"].contains(&command),
            // a hint
            Kind::Routing | Kind::Index => ["show", "status"].contains(&command),
            Kind::Manifest => command == "backup",
            // the last events of a stream that was never closed and that no Close leads to
            Kind::Cell => newest(&place) && place.number > Some(0),
            _ => false,
        },
        What::DeleteFolder => match folder {
            "locks" | "control" | "progress" => ["lock", "status"].contains(&command),
            "routing" | "index" => ["show", "status"].contains(&command),
            "journals" => command == "status",
            "backups" => command == "backup",
            _ => false,
        },
        // it says when its holder was last seen alive, and not of which acquisition it is
        What::CopyTo(_) | What::SwapWith(_) => {
            place.kind == Kind::Heartbeat && ["lock", "status"].contains(&command)
        }
        _ => false,
    }
}

//! What is wrong with a program, and where.

use std::fmt;

use esm_core::Error;

/// The most faults that one message lists.
const LISTED: usize = 5;

/// One fault in a program's text.
#[derive(Debug)]
pub(crate) struct Fault<'s> {
    /// The part of the text that is wrong; empty at the end of the text.
    pub(crate) found: &'s str,
    /// What is wrong with it.
    pub(crate) what: String,
    /// How to mend it.
    pub(crate) hint: Option<String>,
}

impl<'s> Fault<'s> {
    pub(crate) fn new(found: &'s str, what: impl Into<String>) -> Self {
        Self {
            found,
            what: what.into(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The source of an error whose message shows lines of a program.
///
/// The line ends in such a message are part of its form. In any other message they are data.
#[derive(Debug)]
pub struct Excerpt(String);

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Excerpt {}

/// An `Invalid` error that shows each fault with its line, its column and the text of that line.
pub(crate) fn error(name: &str, code: &str, faults: &[Fault<'_>]) -> Error {
    let shown: Vec<String> = faults
        .iter()
        .take(LISTED)
        .map(|fault| Place::of(code, fault.found).show(name, &fault.what))
        .collect();
    let mut message = shown.join("\n\n");
    if faults.len() > LISTED {
        message.push_str(&format!("\n\n… and {} more", faults.len() - LISTED));
    }
    let error = Error::invalid(message.clone()).with_source(Excerpt(message));
    match faults.iter().find_map(|fault| fault.hint.as_deref()) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Number of the line that a part of the text begins in, from 1.
pub(crate) fn line(code: &str, found: &str) -> usize {
    Place::of(code, found).line
}

/// Line and column, from 1, of a part of the text.
pub(crate) fn line_and_column(code: &str, found: &str) -> (usize, usize) {
    let place = Place::of(code, found);
    (place.line, place.column)
}

/// The place of a part in its text.
#[derive(Debug, PartialEq, Eq)]
struct Place<'s> {
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    text: &'s str,
    /// In characters, at least 1, at most to the end of the line.
    width: usize,
}

impl<'s> Place<'s> {
    fn of(code: &'s str, found: &str) -> Self {
        let start = offset(code, found);
        let before = &code[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let text = code[line_start..].lines().next().unwrap_or_default();
        let in_line = start - line_start;
        let found = found.lines().next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            text,
            width: found
                .chars()
                .take(text.get(in_line..).map_or(0, |rest| rest.chars().count()))
                .count()
                .max(1),
        }
    }

    fn show(&self, name: &str, what: &str) -> String {
        let margin = " ".repeat(self.line.to_string().len());
        // A tab would move the caret away from what it points at.
        let text = self.text.replace('\t', " ");
        let name = name.replace(char::is_control, " ");
        let what = what.replace(char::is_control, " ");
        format!(
            "{name}:{self}: {what}\n{margin} |\n{} | {text}\n{margin} | {}{}",
            self.line,
            " ".repeat(self.column - 1),
            "^".repeat(self.width),
        )
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Where `found` begins in `code`; the end of `code` if it is no part of it.
fn offset(code: &str, found: &str) -> usize {
    (found.as_ptr() as usize)
        .checked_sub(code.as_ptr() as usize)
        .filter(|at| code.is_char_boundary(*at))
        .unwrap_or(code.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_shown_with_its_place() {
        let code = ".a\n\t| é nwo // 1\n";
        let found = &code[code.find("nwo").unwrap()..][..3];
        let fault = Fault::new(found, "undefined function: nwo/0").with_hint("define it");
        let error = error("x.jq", code, &[fault]);
        assert_eq!(
            error.to_string(),
            "x.jq:2:6: undefined function: nwo/0\n  |\n2 |  | é nwo // 1\n  |      ^^^"
        );
        assert_eq!(error.hint(), Some("define it"));
    }

    #[test]
    fn the_end_of_the_text_is_a_place() {
        for (code, line, column) in [("", 1, 1), (".a |", 1, 5), (".a |\n", 2, 1)] {
            let place = Place::of(code, &code[code.len()..]);
            assert_eq!((place.line, place.column, place.width), (line, column, 1));
        }
        assert_eq!(Place::of("abc", "elsewhere").column, 4);
    }

    #[test]
    fn only_the_first_faults_are_listed() {
        let code = "abcdefgh";
        let faults: Vec<_> = (0..7)
            .map(|at| Fault::new(&code[at..=at], "wrong"))
            .collect();
        let message = error("x", code, &faults).to_string();
        assert!(message.contains("x:1:5: wrong") && !message.contains("x:1:6: wrong"));
        assert!(message.ends_with("… and 2 more"));
    }
}

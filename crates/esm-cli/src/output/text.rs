//! Text for people. Data in it cannot act on the terminal, and cannot begin or end a line.

use std::fmt::{self, Write};

use super::style::Style;
use super::wrap::continued;

/// Displays a value with escapes (`\n`, `\u{1b}`) in place of the characters that a terminal acts
/// on: control characters, line ends, and the marks that change the direction of text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Escaped<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, acting)) = rest.char_indices().find(|(_, c)| acts(*c)) {
            write!(self.0, "{}{}", &rest[..at], acting.escape_default())?;
            rest = &rest[at + acting.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

fn acts(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

/// Lines for people.
///
/// Everything is escaped when it is added, so that no data reaches the terminal unescaped: a
/// [`line`](Self::line) stays one line, and the structure comes from the methods alone. A terminal
/// shows lines that are longer than it is wide on several ones, broken at spaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text(Vec<Line>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    text: String,
    style: Option<Style>,
    /// Whether it is never broken.
    whole: bool,
}

impl Text {
    /// One line.
    pub(crate) fn line(content: impl fmt::Display) -> Self {
        Self::one(&content, None, false)
    }

    /// One line that is never broken: a command to be copied.
    pub(crate) fn whole(content: impl fmt::Display) -> Self {
        Self::one(&content, None, true)
    }

    /// One line with a style, which is shown on terminals with colors only.
    pub(crate) fn styled(style: Style, content: impl fmt::Display) -> Self {
        Self::one(&content, Some(style), false)
    }

    fn one(content: &dyn fmt::Display, style: Option<Style>, whole: bool) -> Self {
        let text = Escaped(content).to_string();
        Self(vec![Line { text, style, whole }])
    }

    /// Lines of a text whose line ends are the program's own. Everything else in it is escaped, and no
    /// line is broken.
    pub(crate) fn lines(content: &str) -> Self {
        let lines = content.strip_suffix('\n').unwrap_or(content).split('\n');
        Self(lines.flat_map(|line| Self::whole(line).0).collect())
    }

    /// Lines that were escaped and broken where they were laid out.
    pub(super) fn laid_out(lines: impl IntoIterator<Item = String>) -> Self {
        let whole = |text| Line {
            text,
            style: None,
            whole: true,
        };
        Self(lines.into_iter().map(whole).collect())
    }

    /// Adds lines below.
    pub(crate) fn push(&mut self, below: impl Into<Self>) {
        self.0.extend(below.into().0);
    }

    /// This text with lines below.
    #[must_use]
    pub(crate) fn and(mut self, below: impl Into<Self>) -> Self {
        self.push(below);
        self
    }

    /// This text with a blank line and a section below.
    #[must_use]
    pub(crate) fn and_section(self, section: impl Into<Self>) -> Self {
        self.and("").and(section)
    }

    /// The lines as a medium of this width shows them, without the end of the last one.
    pub(super) fn shown(&self, width: Option<usize>, colors: bool) -> String {
        let lines: Vec<_> = self
            .0
            .iter()
            .map(|line| line.shown(width, colors))
            .collect();
        lines.join("\n")
    }
}

impl Line {
    fn shown(&self, width: Option<usize>, colors: bool) -> String {
        let shown = match width {
            Some(width) if !self.whole => continued(&self.text, width),
            _ => self.text.clone(),
        };
        match self.style.filter(|_| colors) {
            Some(style) => style.paint(&shown),
            None => shown,
        }
    }
}

impl From<String> for Text {
    fn from(line: String) -> Self {
        Self::line(line)
    }
}

impl From<&str> for Text {
    fn from(line: &str) -> Self {
        Self::line(line)
    }
}

/// The lines, unbroken and without styles.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(None, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_escaped() {
        for (data, shown) in [
            ("\u{1b}[31m", r"\u{1b}[31m"),
            ("a\tb\r\nc", r"a\tb\r\nc"),
            ("\u{9b}2J\u{7f}\u{0}", r"\u{9b}2J\u{7f}\u{0}"),
            (
                "\u{202e}\u{2066}\u{200f}\u{61c}",
                r"\u{202e}\u{2066}\u{200f}\u{61c}",
            ),
            ("\u{2028}\u{2029}\u{85}", r"\u{2028}\u{2029}\u{85}"),
        ] {
            assert_eq!(Escaped(data).to_string(), shown);
        }
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for text in ["", r"C:\new", "Zoë 🛒 👩\u{200d}🚀 שלום", "\"quoted\""] {
            assert_eq!(Escaped(text).to_string(), text);
        }
    }

    #[test]
    fn a_line_of_data_stays_one_line() {
        let text = Text::line("two\nlines")
            .and("a\u{1b}b")
            .and_section(Text::lines("c\n\td\n"));
        assert_eq!(text.to_string(), "two\\nlines\na\\u{1b}b\n\nc\n\\td");
    }
}

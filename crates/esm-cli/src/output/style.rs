//! Styles: the colors of lines on a terminal.

use clap::builder::styling::{AnsiColor, Style as Ansi};

/// The meaning of a line, which decides its color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// The beginning of a part.
    Heading,
    /// Something that is no longer there.
    Removed,
    /// Something that is new.
    Added,
    /// Something that is there in another form, or elsewhere.
    Changed,
    /// A failure.
    Failure,
}

impl Style {
    /// Paints a line that was escaped.
    pub(super) fn paint(self, line: &str) -> String {
        let style = self.ansi();
        format!("{style}{line}{style:#}")
    }

    fn ansi(self) -> Ansi {
        let color = |color: AnsiColor| Ansi::new().fg_color(Some(color.into()));
        match self {
            Self::Heading => Ansi::new().bold(),
            Self::Removed | Self::Failure => color(AnsiColor::Red),
            Self::Added => color(AnsiColor::Green),
            Self::Changed => color(AnsiColor::Yellow),
        }
    }
}

/// Returns a text without its styles. Data cannot contain a style: it is escaped.
pub(super) fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

/// Returns whether the environment allows colors: `NO_COLOR` is unset or empty, and the terminal is
/// not dumb.
pub(super) fn allowed() -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|terminal| terminal != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_leaves_no_trace_in_plain_text() {
        for style in [
            Style::Heading,
            Style::Removed,
            Style::Added,
            Style::Changed,
            Style::Failure,
        ] {
            let painted = style.paint("- .data.name  \"m\"");
            assert!(painted.starts_with('\u{1b}') && painted.ends_with('m'));
            let text = format!("a m\n{painted}\nb");
            assert_eq!(plain(&text), "a m\n- .data.name  \"m\"\nb");
        }
    }
}

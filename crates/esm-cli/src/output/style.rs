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
            // yellow is hardly legible on a light terminal
            Self::Changed => color(AnsiColor::Magenta),
        }
    }
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

    /// Black and white vanish on one of the two, and so does what a background does not fit.
    #[test]
    fn a_style_can_be_read_on_dark_and_on_light_terminals() {
        for style in [
            Style::Heading,
            Style::Removed,
            Style::Added,
            Style::Changed,
            Style::Failure,
        ] {
            let ansi = style.ansi();
            assert_eq!(ansi.get_bg_color(), None);
            let readable = [AnsiColor::Red, AnsiColor::Green, AnsiColor::Magenta];
            let color = ansi.get_fg_color();
            assert!(color.is_none_or(|color| readable.map(Into::into).contains(&color)));
        }
    }
}

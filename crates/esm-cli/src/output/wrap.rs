//! Fitting text into the width of a terminal. Nothing is broken inside a word.

use std::borrow::Cow;

use terminal_size::{Height, Width};
use textwrap::core::{Word, display_width};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// The width in columns from which text is fitted into a terminal. One that does not know its width
/// says 0.
const NARROWEST: u16 = 20;

/// How much further the continuation of a line is indented.
const HANGING: usize = 2;

/// The width in columns of the terminal that standard output goes to, if it does and knows it.
pub(crate) fn stdout_width() -> Option<usize> {
    usable(terminal_size::terminal_size_of(std::io::stdout()))
}

/// As [`stdout_width`], of standard error.
pub(crate) fn stderr_width() -> Option<usize> {
    usable(terminal_size::terminal_size_of(std::io::stderr()))
}

fn usable(size: Option<(Width, Height)>) -> Option<usize> {
    let (width, _) = size?;
    (width.0 >= NARROWEST).then_some(width.0.into())
}

/// The columns that a text takes.
pub(crate) fn width_of(text: &str) -> usize {
    display_width(text)
}

/// A line broken at spaces; its continuations are indented further than its beginning. A word that is
/// wider than the terminal stays whole.
pub(super) fn continued(line: &str, width: usize) -> String {
    if width_of(line) <= width {
        return line.to_owned();
    }
    let text = line.trim_start_matches(' ');
    let beginning = " ".repeat(line.len() - text.len());
    let continuation = " ".repeat(beginning.len() + HANGING);
    let options = options(width).initial_indent(&beginning);
    textwrap::fill(text, options.subsequent_indent(&continuation))
}

/// A text broken at spaces into lines of this width. A word that is wider stays whole.
pub(super) fn broken(text: &str, width: usize) -> Vec<String> {
    let lines = textwrap::wrap(text, options(width)).into_iter();
    lines.map(Cow::into_owned).collect()
}

/// The words at the beginning of a line that fit, and an ellipsis if not all do.
pub(crate) fn cut(line: &str, width: usize) -> String {
    if width_of(line) <= width {
        return line.to_owned();
    }
    let fits = broken(line, width.saturating_sub(1)).into_iter().next();
    format!(
        "{}…",
        without_middle(&fits.unwrap_or_default(), width.saturating_sub(1))
    )
}

fn options<'a>(width: usize) -> Options<'a> {
    Options::new(width)
        .word_separator(WordSeparator::Custom(words))
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .break_words(false)
}

/// The words of a line: separated by spaces, except that a command in backticks is one word.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let mut rest = line;
    Box::new(std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = end_of_word(rest);
        let spaces = rest[end..].len() - rest[end..].trim_start_matches(' ').len();
        let (word, after) = rest.split_at(end + spaces);
        rest = after;
        Some(Word::from(word))
    }))
}

fn end_of_word(text: &str) -> usize {
    let end = text.find(' ').unwrap_or(text.len());
    let Some(open) = text[..end].find('`') else {
        return end;
    };
    let behind = open + 1;
    match text[behind..].find('`') {
        // what follows the backtick belongs to the word too
        Some(close) => {
            let close = behind + close + 1;
            text[close..]
                .find(' ')
                .map_or(text.len(), |end| close + end)
        }
        None => end,
    }
}

/// A word without its middle, if it is wider than `width`.
pub(super) fn without_middle(word: &str, width: usize) -> String {
    if display_width(word) <= width {
        return word.to_owned();
    }
    let kept = width.saturating_sub(1);
    let beginning = taken(word.chars(), kept.div_ceil(2));
    let end = taken(word.chars().rev(), kept / 2);
    let end: String = end.chars().rev().collect();
    format!("{beginning}…{end}")
}

/// The first characters, as far as they fit.
fn taken(characters: impl Iterator<Item = char>, width: usize) -> String {
    let mut taken = String::new();
    for character in characters {
        taken.push(character);
        if display_width(&taken) > width {
            taken.pop();
            break;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_at_spaces_and_its_continuation_is_indented() {
        for (line, shown) in [
            ("short", "short"),
            ("- one two three four", "- one two\n  three four"),
            ("  hint: a b c d", "  hint: a b\n    c d"),
            (
                "one /a/path/without-any-space",
                "one\n  /a/path/without-any-space",
            ),
            (
                "run `esm show order/1`, then",
                "run\n  `esm show order/1`,\n  then",
            ),
            ("an odd ` is no command", "an odd ` is\n  no command"),
            ("", ""),
        ] {
            assert_eq!(continued(line, 12), shown);
        }
    }

    #[test]
    fn every_word_and_every_space_between_words_of_a_line_is_kept() {
        let text = "a  b   cc ddd";
        assert_eq!(continued(text, 80), text);
        assert_eq!(broken("alpha beta gamma", 11), ["alpha beta", "gamma"]);
    }

    #[test]
    fn a_long_word_keeps_its_beginning_and_its_end() {
        assert_eq!(without_middle("order/1003", 10), "order/1003");
        assert_eq!(without_middle("order-1003.65e50a25", 10), "order…0a25");
        // wide characters take two columns
        assert_eq!(without_middle("注文注文注文", 7), "注…文");
    }
}

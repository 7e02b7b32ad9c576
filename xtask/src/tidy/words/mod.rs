//! Words that this project once used where the field has terms of its own must not come back: in
//! comments, documentation, help and error texts. Names in code are left alone.

mod old;

use super::Source;
use super::prose::{self, Kind};
use old::OLD;

/// Old words everywhere.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    sources.iter().flat_map(hits).collect()
}

/// Old words in the files at or below a path.
pub(super) fn below(sources: &[Source], path: &str) -> Vec<String> {
    let path = path.trim_end_matches('/').trim_start_matches("./");
    let path = if path == "." { "" } else { path };
    let chosen = sources.iter().filter(|s| is_below(&s.name(), path));
    chosen.flat_map(hits).collect()
}

fn is_below(name: &str, path: &str) -> bool {
    path.is_empty()
        || name
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn hits(source: &Source) -> Vec<String> {
    // the list itself, and its tests
    if source.name().starts_with("xtask/src/tidy/words/") {
        return Vec::new();
    }
    let mut hits: Vec<(usize, String)> = words(source)
        .iter()
        .flat_map(|words| {
            OLD.iter().flat_map(move |(phrase, write)| {
                let lines = phrase_lines(words, phrase).into_iter();
                lines.map(move |line| (line, format!("\"{phrase}\": write {write}")))
            })
        })
        .collect();
    hits.sort();
    hits.into_iter()
        .map(|(line, complaint)| source.at(line, &complaint))
        .collect()
}

/// A word of prose with the line that it is in; an empty one where punctuation or code separates.
#[derive(Debug)]
struct Word {
    line: usize,
    text: String,
}

/// The words of each piece of prose in a file.
fn words(source: &Source) -> Vec<Vec<Word>> {
    if source.is("md") {
        return vec![split(&prose::without_code(&source.text), 0)];
    }
    if !source.is("rs") {
        return Vec::new();
    }
    let pieces = prose::of_rust(&source.text).into_iter();
    pieces
        // a single word is a key or a value of a format, or a name
        .filter(|piece| piece.kind != Kind::Literal || piece.text.contains(char::is_whitespace))
        .map(|piece| match piece.kind {
            Kind::Literal => split(&without_placeholders(&piece.text), piece.line),
            _ => split(&prose::without_code(&piece.text), piece.line),
        })
        .collect()
}

fn without_placeholders(text: &str) -> String {
    let mut depth = 0_usize;
    let mut kept = String::with_capacity(text.len());
    for c in text.chars() {
        depth += usize::from(c == '{');
        if depth == 0 || c == '\n' {
            kept.push(c);
        } else if c == '}' {
            depth -= 1;
            kept.push('}');
        }
    }
    kept
}

fn split(text: &str, first: usize) -> Vec<Word> {
    let mut words = Vec::new();
    for (number, line) in text.split('\n').enumerate() {
        let line_number = first + number;
        let mut push = |text: &str| {
            words.push(Word {
                line: line_number,
                text: text.to_owned(),
            });
        };
        if line.trim().is_empty() {
            push("");
        }
        let is_part = |c: char| prose::is_word(c) || c == '\'' || c == '’';
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            if end > 0 {
                push(&rest[..end].replace('’', "'"));
                rest = &rest[end..];
            } else {
                if !c.is_whitespace() {
                    push("");
                }
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    words
}

/// The lines in which a phrase begins. One with a capital is found only so; any other in any case.
fn phrase_lines(words: &[Word], phrase: &str) -> Vec<usize> {
    let phrase: Vec<&str> = phrase.split(' ').collect();
    let is = |word: &Word, wanted: &&str| {
        if wanted.starts_with(char::is_uppercase) {
            word.text == **wanted
        } else {
            word.text.to_lowercase() == **wanted
        }
    };
    words
        .windows(phrase.len())
        .filter(|window| window.iter().zip(&phrase).all(|(w, p)| is(w, p)))
        .map(|window| window[0].line)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> Vec<String> {
        below(&[Source::new(path, text)], "")
    }

    #[test]
    fn old_words_are_found_in_comments_documentation_and_texts() {
        for text in [
            "/// Unless told, it waits.",
            "//! It waits, unless\n//! told.",
            "// kept for ever",
            "fn f() { bail!(\"there is only forward: {x}\") }",
            "fn f() { bail!(\"it {x} goes \\\n    on\") }",
            "/// Answers the tail.",
        ] {
            let found = complaints("a.rs", text);
            assert!(!found.is_empty(), "{text}");
        }
        let found = complaints("a.md", "A stream\nfor\never.\n");
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("a.md:2: \"for ever\": write "),
            "{found:?}"
        );
    }

    #[test]
    fn names_code_and_other_words_are_left_alone() {
        for text in [
            "fn goes_on(told: bool) {}",
            "/// Reads `told` and [`goes on`](x).",
            "/// ```\n/// let told = 1; // told\n/// ```",
            "#[serde(rename = \"told\")] // a key",
            "fn f() { format!(\"it was {told} by {for ever}\") }",
            "// a name for\n\n// ever growing logs; what goes. On top",
            "// lost answers",
        ] {
            assert_eq!(complaints("a.rs", text), [""; 0], "{text}");
        }
        assert_eq!(complaints("a.md", "```console\ngoes on\n```\n"), [""; 0]);
        assert_eq!(complaints("a.toml", "# goes on\n"), [""; 0]);
    }

    #[test]
    fn only_what_is_below_the_path_is_searched() {
        let sources =
            ["a/b.md", "a/c/d.md", "ab/c.md", "e.md"].map(|path| Source::new(path, "it goes on\n"));
        assert_eq!(below(&sources, "a").len(), 2);
        assert_eq!(below(&sources, "./a/c/").len(), 1);
        assert_eq!(below(&sources, "e.md").len(), 1);
        assert_eq!(check(&sources).len(), 4);
    }
}

//! Text files end with one newline, so that tools that append or compare lines work.

use super::Source;

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let wrong = sources.iter().filter(|source| {
        !source.text.is_empty() && (!source.text.ends_with('\n') || source.text.ends_with("\n\n"))
    });
    wrong
        .filter(|source| !source.is("snap"))
        .map(|source| format!("{}: does not end with one newline", source.name()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_and_a_second_newline_are_found() {
        let sources = ["", "a\n", "a", "a\n\n"].map(|text| Source::new("a.md", text));
        assert_eq!(check(&sources).len(), 2);
    }
}

//! The rules and invariants have the same words in esm-core's documentation, where rustdoc links
//! them, and in the page about the protocol. Lines may break elsewhere, headings be of another level.

use std::collections::BTreeMap;

use super::Source;

const DOCS: &str = "crates/esm-core/src/protocol/mod.rs";
const PAGE: &str = "docs/protocol.md";

/// The text of a rule, and the line of its heading.
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    line: usize,
    text: String,
}

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let find = |name: &str| sources.iter().find(|source| source.name() == name);
    let (Some(docs), Some(page)) = (find(DOCS), find(PAGE)) else {
        return vec![format!("{DOCS} or {PAGE} is missing")];
    };
    let (in_docs, in_page) = (rules(&docs.text), rules(&page.text));
    let mut wrong = Vec::new();
    for (name, rule) in &in_docs {
        match in_page.get(name) {
            None => wrong.push(docs.at(rule.line, &format!("{name} is missing in {PAGE}"))),
            Some(other) if other.text != rule.text => {
                let complaint = format!("{name} has other words in {PAGE}:{}", other.line + 1);
                wrong.push(docs.at(rule.line, &complaint));
            }
            Some(_) => {}
        }
    }
    let more = in_page
        .iter()
        .filter(|(name, _)| !in_docs.contains_key(*name));
    wrong.extend(
        more.map(|(name, rule)| page.at(rule.line, &format!("{name} is missing in {DOCS}"))),
    );
    wrong
}

/// The sections whose headings are `R1`, `I1` and so on, with single spaces between their words.
fn rules(text: &str) -> BTreeMap<&str, Rule> {
    let mut rules = BTreeMap::new();
    let mut section: Option<&mut Rule> = None;
    // the documentation of a module ends where its code begins
    let is_module = text.starts_with("//!");
    let lines = text.lines();
    let lines = lines.take_while(|line| !is_module || line.starts_with("//!"));
    for (line, whole) in lines.enumerate() {
        let whole = whole.trim_start_matches("//!").trim();
        if whole.starts_with('#') {
            let name = whole.trim_start_matches('#').trim();
            let text = String::new();
            section = is_rule(name).then(|| &mut *rules.entry(name).or_insert(Rule { line, text }));
        } else if let Some(rule) = &mut section {
            for word in whole.split_whitespace() {
                rule.text.push_str(word);
                rule.text.push(' ');
            }
        }
    }
    rules
}

fn is_rule(heading: &str) -> bool {
    let number = heading.strip_prefix(['R', 'I']).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(docs: &str, page: &str) -> Vec<String> {
        check(&[Source::new(DOCS, docs), Source::new(PAGE, page)])
    }

    #[test]
    fn lines_and_levels_of_headings_may_differ() {
        let docs =
            "//! # Rules\n//!\n//! ### R1\n//!\n//! one two\n//! three\n//!\n//! ## Next\n//! a\n";
        let page = "## Rules\n#### R1\n\none\ntwo three\n### Next\nb\n";
        assert_eq!(complaints(docs, page), [""; 0]);
        assert_eq!(rules(docs).len(), 1);
    }

    #[test]
    fn the_code_behind_the_documentation_is_no_part_of_a_rule() {
        let docs = "//! ### R1\n//! one\n\npub mod a;\n";
        assert_eq!(complaints(docs, "### R1\none\n"), [""; 0]);
    }

    #[test]
    fn other_words_and_a_missing_rule_are_found() {
        let docs = "//! ### R1\n//! one\n//! ### I2\n//! two\n";
        let found = complaints(docs, "### R1\nother\n### R3\nthree\n");
        let expected = [
            format!("{DOCS}:3: I2 is missing in {PAGE}"),
            format!("{DOCS}:1: R1 has other words in {PAGE}:1"),
            format!("{PAGE}:3: R3 is missing in {DOCS}"),
        ];
        assert_eq!(found, expected);
    }
}

//! Each public type, trait, function and macro of the testkit has an example: who writes a provider
//! or tests a migration learns it from them. The cases of a suite, and their list, are shown by the
//! suite's macro and by the example of its module.

use super::Source;

const TESTKIT: &str = "crates/esm-testkit/src/";

/// What makes a module the one of a suite: the list of its cases.
const SUITE: &str = "_cases!(__conformance_table!(";

/// What begins an item that is to be shown.
const ITEMS: &[&str] = &[
    "pub struct ",
    "pub enum ",
    "pub trait ",
    "pub type ",
    "pub fn ",
    "pub async fn ",
    "macro_rules! ",
];

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let testkit = |source: &&Source| source.is("rs") && source.name().starts_with(TESTKIT);
    let sources: Vec<_> = sources.iter().filter(testkit).collect();
    let items = sources.iter().flat_map(|source| without_example(source));
    let suites = sources
        .iter()
        .filter_map(|source| suite_without_example(source));
    items.chain(suites).collect()
}

fn suite_without_example(source: &Source) -> Option<String> {
    let line = source.text.lines().position(|line| line.contains(SUITE))?;
    let shown = source.text.lines().any(|line| line.starts_with("//! ```"));
    (!shown).then(|| source.at(line, "a suite's module has no example"))
}

/// What precedes an item.
#[derive(Default)]
struct Before {
    example: bool,
    hidden: bool,
    exported: bool,
}

fn without_example(source: &Source) -> Vec<String> {
    let suite = source.name().contains("/conformance/");
    let mut wrong = Vec::new();
    let mut before = Before::default();
    for (number, line) in source.text.lines().enumerate() {
        match line {
            _ if line.starts_with("///") => before.example |= line.starts_with("/// ```"),
            _ if line.starts_with("#[") => {
                before.hidden |= line.contains("doc(hidden)");
                before.exported |= line.contains("macro_export");
            }
            // an attribute of several lines
            _ if line.starts_with(' ') || line == ")]" => {}
            _ => {
                let item = ITEMS.iter().any(|item| line.starts_with(item));
                let private = line.starts_with("macro_rules!") && !before.exported;
                let case = suite && line.starts_with("pub async fn ");
                if item && !private && !case && !before.hidden && !before.example {
                    wrong.push(source.at(number, "a public item of the testkit has no example"));
                }
                before = Before::default();
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> usize {
        check(&[Source::new("crates/esm-testkit/src/a.rs", text)]).len()
    }

    #[test]
    fn an_item_without_an_example_is_found() {
        assert_eq!(wrong("/// A.\npub struct A;\n"), 1);
        assert_eq!(
            wrong("/// ```\n/// ```\npub struct A;\n\npub fn b() {}\n"),
            1
        );
        assert_eq!(wrong("/// A.\n#[macro_export]\nmacro_rules! a {\n"), 1);
    }

    #[test]
    fn a_suite_without_an_example_is_found() {
        let cases = "crate::__lock_cases!(__conformance_table!(dyn LockHarness));\n";
        assert_eq!(wrong(cases), 1);
        assert_eq!(wrong(&format!("//! ```\n//! ```\n\n{cases}")), 0);
    }

    #[test]
    fn what_is_shown_or_seen_by_nobody_is_right() {
        assert_eq!(
            wrong("/// ```\n/// ```\n#[expect(\n    x\n)]\npub fn a() {}\n"),
            0
        );
        assert_eq!(
            wrong("#[doc(hidden)]\n#[macro_export]\nmacro_rules! a {\n"),
            0
        );
        assert_eq!(
            wrong("macro_rules! a {\n}\npub(crate) fn b() {}\npub use c;\n"),
            0
        );
        let case = Source::new(
            "crates/esm-testkit/src/conformance/a.rs",
            "pub async fn a(\n",
        );
        assert!(check(&[case]).is_empty());
    }
}

//! Every crate takes the workspace's lints, and no lint or test is turned off without a reason.

use super::Source;

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let manifests = sources.iter().filter(|s| s.path.ends_with("Cargo.toml"));
    let mut wrong: Vec<String> = manifests
        .filter(|s| s.text.contains("[package]") && !s.text.contains("[lints]\nworkspace = true"))
        // a workspace of its own, as a user's crate is, has none to take them from
        .filter(|s| !s.text.contains("[workspace]\n"))
        .map(|s| s.at(0, "the crate has no `[lints]` with `workspace = true`"))
        .collect();
    for source in sources.iter().filter(|s| s.is("rs")) {
        for (line, text) in source.text.lines().enumerate() {
            let text = text.trim_start();
            if starts_attribute(text, "allow") {
                wrong.push(source.at(line, "use #[expect(…, reason = \"…\")]"));
            }
            if starts_attribute(text, "ignore") {
                wrong.push(source.at(line, "a test that does not run checks nothing"));
            }
        }
    }
    wrong
}

fn starts_attribute(line: &str, name: &str) -> bool {
    let inner = line.strip_prefix("#![").or(line.strip_prefix("#["));
    inner.is_some_and(|inner| {
        inner
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['(', ']', ' ']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lint_or_a_test_turned_off_is_found() {
        let source = Source::new("a.rs", "#![allow(x)]\n  #[ignore]\n#[ignore = \"slow\"]\n");
        assert_eq!(check(&[source]).len(), 3);
        let fine = Source::new("a.rs", "#[expect(x, reason = \"y\")]\n#[allowed]\n");
        assert_eq!(check(&[fine]), [""; 0]);
    }

    #[test]
    fn a_crate_without_the_workspace_lints_is_found() {
        let bare = Source::new("x/Cargo.toml", "[package]\nname = \"x\"\n");
        assert_eq!(check(&[bare]).len(), 1);
        let fine = Source::new("x/Cargo.toml", "[package]\n\n[lints]\nworkspace = true\n");
        assert_eq!(check(&[fine]), [""; 0]);
        let alone = Source::new("x/Cargo.toml", "[workspace]\n\n[package]\nname = \"x\"\n");
        assert_eq!(check(&[alone]), [""; 0]);
    }
}

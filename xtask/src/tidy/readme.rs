//! The README's commands exist, and it links every page of the documentation.

use super::{Source, links};

pub(super) fn check(sources: &[Source], tasks: &[String]) -> Vec<String> {
    let Some(readme) = sources
        .iter()
        .find(|s| s.path.ends_with("README.md") && s.name() == "README.md")
    else {
        return vec!["README.md is missing".to_owned()];
    };
    let exists = |name: &str| tasks.iter().any(|task| task == name);
    let mut wrong = Vec::new();
    for (line, text) in readme.text.lines().enumerate() {
        for after in text.split("cargo xtask ").skip(1) {
            let end = after.find(|c: char| !c.is_ascii_lowercase() && c != '-');
            let name = &after[..end.unwrap_or(after.len())];
            if !exists(name) {
                wrong.push(readme.at(line, &format!("there is no `cargo xtask {name}`")));
            }
        }
    }
    for needed in ["cargo xtask demo", "cargo xtask test"] {
        if !readme.text.contains(needed) {
            wrong.push(format!("README.md: does not tell `{needed}`"));
        }
    }
    wrong.extend(unlinked_pages(readme, sources));
    wrong
}

/// Pages below `docs/` that the README does not link. Decisions have an index of their own.
fn unlinked_pages(readme: &Source, sources: &[Source]) -> Vec<String> {
    const DECISIONS: &str = "docs/decisions/";
    let links = links::links(&readme.text);
    let is_linked = |page: &str| {
        let mut targets = links.iter().map(|(_, link)| link.split('#').next());
        targets.any(|target| target == Some(page))
    };
    let pages = sources
        .iter()
        .filter(|source| source.is("md"))
        .map(Source::name)
        .filter(|name| name.starts_with("docs/"))
        .filter(|name| !name.starts_with(DECISIONS) || name.ends_with("/README.md"));
    pages
        .filter(|page| !is_linked(page))
        .map(|page| format!("{page}: README.md does not link it"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks() -> Vec<String> {
        ["demo", "test"].map(str::to_owned).into()
    }

    #[test]
    fn a_page_that_the_readme_does_not_link_is_found() {
        let text = "`cargo xtask demo`, `cargo xtask test`, [a](docs/a.md), [d](docs/d.md#x)\n";
        let pages = [
            "docs/a.md",
            "docs/b.md",
            "docs/c.svg",
            "docs/d.md",
            "docs/decisions/0001-e.md",
            "docs/decisions/README.md",
        ];
        let mut sources = vec![Source::new("README.md", text)];
        sources.extend(pages.map(|page| Source::new(page, "")));
        let expected = ["docs/b.md", "docs/decisions/README.md"];
        let expected = expected.map(|page| format!("{page}: README.md does not link it"));
        assert_eq!(check(&sources, &tasks()), expected);
    }

    #[test]
    fn a_command_that_does_not_exist_is_found() {
        let text = "Run `cargo xtask demo` or\n\n    cargo xtask test -p x\n    cargo xtask fly\n";
        let wrong = check(&[Source::new("README.md", text)], &tasks());
        assert_eq!(wrong, ["README.md:4: there is no `cargo xtask fly`"]);
    }
}

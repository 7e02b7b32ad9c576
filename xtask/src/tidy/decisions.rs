//! Decisions are numbered without gaps, and the index lists each.

use super::Source;

const FOLDER: &str = "docs/decisions/";

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let inside = |source: &Source| Some(source.name().strip_prefix(FOLDER)?.to_owned());
    let mut names: Vec<String> = sources.iter().filter_map(inside).collect();
    names.sort();
    names.retain(|name| name != "README.md");
    let index = sources
        .iter()
        .find(|s| s.name() == "docs/decisions/README.md");
    let index = index.map_or("", |source| source.text.as_str());

    let mut wrong = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let number = format!("{:04}-", at + 1);
        if !name.starts_with(&number) || !name.ends_with(".md") {
            wrong.push(format!(
                "{FOLDER}{name}: its name should begin with {number}"
            ));
        }
        if !index.contains(&format!("({name})")) {
            wrong.push(format!("{FOLDER}README.md: does not link {name}"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_unlisted_decisions_are_found() {
        let sources = [
            Source::new("docs/decisions/README.md", "[a](0001-a.md) [c](0003-c.md)"),
            Source::new("docs/decisions/0001-a.md", ""),
            Source::new("docs/decisions/0003-c.md", ""),
            Source::new("docs/decisions/0003-d.md", ""),
        ];
        assert_eq!(
            check(&sources),
            [
                "docs/decisions/0003-c.md: its name should begin with 0002-",
                "docs/decisions/README.md: does not link 0003-d.md"
            ]
        );
    }
}

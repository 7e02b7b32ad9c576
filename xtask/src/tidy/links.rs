//! Links between documents resolve, also the ones to a heading.

use std::collections::BTreeMap;

use super::Source;
use crate::project;

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let documents: BTreeMap<String, &Source> = sources
        .iter()
        .filter(|source| source.is("md"))
        .map(|source| (source.name(), source))
        .collect();
    let mut wrong = Vec::new();
    for (name, source) in &documents {
        for (line, link) in links(&source.text) {
            if !resolves(name, &link, &documents) {
                wrong.push(source.at(line, &format!("leads nowhere: {link}")));
            }
        }
    }
    wrong
}

fn resolves(from: &str, link: &str, documents: &BTreeMap<String, &Source>) -> bool {
    if link.contains("://") || link.starts_with("mailto:") {
        return true;
    }
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let Some(target) = joined(from, path) else {
        return false;
    };
    match (documents.get(&target), heading) {
        (Some(_), "") => true,
        (Some(document), heading) => headings(&document.text).any(|h| h == heading),
        (None, "") => project::root().join(target).exists(),
        (None, _) => false,
    }
}

/// The path of a link, relative to the root; nothing when it leaves the project.
fn joined(from: &str, path: &str) -> Option<String> {
    if path.is_empty() {
        return Some(from.to_owned());
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The targets of inline links, with their lines; code is skipped.
pub(super) fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let line: String = line.split('`').step_by(2).collect();
        for after in line.split("](").skip(1) {
            if let Some(end) = after.find(')') {
                found.push((number, after[..end].to_owned()));
            }
        }
    }
    found
}

/// The lines outside of fenced code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// The anchors of the headings, as they are derived where documents are shown.
fn headings(text: &str) -> impl Iterator<Item = String> {
    prose(text)
        .filter_map(|(_, line)| Some(line.strip_prefix('#')?.trim_start_matches('#')))
        .map(|title| {
            let title = title.trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> Vec<String> {
        check(&[
            Source::new("docs/a.md", text),
            Source::new("docs/sub/b.md", "# B\n\n## Crash & `resume`, twice\n"),
        ])
    }

    #[test]
    fn links_are_followed_to_files_and_headings() {
        for fine in [
            "[b](sub/b.md)",
            "[b](sub/b.md#crash--resume-twice)",
            "[root](../Cargo.toml) and [web](https://example.com/x#y)",
            "# Self\n[s](#self)",
            "`[code](nowhere.md)`",
            "```\n[code](nowhere.md)\n```",
        ] {
            assert_eq!(complaints(fine), [""; 0], "{fine}");
        }
    }

    #[test]
    fn a_link_to_nothing_is_found() {
        for broken in [
            "[b](b.md)",
            "[b](sub/b.md#other)",
            "[out](../../x.md)",
            "```\ncode\n```\n[b](nowhere.md)",
        ] {
            assert_eq!(complaints(broken).len(), 1, "{broken}");
        }
    }
}

//! A file is named after its idea; these names say only that there was none.

use super::Source;

const SAYS_NOTHING: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "misc", "types",
];

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let code = sources.iter().filter(|source| source.is("rs"));
    code.filter_map(|source| {
        let parts = source.path.iter().map(|part| part.to_string_lossy());
        let name = parts
            .map(|part| part.trim_end_matches(".rs").to_owned())
            .find(|part| SAYS_NOTHING.contains(&part.as_str()))?;
        Some(source.at(0, &format!("name it after what it is about, not `{name}`")))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_looked_at() {
        let paths = ["a/utils.rs", "types/a.rs", "a/event_types.rs", "common.md"];
        let sources = paths.map(|path| Source::new(path, ""));
        assert_eq!(check(&sources).len(), 2);
    }
}

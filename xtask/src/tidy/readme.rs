//! The README's commands exist.

use clap::CommandFactory as _;

use super::Source;
use crate::Arguments;

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let Some(readme) = sources
        .iter()
        .find(|s| s.path.ends_with("README.md") && s.name() == "README.md")
    else {
        return vec!["README.md is missing".to_owned()];
    };
    let tasks = Arguments::command();
    let exists = |name: &str| tasks.get_subcommands().any(|task| task.get_name() == name);
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
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_does_not_exist_is_found() {
        let text = "Run `cargo xtask demo` or\n\n    cargo xtask test -p x\n    cargo xtask fly\n";
        let wrong = check(&[Source::new("README.md", text)]);
        assert_eq!(wrong, ["README.md:4: there is no `cargo xtask fly`"]);
    }
}

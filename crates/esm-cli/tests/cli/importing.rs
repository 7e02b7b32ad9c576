//! Each example of `docs/importing.md` does what it shows.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::esm::{Esm, Ran};

/// A fenced block: the words after the fence, and the text.
struct Block {
    info: Vec<String>,
    text: String,
}

fn blocks(section: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in section.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => {
                let info = info.split_whitespace().map(str::to_owned).collect();
                let text = String::new();
                open = Some(Block { info, text });
            }
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Runs a command of the page in the directory.
fn run(esm: &Esm, line: &str) -> Ran {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut command: Command = esm.command(&words);
    command.current_dir(esm.path("")).stdin(Stdio::null());
    Ran::new(command.output().expect("esm runs"))
}

/// Runs each command of a block that begins with `esm` and has no pipe, and compares what it prints.
fn check(esm: &Esm, text: &str) -> usize {
    let mut commands = 0;
    for example in text.split("$ ").filter(|example| !example.is_empty()) {
        let (line, expected) = example.split_once('\n').expect("a line");
        let Some(arguments) = line.strip_prefix("esm ").filter(|line| !line.contains('|')) else {
            assert!(expected.is_empty(), "not run, but has output: {line}");
            continue;
        };
        let ran = run(esm, arguments);
        let said = if ran.code == Some(0) {
            format!("{}{}", ran.stdout, ran.stderr)
        } else {
            // standard error is in the order in which it was written
            let (note, error): (Vec<_>, Vec<_>) = ran
                .stderr
                .lines()
                .partition(|line| line.starts_with("nothing was"));
            error
                .into_iter()
                .chain(note)
                .map(|line| format!("{line}\n"))
                .collect()
        };
        assert_eq!(said, expected, "{line}");
        commands += 1;
    }
    commands
}

#[test]
fn every_example_prints_what_is_shown() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/importing.md");
    let page = std::fs::read_to_string(Path::new(page)).expect("the page");
    let mut commands = 0;
    for section in page.split("\n## ") {
        let esm = Esm::new();
        for block in blocks(section) {
            let info: Vec<&str> = block.info.iter().map(String::as_str).collect();
            match info[..] {
                ["csv" | "jq" | "json", name] => drop(esm.file(name, &block.text)),
                ["console"] => commands += check(&esm, &block.text),
                _ => panic!("a block of no use: {info:?}"),
            }
        }
    }
    assert!(commands >= 18, "{commands}");
}

//! What is checked of the binary and of its package.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use super::pack::Package;
use crate::command;

/// The largest size of the binary in bytes.
const LARGEST: u64 = 20_000_000;

/// Type of the program header that names a dynamic linker (`PT_INTERP`).
const INTERPRETER: u32 = 3;

/// Checks that the binary is small and static, and that it runs.
///
/// # Errors
/// What is wrong with it.
pub(super) fn binary(path: &Path) -> Result<()> {
    let content = std::fs::read(path).with_context(|| path.display().to_string())?;
    let size = content.len() as u64;
    println!("dist: {} is {:.1} MB", path.display(), size as f64 / 1e6);
    ensure!(
        size <= LARGEST,
        "the binary is larger than {LARGEST} bytes: {size}"
    );
    if names_an_interpreter(&content).context("the binary is no ELF file of 64 bits")? {
        bail!("the binary is not static: {}", path.display());
    }
    let version = command::output(command::new(path).arg("--version"))?;
    let expected = format!("esm {}", env!("CARGO_PKG_VERSION"));
    ensure!(
        version.trim() == expected,
        "the binary has another version: {version}"
    );
    let details = command::output(command::new(path).args(["--version", "--verbose"]))?;
    print!("{details}");
    ensure!(
        !details.contains("unknown"),
        "the binary does not know its commit: {details}"
    );
    Ok(())
}

/// Whether an ELF file names a dynamic linker; `None` if it is no ELF file of 64 bits.
fn names_an_interpreter(elf: &[u8]) -> Option<bool> {
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let short = |at: usize| Some(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?));
    let table = u64::from_le_bytes(elf.get(32..40)?.try_into().ok()?);
    let (size, count) = (usize::from(short(54)?), usize::from(short(56)?));
    let mut found = false;
    for number in 0..count {
        let at = usize::try_from(table).ok()? + number * size;
        let kind = u32::from_le_bytes(elf.get(at..at + 4)?.try_into().ok()?);
        found |= kind == INTERPRETER;
    }
    Some(found)
}

/// Checks that the package has a manual page for each command, completions, and all licences.
///
/// # Errors
/// What is missing.
pub(super) fn package(package: &Package) -> Result<()> {
    let help = command::output(command::new(package.esm()).arg("--help"))?;
    let commands = commands(&help);
    ensure!(
        commands.contains(&"migrate"),
        "the help lists no commands: {help}"
    );
    for name in commands {
        has(package, &format!("man/man1/esm-{name}.1"))?;
    }
    for file in [
        "man/man1/esm.1",
        "completions/esm.bash",
        "completions/_esm",
        "completions/esm.fish",
        "README.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "THIRD-PARTY-LICENCES.txt",
        "esm.cdx.json",
    ] {
        has(package, file)?;
    }
    Ok(())
}

fn has(package: &Package, file: &str) -> Result<()> {
    let path = package.folder().join(file);
    let size = std::fs::metadata(&path)
        .map(|found| found.len())
        .unwrap_or(0);
    ensure!(size > 0, "the package lacks {file}");
    Ok(())
}

/// The names of the commands that a page of help lists in groups.
fn commands(help: &str) -> Vec<&str> {
    let listed = help.split("\nOptions:").next().unwrap_or_default();
    let names = listed.lines().filter_map(|line| {
        let (name, about) = line.strip_prefix("  ")?.split_once("  ")?;
        (!about.is_empty() && name != "help").then_some(name)
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_a_page_of_help_are_found() {
        let help = "About.\n\nUsage: esm [OPTIONS]\n\nMigrate:\n  plan      Show\n  migrate   \
                    Migrate\n\nSet-up:\n  help      Print\n\nOptions:\n  --verbose  More\n";
        assert_eq!(commands(help), ["plan", "migrate"]);
    }

    #[test]
    fn a_program_that_names_an_interpreter_is_not_static() -> Result<()> {
        let this = std::fs::read(std::env::current_exe()?)?;
        assert_eq!(names_an_interpreter(&this), Some(true));
        assert_eq!(names_an_interpreter(b"#!/bin/sh"), None);
        // one program header of another type
        let mut elf = b"\x7fELF\x02\x01".to_vec();
        elf.resize(64 + 56, 0);
        (elf[32], elf[54], elf[56], elf[64]) = (64, 56, 1, 1);
        assert_eq!(names_an_interpreter(&elf), Some(false));
        Ok(())
    }
}

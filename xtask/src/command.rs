//! Running programs: shown, without standard input, in the workspace's root.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::project;

/// A program, to be run in the workspace's root and without standard input.
///
/// What `cargo run` says of the xtask package is taken out of the environment: build scripts that
/// watch those variables would run anew for nothing.
pub(crate) fn new(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(project::root()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Builds these targets, such as `--bin esm`, with the features that the tests are built with:
/// the stages of continuous integration share what any of them has built.
pub(crate) fn build(targets: &[&str]) -> Result<()> {
    run(cargo()
        .args(["build", "--workspace", "--all-features"])
        .args(targets))
}

/// The command as one would type it, with the variables that were set for it.
pub(crate) fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!(
            "{}={}",
            name.to_string_lossy(),
            quoted(&value?.to_string_lossy())
        ))
    });
    variables
        .chain([quoted(&program.to_string_lossy())])
        .chain(command.get_args().map(|a| quoted(&a.to_string_lossy())))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=./:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Shows a command and runs it; its output goes where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    run_quietly(command)
}

/// Runs a command without showing it; its output goes where ours goes.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start: {}", shown(command)))?;
    if !status.success() {
        bail!("failed with {status}: {}", shown(command));
    }
    Ok(())
}

/// Runs a command and returns what it wrote to standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start: {}", shown(command)))?;
    if !output.status.success() {
        bail!("failed with {}: {}", output.status, shown(command));
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("output is not UTF-8: {}", shown(command)))
}

/// Whether a program can be started and answers these arguments with success.
pub(crate) fn answers(program: &str, arguments: &[&str]) -> bool {
    new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/esm");
        command
            .env("A", "b c")
            .args(["migrate", "order/it's", "-x=1", ""]);
        assert_eq!(
            shown(&command),
            r"A='b c' esm migrate 'order/it'\''s' -x=1 ''"
        );
    }
}

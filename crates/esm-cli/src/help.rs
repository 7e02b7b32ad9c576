//! The pages of help: short ones for `-h`, complete ones for `--help`.

use std::fmt::Write as _;

use clap::{Arg, Command};

/// A part of the list of commands.
struct Group {
    heading: &'static str,
    commands: &'static [&'static str],
}

const GROUPS: [Group; 5] = [
    Group {
        heading: "Get events in and out",
        commands: &["import", "export", "transform"],
    },
    Group {
        heading: "Migrate",
        commands: &[
            "plan",
            "migrate",
            "resume",
            "finish",
            "rollback",
            "verify",
            "upcasters",
        ],
    },
    Group {
        heading: "Watch and steer a migration",
        commands: &[
            "status", "watch", "console", "pause", "cutover", "set", "cancel",
        ],
    },
    Group {
        heading: "Look after objects",
        commands: &[
            "list", "show", "read", "doctor", "repair", "backup", "archive", "lock",
        ],
    },
    Group {
        heading: "Stores and set-up",
        commands: &["store", "layout", "config", "completions", "man", "help"],
    },
];

/// Groups of options that `--help` shows and `-h` names.
const DETAILS: [&str; 6] = [
    "Backup and archive",
    "Failure and rollback",
    "Cutover",
    "Limits",
    "Tuning",
    "In place",
];
/// The option of these groups that `-h` shows.
const SHOWN: &str = "backup";
/// The command whose options are such a group, and which shows them all.
const SETTINGS: &str = "set";

/// The command that prints these pages.
const HELP: &str = "help";

const GLOBAL: &str = "\
Global options, described by `esm --help`:
  --store URL, -o json, --no-header, --progress MODE, --log FILTER, …";

const ALL_GLOBAL: &str = "\
Global options, described by `esm --help`:
  --store URL, --other-store URL, -o text|json, --no-header, --progress MODE,
  --log FILTER, --log-format FORMAT, --max-event-size SIZE,
  --masking-key FILE, --otlp URL";

/// Adds the pages of help. In those of `-h` an option has its first sentence; only the page of the
/// program itself describes the global options.
pub(crate) fn with_pages(mut command: Command) -> Command {
    // global options are passed on to the commands
    command.build();
    let examples = text(command.get_after_help());
    let exit_codes = "Exit codes:";
    let short = match examples.split_once(exit_codes) {
        Some((short, _)) => short.trim_end().to_owned(),
        None => examples.clone(),
    };
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}\nOptions:\n{{options}}{{after-help}}",
        grouped(&command)
    );
    command
        .mut_args(|argument| {
            let is_global = argument.is_global_set();
            argument.hide_short_help(is_global)
        })
        .help_template(template)
        .after_help(format!("{short}\n\n{GLOBAL}"))
        .after_long_help(examples)
        .mut_subcommands(with_page)
}

/// The list of commands, in groups.
fn grouped(command: &Command) -> String {
    let width = command.get_subcommands().map(|c| c.get_name().len()).max();
    let width = width.unwrap_or_default();
    let mut list = String::new();
    for Group { heading, commands } in GROUPS {
        let _ = writeln!(list, "{heading}:");
        for name in commands {
            // one of a feature that this program is built without is absent
            if let Some(found) = command.find_subcommand(name) {
                let _ = writeln!(list, "  {name:width$}  {}", text(found.get_about()));
            }
        }
        list.push('\n');
    }
    list.trim_end().to_owned() + "\n"
}

fn with_page(command: Command) -> Command {
    if command.get_name() == HELP {
        return command;
    }
    let command = command.mut_args(|argument| {
        let is_global = argument.is_global_set();
        argument
            .hide_short_help(is_global)
            .hide_long_help(is_global)
    });
    let examples = text(command.get_after_help());
    if command.has_subcommands() {
        return command
            .after_help(format!("{examples}\n\n{GLOBAL}"))
            .after_long_help(format!("{examples}\n\n{ALL_GLOBAL}"))
            .mut_subcommands(with_page);
    }
    let short = examples.split("\n\n").next().unwrap_or_default();
    let mut more = GLOBAL.to_owned();
    let hides = command.get_name() != SETTINGS;
    let groups = details(&command);
    if hides && !groups.is_empty() {
        more = format!("More options, described by --help:\n  {groups}\n{more}");
    }
    command
        .mut_args(|argument| with_short_help(argument, hides))
        .after_help(format!("{short}\n\n{more}"))
        .after_long_help(format!("{examples}\n\n{ALL_GLOBAL}"))
}

fn with_short_help(argument: Arg, hides_details: bool) -> Arg {
    let help = text(argument.get_help());
    let is_detail = argument
        .get_help_heading()
        .is_some_and(|h| DETAILS.contains(&h));
    let is_shown = argument.get_id() == SHOWN;
    let is_hidden = argument.is_hide_short_help_set() || hides_details && is_detail && !is_shown;
    let argument = argument.hide_short_help(is_hidden);
    match beginning(&help) {
        Some(first) => {
            let has_long = argument.get_long_help().is_some();
            let argument = argument.help(first.to_owned());
            if has_long {
                argument
            } else {
                argument.long_help(help)
            }
        }
        None => argument,
    }
}

/// The part of a help text that is enough for those who have read it before, if it is not all.
fn beginning(help: &str) -> Option<&str> {
    let ends = [". ", "; ", ": "].map(|end| help.find(end));
    let end = ends.into_iter().flatten().min()?;
    let first = &help[..end];
    // not within parentheses
    (first.matches('(').count() == first.matches(')').count()).then_some(first)
}

/// The names of the groups that the short page does not show, in order.
fn details(command: &Command) -> String {
    let mut groups = Vec::new();
    for heading in command.get_arguments().filter_map(Arg::get_help_heading) {
        if DETAILS.contains(&heading) && !groups.contains(&heading) {
            groups.push(heading);
        }
    }
    groups.join(", ").to_lowercase()
}

fn text(help: Option<&clap::builder::StyledStr>) -> String {
    help.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Arguments;

    #[test]
    fn each_command_is_in_one_group_and_on_one_line() {
        let mut command = Arguments::command();
        command.build();
        let mut listed: Vec<_> = GROUPS.iter().flat_map(|group| group.commands).collect();
        let mut commands: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
        listed.sort();
        commands.sort_unstable();
        assert!(listed.into_iter().eq(&commands), "{commands:?}");
        for line in grouped(&command).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn each_global_option_is_named() {
        let command = Arguments::command();
        for argument in command.get_arguments().filter(|a| a.is_global_set()) {
            let name = argument.get_long().expect("a name");
            let named = ALL_GLOBAL.contains(&format!("--{name}")) || name == "output";
            assert!(named, "--{name} is missing in {ALL_GLOBAL}");
        }
    }

    #[test]
    fn a_short_help_ends_before_the_details() {
        for (help, first) in [
            ("Do not ask. A terminal is asked", Some("Do not ask")),
            ("Execute this plan; refused if", Some("Execute this plan")),
            (
                "Transforms each event: no output",
                Some("Transforms each event"),
            ),
            ("To this URL (as for --store; may be the same)", None),
            ("Write nothing", None),
        ] {
            assert_eq!(beginning(help), first, "{help}");
        }
    }
}

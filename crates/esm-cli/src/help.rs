//! The pages of help: short ones for `-h`, complete ones for `--help`.

use clap::{Arg, Command};

/// Groups of options that `--help` shows and `-h` names.
const DETAILS: [&str; 5] = [
    "Backup and archive",
    "Failure and rollback",
    "Cutover",
    "Limits",
    "Tuning",
];
/// The option of these groups that `-h` shows.
const SHOWN: &str = "backup";
/// The command whose options are such a group, and which shows them all.
const SETTINGS: &str = "set";

const GLOBAL: &str = "\
Global options, described by `esm --help`:
  --store URL, -o json, --progress MODE, --log FILTER, --other-store URL, …";

/// Makes the pages of `-h` short: an option has its first sentence, and global options a line.
pub(crate) fn with_short_pages(command: Command) -> Command {
    let examples = text(command.get_after_help());
    let exit_codes = "Exit codes:";
    let short = match examples.split_once(exit_codes) {
        Some((short, _)) => short.trim_end().to_owned(),
        None => examples.clone(),
    };
    command
        .mut_args(|argument| {
            let is_global = argument.is_global_set();
            argument.hide_short_help(is_global)
        })
        .after_help(format!("{short}\n\n{GLOBAL}"))
        .after_long_help(examples)
        .mut_subcommands(short_page)
}

fn short_page(command: Command) -> Command {
    if command.has_subcommands() {
        return command.mut_subcommands(short_page);
    }
    let examples = text(command.get_after_help());
    let short = examples.split("\n\n").next().unwrap_or_default();
    let mut more = GLOBAL.to_owned();
    let hides = command.get_name() != SETTINGS;
    let groups = details(&command);
    if hides && !groups.is_empty() {
        more = format!("More options, described by --help:\n  {groups}\n{more}");
    }
    command
        .mut_args(|argument| short_argument(argument, hides))
        .after_help(format!("{short}\n\n{more}"))
        .after_long_help(examples)
}

fn short_argument(argument: Arg, hides_details: bool) -> Arg {
    let help = text(argument.get_help());
    let is_detail = argument
        .get_help_heading()
        .is_some_and(|h| DETAILS.contains(&h));
    let argument = match help.split_once(". ") {
        Some((first, _)) => {
            let has_long = argument.get_long_help().is_some();
            let argument = argument.help(first.to_owned());
            if has_long {
                argument
            } else {
                argument.long_help(help)
            }
        }
        None => argument,
    };
    let is_shown = argument.get_id() == SHOWN;
    argument.hide_short_help(hides_details && is_detail && !is_shown)
}

/// The names of the groups that the short page does not show, in order.
fn details(command: &Command) -> String {
    let mut groups: Vec<_> = (command.get_arguments())
        .filter_map(Arg::get_help_heading)
        .filter(|heading| DETAILS.contains(heading))
        .collect();
    groups.dedup();
    groups.join(", ").to_lowercase()
}

fn text(help: Option<&clap::builder::StyledStr>) -> String {
    help.map(ToString::to_string).unwrap_or_default()
}

//! `esm config`

use clap::builder::PossibleValue;
use clap::{Subcommand, ValueEnum};
use esm_core::Result;
use serde::Serialize;

use crate::args::Global;
use crate::exit::Exit;
use crate::opened;
use crate::output::{Form, Output, Table, Text};

/// Show the configuration: global options and named stores.
///
/// Files: esm.toml in the working directory, and esm/config.toml in $XDG_CONFIG_HOME or ~/.config.
/// An option wins over its variable, a variable over a file.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  esm config show
  esm config show --output json

A file:
  store = \"shop\"                    # only in config.toml
  progress = \"lines\"

  [stores]
  shop = \"s3://events-of-the-shop/production\"
  test = \"file:///var/lib/esm/test\"")]
pub(crate) enum ConfigCommand {
    /// Show each value and where it comes from.
    #[command(after_help = "\
Examples:
  esm config show")]
    Show,
}

#[derive(Debug, Serialize)]
struct Shown {
    options: Vec<Value>,
    stores: Vec<Value>,
}

#[derive(Debug, Serialize)]
struct Value {
    name: String,
    value: Option<String>,
    from: String,
}

impl ConfigCommand {
    /// Shows the values, which the caller has found already.
    ///
    /// # Errors
    /// `Invalid` for an address of the command line or the environment with credentials, which are
    /// not shown.
    pub(crate) fn run(&self, global: &Global, output: &Output) -> Result<Exit> {
        let Self::Show = self;
        let shown = Shown {
            options: options(global)?,
            stores: stores(global),
        };
        output.result(&shown, text)?;
        Ok(Exit::Success)
    }
}

fn options(global: &Global) -> Result<Vec<Value>> {
    let store = global.store.as_deref();
    // refuses credentials
    store.map(opened::absolute).transpose()?;
    let name = |value: Option<PossibleValue>| value.map(|value| value.get_name().to_owned());
    for other in &global.other_stores {
        opened::absolute(other)?;
    }
    let others = Some(global.other_stores.join(" ")).filter(|others| !others.is_empty());
    let key = global.masking_key.as_deref();
    let values = [
        ("store", store.map(str::to_owned)),
        ("other-store", others),
        ("output", name(global.output.to_possible_value())),
        ("masking-key", key.map(|file| file.display().to_string())),
        ("no-header", Some(global.no_header.to_string())),
        ("progress", name(global.progress.to_possible_value())),
        ("log", Some(global.log.clone())),
        ("log-format", name(global.log_format.to_possible_value())),
        ("max-event-size", Some(global.max_event_size.0.to_string())),
    ];
    let values = values.into_iter().map(|(name, value)| Value {
        name: name.to_owned(),
        value,
        from: global.settings.origin(name).to_string(),
    });
    Ok(values.collect())
}

fn stores(global: &Global) -> Vec<Value> {
    let stores = global.settings.stores().iter().map(|store| Value {
        name: store.name.clone(),
        value: Some(store.address.clone()),
        from: store.origin.to_string(),
    });
    stores.collect()
}

fn text(shown: &Shown, form: Form) -> Text {
    let table = |heading: [&'static str; 3], values: &[Value]| {
        let mut table = Table::new(heading);
        for value in values {
            let shown = value.value.clone().unwrap_or_else(|| "none".to_owned());
            table.row([value.name.clone(), shown, value.from.clone()]);
        }
        table.to_text(form)
    };
    let options = table(["option", "value", "from"], &shown.options);
    if shown.stores.is_empty() {
        return options;
    }
    options.and_section(table(["store", "address", "from"], &shown.stores))
}

//! `esm import --list-maps` and `--show-map`.

use esm_core::Result;
use serde::Serialize;

use crate::exit::Exit;
use crate::import::{BUILT_IN, BuiltIn};
use crate::output::{Output, Table, Text};

#[derive(Debug, Serialize)]
struct Maps {
    maps: Vec<MapEntry>,
}

#[derive(Debug, Serialize)]
struct MapEntry {
    name: &'static str,
    about: &'static str,
}

/// Lists the built-in maps.
pub(super) fn list(output: &Output) -> Result<Exit> {
    let entry = |map: &BuiltIn| MapEntry {
        name: map.name,
        about: map.about,
    };
    let maps = Maps {
        maps: BUILT_IN.iter().map(entry).collect(),
    };
    output.result(&maps, |maps, form| {
        let mut table = Table::new(["map", "for"]);
        for map in &maps.maps {
            table.row([map.name, map.about].map(str::to_owned));
        }
        table.to_text(form)
    })?;
    Ok(Exit::Success)
}

/// Prints a built-in map.
///
/// # Errors
/// `NotFound`, naming all that there are.
pub(super) fn show(output: &Output, name: &str) -> Result<Exit> {
    output.text(Text::lines(BuiltIn::named(name)?.text))?;
    Ok(Exit::Success)
}

//! Which layout a database has.

use std::path::Path;

use esm_core::{Error, Result};
use esm_layout::{BuiltIn, Fit, Layout, Verdict};

use super::catalogue::LayoutTables;
use crate::connection::Database;

const NAME_IT: &str = "name it in the address: ?layout=NAME, or ?layout=FILE.toml for a layout of \
                       your own; `esm layout new --table TABLE` writes a first version of one";

impl LayoutTables {
    /// Returns the tables of the layout that the address of a database names, or of the one that is
    /// recognised. They need not fit.
    ///
    /// # Errors
    /// `NotFound` for an unknown name, an unreadable file, or a database without known tables;
    /// `Invalid` where several layouts are recognised, and for a malformed file; those of the
    /// server.
    pub async fn of_address(database: &Database) -> Result<Self> {
        match database.settings().parameter("layout") {
            Some(named) => Self::find(database, layout_named(named)?).await,
            None => recognise(database).await,
        }
    }

    /// Refuses tables that do not fit.
    ///
    /// # Errors
    /// `PermissionDenied` with the `GRANT` that is missing; `Unsupported` with what to change.
    pub(super) fn ensure_fit(&self) -> Result<()> {
        refuse_misfits(self, &self.fit())
    }
}

/// Returns the layout of this name, or in this file: what ends in `.toml` or has a `/`.
///
/// # Errors
/// `NotFound`; those of [`Layout::parse`].
pub fn layout_named(named: &str) -> Result<Layout> {
    if !named.ends_with(".toml") && !named.contains('/') {
        let known = BuiltIn::find(named).map(|known| known.layout());
        return known.ok_or_else(|| {
            let names: Vec<_> = BuiltIn::ALL.iter().map(BuiltIn::name).collect();
            Error::not_found(format!("unknown layout: {named}")).with_hint(format!(
                "the layouts are {}; a layout of your own is a file: layout=FILE.toml",
                names.join(", ")
            ))
        });
    }
    let text = std::fs::read_to_string(Path::new(named)).map_err(|e| {
        Error::not_found(format!("layout file cannot be read: {named}")).with_source(e)
    })?;
    Layout::parse(&text).map_err(|e| e.context(named))
}

async fn recognise(database: &Database) -> Result<LayoutTables> {
    let (mut found, mut similar) = (Vec::new(), Vec::new());
    for known in BuiltIn::ALL {
        let tables = LayoutTables::find(database, known.layout()).await?;
        if has_all_columns(&tables) {
            found.push(tables);
        } else {
            similar.extend(missing_columns(&tables));
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let database = database.settings().database();
            let message = format!("no tables of a known library in the search path of {database}");
            let message = match similar.into_iter().min_by_key(|(missing, _)| *missing) {
                Some((_, nearest)) => format!("{message}; {nearest}"),
                None => message,
            };
            Err(Error::not_found(message).with_hint(format!(
                "if they are in another schema, add ?search_path=SCHEMA; otherwise {NAME_IT}"
            )))
        }
        _ => {
            let names: Vec<_> = found.iter().map(|t| t.layout.name.as_str()).collect();
            let message = format!("tables of several libraries: {}", names.join(", "));
            Err(Error::invalid(message).with_hint(NAME_IT))
        }
    }
}

/// Whether the tables exist, with all columns that are not optional: others may have tables of the
/// same names.
fn has_all_columns(tables: &LayoutTables) -> bool {
    let all_tables =
        tables.events.is_some() && (tables.streams.is_some() || tables.layout.streams.is_none());
    let fit = tables.fit();
    all_tables && fit.misfits().all(|misfit| misfit.found != "no such column")
}

/// Where all tables exist and fewer than half of the columns are missing, how many, and which: somebody
/// may have renamed them.
fn missing_columns(tables: &LayoutTables) -> Option<(usize, String)> {
    let events = tables.events.as_ref()?;
    let fit = tables.fit();
    let missing: Vec<_> = fit
        .misfits()
        .filter(|m| m.found == "no such column")
        .collect();
    let is_similar = tables.streams.is_some() || tables.layout.streams.is_none();
    let named: Vec<_> = missing.iter().map(|misfit| misfit.what.as_str()).collect();
    (is_similar && missing.len() * 2 < events.columns.len()).then(|| {
        let (table, layout) = (&events.name, &tables.layout.name);
        let named = named.join(", ");
        (
            missing.len(),
            format!(
                "{}.{table} would be of {layout} if it had {named}",
                events.schema
            ),
        )
    })
}

fn refuse_misfits(tables: &LayoutTables, fit: &Fit) -> Result<()> {
    let Some(first) = fit.misfits().next() else {
        return Ok(());
    };
    let Verdict::Misfit(advice) = &first.verdict else {
        return Ok(());
    };
    let layout = &tables.layout.name;
    let others = fit.misfits().count() - 1;
    let more = if others == 0 {
        String::new()
    } else {
        format!(" (and {others} more)")
    };
    let (role, what, found) = (first.role, &first.what, &first.found);
    let message =
        format!("the database does not have the layout {layout}, {role}{more}: {what}, {found}");
    let kind = if advice.starts_with("GRANT") {
        esm_core::ErrorKind::PermissionDenied
    } else {
        esm_core::ErrorKind::Unsupported
    };
    Err(Error::new(kind, message)
        .with_hint(format!("{advice}; `esm layout check` shows every column")))
}

//! Whether the tables of a database are those of a layout, column by column.

use crate::catalogue::{Column, Table, TableKind};
use crate::layout::Layout;

/// What a layout found in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// The findings: tables, columns, indexes.
    pub findings: Vec<Finding>,
}

/// One thing that a layout names, and what the database has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The place in the layout, such as `events.number`.
    pub role: &'static str,
    /// The table or column.
    pub what: String,
    /// What the database has.
    pub found: String,
    /// Whether it fits.
    pub verdict: Verdict,
}

/// Whether something fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Fits,
    /// It can be used; this is to be known.
    Note(String),
    /// It does not: what to change.
    Misfit(String),
}

impl Fit {
    /// Compares a layout with the tables that were found.
    pub fn of(layout: &Layout, events: Option<&Table>, streams: Option<&Table>) -> Self {
        let mut check = Check::default();
        let named = full_name(layout.events.schema.as_deref(), &layout.events.table);
        if let Some(table) = check.table("events.table", &named, events) {
            check.events(layout, table);
        }
        if let Some(named) = &layout.streams {
            let name = full_name(named.schema.as_deref(), &named.table);
            if let Some(table) = check.table("streams.table", &name, streams) {
                check.streams(layout, &named.key, table);
                if let Some(counter) = &named.counter {
                    check.column("streams.counter", counter, table, NUMBERS);
                }
            }
        }
        Self {
            findings: check.findings,
        }
    }

    /// Returns what does not fit, in order.
    pub fn misfits(&self) -> impl Iterator<Item = &Finding> {
        let is_misfit = |finding: &&Finding| matches!(finding.verdict, Verdict::Misfit(_));
        self.findings.iter().filter(is_misfit)
    }

    /// Returns whether everything fits.
    pub fn fits(&self) -> bool {
        self.misfits().next().is_none()
    }
}

const KEYS: &[&str] = &[
    "text",
    "character varying",
    "uuid",
    "bigint",
    "integer",
    "smallint",
    "boolean",
];
const NUMBERS: &[&str] = &["bigint", "integer", "smallint"];
const TEXTS: &[&str] = &["text", "character varying"];
const IDS: &[&str] = &["uuid", "text", "character varying", "bigint", "integer"];
const VERSIONS: &[&str] = &["text", "character varying", "bigint", "integer", "smallint"];
const PAYLOADS: &[&str] = &["json", "jsonb", "text", "character varying", "bytea"];
const METADATA: &[&str] = &["json", "jsonb", "text", "character varying"];
const TIMES: &[&str] = &["timestamp with time zone", "timestamp without time zone"];
const ORDERS: &[&str] = &["bigint", "integer", "xid8"];

#[derive(Default)]
struct Check {
    findings: Vec<Finding>,
}

impl Check {
    fn add(&mut self, role: &'static str, what: &str, found: impl Into<String>, verdict: Verdict) {
        self.findings.push(Finding {
            role,
            what: what.to_owned(),
            found: found.into(),
            verdict,
        });
    }

    fn table<'a>(
        &mut self,
        role: &'static str,
        named: &str,
        found: Option<&'a Table>,
    ) -> Option<&'a Table> {
        let Some(table) = found else {
            let advice = "name the table, and its schema unless it is in the search path";
            self.add(
                role,
                named,
                "no such table",
                Verdict::Misfit(advice.to_owned()),
            );
            return None;
        };
        let verdict = match table.kind {
            TableKind::Table => Verdict::Fits,
            TableKind::View => Verdict::Misfit("name the table that the view reads".to_owned()),
            TableKind::Foreign => {
                Verdict::Misfit("open the database that the table is in".to_owned())
            }
        };
        self.add(role, named, table.full_name(), verdict);
        for grant in &table.missing_grants {
            let verdict = Verdict::Misfit(grant.clone());
            self.add(role, named, "no right to read it", verdict);
        }
        Some(table)
    }

    fn events(&mut self, layout: &Layout, table: &Table) {
        let events = &layout.events;
        for column in &events.key {
            self.required("events.key", column, table, KEYS);
        }
        self.required("events.number", &events.number, table, NUMBERS);
        self.unique(layout, table);
        self.required("events.type", &events.event_type, table, TEXTS);
        self.column("events.payload", &events.payload, table, PAYLOADS);
        for (role, column, types) in [
            ("events.id", &events.id, IDS),
            ("events.class", &events.class, TEXTS),
            ("events.version", &events.version, VERSIONS),
            ("events.metadata", &events.metadata, METADATA),
            ("events.time", &events.time, TIMES),
        ] {
            let Some(column) = column else { continue };
            if events.optional.contains(column) && table.column(column).is_none() {
                let note = Verdict::Note("optional".to_owned());
                self.add(role, column, "no such column", note);
            } else {
                self.column(role, column, table, types);
            }
        }
        for column in &events.global_order {
            self.required("events.global_order", column, table, ORDERS);
        }
        if layout.streams.is_none() {
            self.identity(layout, table);
        }
    }

    fn streams(&mut self, layout: &Layout, key: &[String], table: &Table) {
        for column in key {
            self.required("streams.key", column, table, KEYS);
        }
        let columns: Vec<&str> = key.iter().map(String::as_str).collect();
        self.index("streams.key", &columns, &[], table);
        self.identity(layout, table);
    }

    fn identity(&mut self, layout: &Layout, table: &Table) {
        let rule = &layout.object;
        if let Some(name) = &rule.name {
            match &rule.default_name {
                Some(_) => self.column("object.name", name, table, KEYS),
                None => self.required("object.name", name, table, KEYS),
            }
        }
        self.required("object.key", &rule.key, table, KEYS);
        for qualifier in &rule.qualifiers {
            self.column("object.qualifiers", &qualifier.column, table, KEYS);
        }
    }

    /// A column of one of these types.
    fn column(&mut self, role: &'static str, name: &str, table: &Table, types: &[&str]) {
        match table.column(name) {
            None => self.absent(role, name, table),
            Some(column) => {
                let verdict = typed(column, types);
                self.add(role, name, described(column), verdict);
            }
        }
    }

    /// A column of one of these types whose null would belong to no stream.
    fn required(&mut self, role: &'static str, name: &str, table: &Table, types: &[&str]) {
        match table.column(name) {
            None => self.absent(role, name, table),
            Some(column) => {
                let verdict = match typed(column, types) {
                    Verdict::Fits if !column.not_null => Verdict::Note(
                        "may be null; an event with null there is in no stream".to_owned(),
                    ),
                    verdict => verdict,
                };
                self.add(role, name, described(column), verdict);
            }
        }
    }

    fn absent(&mut self, role: &'static str, name: &str, table: &Table) {
        let names: Vec<_> = table.columns.iter().map(|c| c.name.as_str()).collect();
        let advice = format!("name one of {}", names.join(", "));
        self.add(role, name, "no such column", Verdict::Misfit(advice));
    }

    fn unique(&mut self, layout: &Layout, table: &Table) {
        let events = &layout.events;
        let key = events.key.iter().chain([&events.number]);
        let columns: Vec<&str> = key.map(String::as_str).collect();
        let also: Vec<&str> = events.unique_with.iter().map(String::as_str).collect();
        self.index("events.key", &columns, &also, table);
    }

    fn index(&mut self, role: &'static str, columns: &[&str], also: &[&str], table: &Table) {
        let named = columns.join(", ");
        if let Some(index) = table.unique_index(columns, also) {
            self.add(
                role,
                &named,
                format!("unique by {}", index.name),
                Verdict::Fits,
            );
            return;
        }
        let within = |column: &String| columns.contains(&column.as_str());
        let near = table.unique.iter().find(|i| i.columns.iter().all(within));
        let found = match near.and_then(|i| i.shortcoming.as_ref().map(|why| (i, why))) {
            Some((index, why)) => format!("index {} {why}", index.name),
            None => "no unique index".to_owned(),
        };
        let advice = format!(
            "CREATE UNIQUE INDEX ON {} ({named}): without it, two events may have one number",
            table.full_name()
        );
        self.add(role, &named, found, Verdict::Misfit(advice));
    }
}

fn typed(column: &Column, types: &[&str]) -> Verdict {
    if types.contains(&column.type_name.as_str()) {
        Verdict::Fits
    } else {
        Verdict::Misfit(format!("name a column of type {}", types.join(", ")))
    }
}

fn described(column: &Column) -> String {
    let null = if column.not_null { " not null" } else { "" };
    format!("{}{null}", column.type_name)
}

fn full_name(schema: Option<&str>, table: &str) -> String {
    match schema {
        Some(schema) => format!("{schema}.{table}"),
        None => table.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BuiltIn;
    use crate::catalogue::UniqueIndex;

    fn column(name: &str, type_name: &str) -> Column {
        Column {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            not_null: true,
            counted: false,
        }
    }

    fn events() -> Table {
        let columns = [
            ("aggregate_type", "text"),
            ("aggregate_id", "text"),
            ("sequence", "bigint"),
            ("event_type", "text"),
            ("event_version", "text"),
            ("payload", "json"),
            ("metadata", "json"),
        ];
        Table {
            schema: "public".to_owned(),
            name: "events".to_owned(),
            kind: TableKind::Table,
            columns: columns.map(|(name, kind)| column(name, kind)).into(),
            unique: vec![UniqueIndex {
                name: "events_pkey".to_owned(),
                columns: ["aggregate_type", "aggregate_id", "sequence"]
                    .map(str::to_owned)
                    .into(),
                shortcoming: None,
            }],
            missing_grants: Vec::new(),
        }
    }

    fn misfits(change: impl FnOnce(&mut Table)) -> String {
        let layout = BuiltIn::find("cqrs-es").unwrap().layout();
        let mut table = events();
        change(&mut table);
        let fit = Fit::of(&layout, Some(&table), None);
        let texts = fit.misfits().map(|finding| {
            let Verdict::Misfit(advice) = &finding.verdict else {
                panic!("a misfit");
            };
            let Finding {
                role, what, found, ..
            } = finding;
            format!("{role} {what}: {found}: {advice}\n")
        });
        texts.collect()
    }

    #[test]
    fn the_table_of_the_library_fits() {
        assert_eq!(misfits(|_| {}), "");
    }

    #[test]
    fn what_does_not_fit_is_named_with_what_to_change() {
        for (change, said) in [
            (
                (|t| t.columns[5].type_name = "hstore".to_owned()) as fn(&mut Table),
                "events.payload payload: hstore not null: name a column of type json, jsonb",
            ),
            (
                |t| drop(t.columns.remove(3)),
                "events.type event_type: no such column: name one of",
            ),
            (
                |t| t.unique.clear(),
                "no unique index: CREATE UNIQUE INDEX ON public.events (agg",
            ),
            (
                |t| t.unique[0].shortcoming = Some("is deferrable".to_owned()),
                "index events_pkey is deferrable: CREATE UNIQUE INDEX",
            ),
            (
                |t| t.kind = TableKind::View,
                "public.events: name the table that the view reads",
            ),
            (
                |t| t.missing_grants.push("GRANT SELECT ON e TO eva".to_owned()),
                "no right to read it: GRANT SELECT ON e TO eva",
            ),
        ] {
            let misfits = misfits(change);
            assert!(misfits.contains(said), "{misfits}");
            assert_eq!(misfits.lines().count(), 1, "{misfits}");
        }
    }

    #[test]
    fn a_key_that_may_be_null_is_noted() {
        let layout = BuiltIn::find("cqrs-es").unwrap().layout();
        let mut table = events();
        table.columns[0].not_null = false;
        let fit = Fit::of(&layout, Some(&table), None);
        assert!(fit.fits());
        let noted = |f: &Finding| matches!(&f.verdict, Verdict::Note(n) if n.contains("null"));
        assert!(fit.findings.iter().any(noted), "{fit:?}");
    }

    #[test]
    fn an_index_of_more_columns_than_the_key_makes_nothing_unique() {
        let said = misfits(|t| t.unique[0].columns.push("event_type".to_owned()));
        assert!(said.contains("no unique index"), "{said}");
        let fewer = misfits(|t| t.unique[0].columns.truncate(1));
        assert_eq!(fewer, "");
    }
}

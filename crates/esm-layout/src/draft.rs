//! The first version of a layout file, from a table.

use std::fmt::Write as _;

use crate::catalogue::{Column, Table};

/// Returns the first version of a layout for a table, as TOML with comments. What could not be
/// recognised is left empty, and a comment says what belongs there.
pub fn draft(table: &Table) -> String {
    let guess = Guess::of(table);
    let Guess { key, number, .. } = &guess;
    let mut text = format!(
        "# A layout of the table {}. Check it with: esm layout check FILE\n\
         # What is not right: change it. The columns are\n",
        table.full_name()
    );
    for Column {
        name,
        type_name,
        not_null,
        ..
    } in &table.columns
    {
        let null = if *not_null { " not null" } else { "" };
        let _ = writeln!(text, "#   {name} {type_name}{null}");
    }
    let keys: Vec<_> = key.iter().map(|name| quoted(name)).collect();
    let _ = write!(
        text,
        "format = 1\n\
         name = {name}\n\n\
         [events]\n\
         table = {name}\n\
         schema = {schema}\n\
         # the columns that say which stream an event belongs to\n\
         key = [{keys}]\n\
         # the column of the event's number in its stream, and the number of the first event\n\
         number = {number}\n\
         first = 1\n\
         # whether numbers may be absent; if not, a gap is reported as damage\n\
         holes = false\n\
         # the column of the event's type\n\
         type = {event_type}\n\
         # the column of the payload: json, jsonb, text or bytea\n\
         payload = {payload}\n",
        name = quoted(&table.name),
        schema = quoted(&table.schema),
        keys = keys.join(", "),
        number = quoted(number),
        event_type = quoted(guess.event_type.as_deref().unwrap_or_default()),
        payload = quoted(guess.payload.as_deref().unwrap_or_default()),
    );
    let optional = [
        (
            "id",
            &guess.id,
            "the column of the event's id; without one, the number is the id",
        ),
        (
            "version",
            &guess.version,
            "the column of the payload's schema version",
        ),
        (
            "metadata",
            &guess.metadata,
            "the column of the metadata, a JSON object",
        ),
        ("time", &guess.time, "the column of the event's time"),
    ];
    for (field, column, about) in optional {
        let value = quoted(column.as_deref().unwrap_or_default());
        let mark = if column.is_some() { "" } else { "# " };
        let _ = write!(text, "# {about}\n{mark}{field} = {value}\n");
    }
    let global = quoted(guess.global.as_deref().unwrap_or_default());
    let mark = if guess.global.is_some() { "" } else { "# " };
    let _ = write!(
        text,
        "# the columns of the order of all events\n{mark}global_order = [{global}]\n\n[object]\n"
    );
    text.push_str(&object(key));
    text
}

fn object(key: &[String]) -> String {
    match key {
        [name, key] => format!(
            "# order/7 has the name order and the key 7; each column of events.key is one of them\n\
             name = {}\nkey = {}\n",
            quoted(name),
            quoted(key)
        ),
        _ => format!(
            "# order/7 has the name order and the key 7. Either all objects have one name, or the\n\
             # column is split: order-7 with split = \"-\"\n\
             default_name = \"object\"\n# split = \"-\"\nkey = {}\n",
            quoted(key.first().map(String::as_str).unwrap_or_default())
        ),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// What each column seems to be.
#[derive(Debug, Default)]
struct Guess {
    key: Vec<String>,
    number: String,
    event_type: Option<String>,
    payload: Option<String>,
    id: Option<String>,
    version: Option<String>,
    metadata: Option<String>,
    time: Option<String>,
    global: Option<String>,
}

impl Guess {
    fn of(table: &Table) -> Self {
        let is_integer = |name: &String| {
            let column = table.column(name);
            column.is_some_and(|c| matches!(c.type_name.as_str(), "bigint" | "integer"))
        };
        let numbered = table.unique.iter().find_map(|index| {
            let (number, key) = index.columns.split_last()?;
            let fits = !key.is_empty() && is_integer(number) && index.shortcoming.is_none();
            fits.then(|| (key.to_vec(), number.clone()))
        });
        let (key, number) = numbered.unwrap_or_default();
        let named = |names: &[&str], types: &[&str]| {
            let of_type = |c: &&Column| types.contains(&c.type_name.as_str());
            let is_free = |c: &&Column| !key.contains(&c.name) && c.name != number;
            let fitting = || table.columns.iter().filter(of_type).filter(is_free);
            let by_name = |name: &&str| fitting().find(|c| c.name == **name);
            names.iter().find_map(by_name).map(|c| c.name.clone())
        };
        let texts = ["text", "character varying"];
        let json = ["json", "jsonb", "text", "bytea"];
        let versions = ["text", "character varying", "integer", "bigint", "smallint"];
        let times = ["timestamp with time zone", "timestamp without time zone"];
        let global = table.columns.iter().find(|c| c.counted && c.name != number);
        Self {
            event_type: named(
                &["event_type", "type", "message_type", "event_name", "name"],
                &texts,
            ),
            payload: named(
                &["payload", "data", "event_data", "body", "message_data"],
                &json,
            ),
            id: named(&["event_id", "message_id", "id"], &["uuid", "text"]),
            version: named(
                &["schema_version", "event_version", "payload_version"],
                &versions,
            ),
            metadata: named(&["metadata", "meta", "headers"], &["json", "jsonb"]),
            time: named(
                &[
                    "created_at",
                    "recorded_at",
                    "occurred_at",
                    "timestamp",
                    "time",
                    "created",
                ],
                &times,
            ),
            global: global.map(|c| c.name.clone()),
            key,
            number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fit, Layout, TableKind, UniqueIndex};

    fn table() -> Table {
        let columns = [
            ("position", "bigint"),
            ("stream", "text"),
            ("version", "integer"),
            ("type", "text"),
            ("data", "jsonb"),
            ("created_at", "timestamp with time zone"),
        ];
        let column = |(name, type_name): (&str, &str)| Column {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            not_null: true,
            counted: name == "position",
        };
        Table {
            schema: "shop".to_owned(),
            name: "my \"events\"".to_owned(),
            kind: TableKind::Table,
            columns: columns.map(column).into(),
            unique: vec![UniqueIndex {
                name: "u".to_owned(),
                columns: vec!["stream".to_owned(), "version".to_owned()],
                shortcoming: None,
            }],
            missing_grants: Vec::new(),
        }
    }

    #[test]
    fn the_draft_of_a_usual_table_fits_it() {
        let table = table();
        let layout = Layout::parse(&draft(&table)).unwrap();
        assert_eq!(layout.events.table, table.name);
        assert_eq!(layout.events.time.as_deref(), Some("created_at"));
        assert_eq!(layout.events.global_order, ["position"]);
        assert!(Fit::of(&layout, Some(&table), None).fits());
    }

    #[test]
    fn what_is_not_recognised_is_left_empty_and_refused() {
        let mut table = table();
        table.columns[3].name = "what".to_owned();
        let error = Layout::parse(&draft(&table)).unwrap_err();
        assert!(error.to_string().contains("events.type"), "{error}");
    }
}

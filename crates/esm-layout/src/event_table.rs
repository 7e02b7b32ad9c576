//! The table of events, as a rewrite in place needs it.

use crate::catalogue::Table;
use crate::layout::Layout;
use crate::sql::{quoted, table};
use crate::tables::Tables;

/// The table of events, as a rewrite in place needs it. Names are quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTable {
    /// The table with its schema, quoted.
    pub qualified: String,
    /// The name of the table for people: `schema.table`.
    pub full_name: String,
    /// What a query selects from the table `e` to read an event: number, id, type, version, payload,
    /// metadata, time, class.
    pub selected: String,
    /// The columns of the key.
    pub key: Vec<TypedColumn>,
    /// The column of the number.
    pub number: String,
    /// The column of the event's id.
    pub id: Option<String>,
    /// The column of the type.
    pub event_type: TypedColumn,
    /// The column with the name of the class that reads the payload.
    pub class: Option<TypedColumn>,
    /// The column of the schema version.
    pub version: Option<TypedColumn>,
    /// The column of the payload.
    pub payload: TypedColumn,
    /// The column of the metadata.
    pub metadata: Option<TypedColumn>,
    /// All columns, in order.
    pub all: Vec<TypedColumn>,
    /// All other columns, which a rewrite must not change.
    pub others: Vec<String>,
}

/// A column and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedColumn {
    /// Its name.
    pub name: String,
    /// Its name, quoted.
    pub quoted: String,
    /// The type that a literal is cast to; the assignment checks a length.
    pub kind: String,
    /// Whether it cannot be null.
    pub not_null: bool,
}

impl EventTable {
    /// Describes the table of a layout that [fits](crate::Fit).
    pub fn new(layout: &Layout, events: &Table) -> Self {
        let tables = Tables {
            layout,
            events,
            streams: None,
        };
        let named = &layout.events;
        let typed = |name: &String| {
            events.column(name).map(|column| TypedColumn {
                name: name.clone(),
                quoted: quoted(name),
                kind: match column.type_name.as_str() {
                    "character varying" | "character" => "text".to_owned(),
                    kind => kind.to_owned(),
                },
                not_null: column.not_null,
            })
        };
        let required = |name: &String| {
            typed(name).unwrap_or_else(|| TypedColumn {
                name: name.clone(),
                quoted: quoted(name),
                kind: "text".to_owned(),
                not_null: true,
            })
        };
        let mut described = Self {
            qualified: table(events),
            full_name: events.full_name(),
            selected: tables.event_columns(),
            key: named.key.iter().map(required).collect(),
            number: quoted(&named.number),
            id: named.id.as_ref().and_then(typed).map(|id| id.quoted),
            event_type: required(&named.event_type),
            class: named.class.as_ref().and_then(typed),
            version: named.version.as_ref().and_then(typed),
            payload: required(&named.payload),
            metadata: named.metadata.as_ref().and_then(typed),
            all: (events.columns.iter())
                .filter_map(|column| typed(&column.name))
                .collect(),
            others: Vec::new(),
        };
        let rewritten: Vec<&str> = described.rewritten().map(|c| c.name.as_str()).collect();
        let others = events.columns.iter().map(|column| column.name.as_str());
        described.others = others
            .filter(|name| !rewritten.contains(name))
            .map(quoted)
            .collect();
        described
    }

    /// Returns the columns that a rewrite changes: type, class, version, payload, metadata.
    pub fn rewritten(&self) -> impl Iterator<Item = &TypedColumn> {
        let optional = [
            self.class.as_ref(),
            self.version.as_ref(),
            self.metadata.as_ref(),
        ];
        [&self.event_type, &self.payload]
            .into_iter()
            .chain(optional.into_iter().flatten())
    }
}

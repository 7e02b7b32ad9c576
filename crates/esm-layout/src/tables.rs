//! A layout and the tables that it describes: the parts of their SQL.

use crate::catalogue::Table;
use crate::layout::Layout;
use crate::sql::{equals, literal, quoted, table};

/// A layout and the tables that it describes.
pub(crate) struct Tables<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) events: &'a Table,
    pub(crate) streams: Option<&'a Table>,
}

impl Tables<'_> {
    pub(crate) fn type_of<'t>(&self, table: &'t Table, column: &str) -> &'t str {
        table.column(column).map_or("text", |c| &c.type_name)
    }

    pub(crate) fn key_condition(&self) -> String {
        let key = (1..).zip(&self.layout.events.key);
        let conditions: Vec<_> = key
            .map(|(n, column)| {
                let kind = self.type_of(self.events, column);
                equals(&format!("e.{}", quoted(column)), n, kind)
            })
            .collect();
        conditions.join(" AND ")
    }

    /// number, id, type, version, payload, metadata, time, class.
    pub(crate) fn event_columns(&self) -> String {
        let events = &self.layout.events;
        let there = |column: &Option<String>| {
            let named = column.as_ref();
            named
                .filter(|named| self.events.column(named).is_some())
                .cloned()
        };
        let text = |column: &Option<String>| match there(column) {
            Some(column) => format!("e.{}::text", quoted(&column)),
            None => "NULL::text".to_owned(),
        };
        let payload = quoted(&events.payload);
        let payload = match self.type_of(self.events, &events.payload) {
            "bytea" => format!("e.{payload}"),
            _ => format!("e.{payload}::text"),
        };
        format!(
            "e.{}::bigint, {}, e.{}::text, {}, {payload}, {}, {}, {}",
            quoted(&events.number),
            text(&events.id),
            quoted(&events.event_type),
            text(&events.version),
            text(&events.metadata),
            self.time(),
            text(&events.class)
        )
    }

    /// The time in UTC, as RFC 3339.
    pub(crate) fn time(&self) -> String {
        let events = &self.layout.events;
        let Some(time) = events
            .time
            .as_ref()
            .filter(|t| self.events.column(t).is_some())
        else {
            return "NULL::text".to_owned();
        };
        let column = format!("e.{}", quoted(time));
        let utc = match self.type_of(self.events, time) {
            "timestamp with time zone" => format!("{column} AT TIME ZONE 'UTC'"),
            _ => column.clone(),
        };
        format!(
            "CASE WHEN isfinite({column}) THEN to_char({utc}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') END"
        )
    }

    /// The table that names objects: that of streams, or that of events.
    pub(crate) fn naming(&self) -> &Table {
        self.streams.unwrap_or(self.events)
    }

    /// The columns that name an object as they are compared with a text, under an alias.
    pub(crate) fn compared(&self, alias: &str) -> Vec<String> {
        let rule = &self.layout.object;
        let or_default = |column: &str, default: Option<&str>| {
            let own = format!("{alias}.{}", quoted(column));
            match default {
                Some(default) if !self.is_not_null(column) => {
                    format!("coalesce({own}::text, {})", literal(default))
                }
                _ => own,
            }
        };
        let name = rule.name.as_ref();
        let name = name.map(|name| or_default(name, rule.default_name.as_deref()));
        let key = format!("{alias}.{}", quoted(&rule.key));
        let qualifiers = rule.qualifiers.iter();
        let qualifiers = qualifiers.map(|q| or_default(&q.column, Some(&q.default)));
        name.into_iter().chain([key]).chain(qualifiers).collect()
    }

    pub(crate) fn is_not_null(&self, column: &str) -> bool {
        self.naming().column(column).is_some_and(|c| c.not_null)
    }

    pub(crate) fn resolve(&self) -> Option<String> {
        let (streams, table_of) = (self.layout.streams.as_ref()?, self.streams?);
        let columns = self.layout.object.columns();
        let compared = self.compared("s");
        let conditions: Vec<_> = (1..)
            .zip(columns.iter().zip(&compared))
            .map(|(n, (column, compared))| {
                let kind = if compared.starts_with("coalesce") {
                    "text"
                } else {
                    self.type_of(table_of, column)
                };
                equals(compared, n, kind)
            })
            .collect();
        let key: Vec<_> = streams
            .key
            .iter()
            .map(|c| format!("s.{}::text", quoted(c)))
            .collect();
        Some(format!(
            "SELECT {} FROM {} s WHERE {}",
            key.join(", "),
            table(table_of),
            conditions.join(" AND ")
        ))
    }

    pub(crate) fn global(&self, event: &str) -> Option<String> {
        let order = &self.layout.events.global_order;
        if order.is_empty() {
            return None;
        }
        let order: Vec<_> = order.iter().map(|c| format!("e.{}", quoted(c))).collect();
        let (alias, join) = match (&self.layout.streams, self.streams) {
            (Some(named), Some(streams)) => ("s", self.join(&named.key, streams)),
            _ => ("e", String::new()),
        };
        let text = |alias: &str, column: &str| format!("{alias}.{}::text", quoted(column));
        let identity = self
            .layout
            .object
            .columns()
            .into_iter()
            .map(|c| text(alias, c));
        let key = self.layout.events.key.iter().map(|c| text("e", c));
        let named: Vec<_> = identity.chain(key).collect();
        Some(format!(
            "SELECT {event}, {} FROM {} e{join} ORDER BY {}",
            named.join(", "),
            table(self.events),
            order.join(", ")
        ))
    }

    pub(crate) fn join(&self, key: &[String], streams: &Table) -> String {
        format!(" LEFT JOIN {} s ON {}", table(streams), self.same_key(key))
    }

    /// An event `e` is in a stream `s`.
    pub(crate) fn same_key(&self, key: &[String]) -> String {
        let pairs = self.layout.events.key.iter().zip(key);
        let same = pairs.map(|(e, s)| format!("e.{} = s.{}", quoted(e), quoted(s)));
        same.collect::<Vec<_>>().join(" AND ")
    }

    pub(crate) fn with_holes(&self) -> String {
        let number = format!("e.{}", quoted(&self.layout.events.number));
        let key: Vec<_> = (self.layout.events.key.iter())
            .map(|c| format!("e.{}", quoted(c)))
            .collect();
        let texts: Vec<_> = key.iter().map(|c| format!("{c}::text")).collect();
        format!(
            "SELECT {} FROM {} e GROUP BY {} HAVING count(*) <> max({number}) - $1 + 1",
            texts.join(", "),
            table(self.events),
            key.join(", ")
        )
    }

    pub(crate) fn without_stream(&self) -> Option<String> {
        let key = &self.layout.events.key;
        let lost = match (&self.layout.streams, self.streams) {
            (Some(named), Some(streams)) => {
                let same = self.same_key(&named.key);
                format!("NOT EXISTS (SELECT FROM {} s WHERE {same})", table(streams))
            }
            _ => {
                let may_be_null = |c: &&String| self.events.column(c).is_some_and(|c| !c.not_null);
                let nullable = key.iter().filter(may_be_null);
                let nulls: Vec<_> = nullable
                    .map(|c| format!("e.{} IS NULL", quoted(c)))
                    .collect();
                nulls.join(" OR ")
            }
        };
        let from = table(self.events);
        (!lost.is_empty()).then(|| format!("SELECT count(*) FROM {from} e WHERE {lost}"))
    }

    pub(crate) fn key_of_object(&self) -> Vec<usize> {
        let columns = self.layout.object.columns();
        let place = |column: &String| columns.iter().position(|c| c == column);
        self.layout.events.key.iter().filter_map(place).collect()
    }
}

//! The SQL that lists streams, a page at a time.

use esm_core::id::ObjectName;

use crate::catalogue::Table;
use crate::layout::ObjectRule;
use crate::sql::{cast, literal, quoted, table};
use crate::tables::Tables;

/// A query of a page of streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPage {
    /// Returns the columns that name the object, then those that the next page begins after. None of
    /// the latter is null.
    pub sql: String,
    /// The parameters: the last values of the page before, then those of the name.
    pub parameters: Vec<String>,
}

/// What the queries of all pages have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    table: String,
    /// The columns that name the object.
    identity: Vec<String>,
    order: Vec<Ordered>,
    /// The base name and the qualifiers, as they are compared with a text; the base name is absent
    /// where all objects have one.
    base: Option<String>,
    qualifiers: Vec<String>,
    /// For each column of the key, in order, its place in the order.
    pub(crate) key: Vec<usize>,
}

/// A column of the order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ordered {
    column: String,
    kind: String,
    not_null: bool,
}

impl Listing {
    pub(crate) fn new(tables: &Tables<'_>) -> Self {
        let rule = &tables.layout.object;
        let naming = tables.naming();
        let mut compared = tables.compared("t").into_iter();
        let name = rule.name.as_ref().and_then(|_| compared.next());
        let key = compared.next().unwrap_or_default();
        let split = |separator| format!("split_part({key}, {}, 1)", literal(separator));
        let base = match &rule.split {
            Some(separator) => Some(split(separator)),
            None => name.map(|name| format!("{name}::text")),
        };
        let order = order(tables);
        let place = |column: &String| order.iter().position(|c| c == column);
        let key_places = key_of(tables).iter().filter_map(place).collect();
        let order = order.into_iter().map(|column| Ordered {
            kind: tables.type_of(naming, &column).to_owned(),
            not_null: naming.column(&column).is_some_and(|c| c.not_null),
            column: format!("t.{}", quoted(&column)),
        });
        let identity = rule.columns().into_iter();
        Self {
            key: key_places,
            table: table(naming),
            identity: identity.map(|c| format!("t.{}", quoted(c))).collect(),
            order: order.collect(),
            base,
            qualifiers: compared
                .map(|qualifier| format!("{qualifier}::text"))
                .collect(),
        }
    }

    pub(crate) fn page(
        &self,
        rule: &ObjectRule,
        name: Option<&ObjectName>,
        after: Option<&[String]>,
        most: usize,
    ) -> ListedPage {
        let order: Vec<&str> = self.order.iter().map(|o| o.column.as_str()).collect();
        let order = order.join(", ");
        // what has a null there is in no stream
        let nullable = self.order.iter().filter(|ordered| !ordered.not_null);
        let mut conditions: Vec<_> = nullable
            .map(|ordered| format!("{} IS NOT NULL", ordered.column))
            .collect();
        let mut parameters = Vec::new();
        if let Some(after) = after {
            let values = (1..)
                .zip(&self.order)
                .map(|(n, ordered)| cast(n, &ordered.kind));
            let values: Vec<_> = values.collect();
            conditions.push(format!("({order}) > ({})", values.join(", ")));
            parameters.extend(after.iter().cloned());
        }
        if let Some(name) = name {
            let (base, qualifiers) = rule.base(name);
            let compared = self.base.as_ref().filter(|_| !rule.is_whole(&base));
            let compared = compared.map(|compared| (compared, base));
            let qualifiers = self.qualifiers.iter().zip(qualifiers);
            for (compared, value) in compared.into_iter().chain(qualifiers) {
                parameters.push(value);
                conditions.push(format!("{compared} = ${}", parameters.len()));
            }
        }
        let filter = if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        };
        let shown = self.identity.iter();
        let shown = shown.chain(self.order.iter().map(|o| &o.column));
        let shown: Vec<_> = shown.map(|column| format!("{column}::text")).collect();
        let (table, shown, beside) = (&self.table, shown.join(", "), self.beside_order());
        ListedPage {
            sql: format!(
                "SELECT {shown} FROM (SELECT DISTINCT {order}{beside} FROM {table} t{filter} \
                 ORDER BY {order} LIMIT {most}) t ORDER BY {order}"
            ),
            parameters,
        }
    }

    /// The columns that name the object and are not among those of the order.
    fn beside_order(&self) -> String {
        let is_ordered = |column: &String| self.order.iter().any(|o| o.column == *column);
        let beside = self.identity.iter().filter(|column| !is_ordered(column));
        beside.map(|column| format!(", {column}")).collect()
    }
}

/// The columns of a stream's key in the order of the index that makes them unique, so that a page
/// is a piece of that index.
fn order(tables: &Tables<'_>) -> Vec<String> {
    let (events, key) = (&tables.layout.events, key_of(tables));
    let also = match &tables.layout.streams {
        Some(_) => None,
        None => Some(&events.number),
    };
    let columns: Vec<&str> = key.iter().chain(also).map(String::as_str).collect();
    let with: Vec<&str> = events.unique_with.iter().map(String::as_str).collect();
    let naming: &Table = tables.naming();
    let index = naming.unique_index(&columns, &with);
    let indexed = index.map(|index| index.columns.as_slice());
    let indexed = indexed.unwrap_or_default().iter();
    let mut order: Vec<String> = indexed.filter(|c| key.contains(c)).cloned().collect();
    let missing: Vec<_> = key.iter().filter(|c| !order.contains(c)).cloned().collect();
    order.extend(missing);
    order
}

/// The columns of a stream's key in the table that names the streams.
fn key_of<'a>(tables: &Tables<'a>) -> &'a [String] {
    match &tables.layout.streams {
        Some(streams) => &streams.key,
        None => &tables.layout.events.key,
    }
}

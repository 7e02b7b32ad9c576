//! Tables as the catalogue of the database describes them.

use esm_core::{Error, Result};
use esm_layout::{Column, Fit, Layout, Table, TableKind, UniqueIndex};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::connection::{Database, Query};

/// The table of this name in the first of these schemas that has one; without any, in the search
/// path.
const TABLE: &str = "
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text,
       has_schema_privilege(n.oid, 'USAGE'),
       has_table_privilege(c.oid, 'SELECT')
           OR (SELECT bool_and(has_column_privilege(c.oid, a.attnum, 'SELECT'))
               FROM pg_attribute a
               WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       quote_ident(current_user::text)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN (SELECT CASE WHEN $2 = '' THEN current_schemas(false)::text[]
                        ELSE string_to_array($2, ',') END AS schemas) s
WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = ANY (s.schemas)
ORDER BY array_position(s.schemas, n.nspname::text)
LIMIT 1";

const COLUMNS: &str = "
SELECT a.attname::text, format_type(a.atttypid, NULL), a.attnotnull,
       a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false)
FROM pg_attribute a
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum";

const INDEXES: &str = "
SELECT i.relname::text,
       ARRAY(SELECT a.attname::text
             FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(number, place)
             JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.number
             WHERE k.place <= x.indnkeyatts
             ORDER BY k.place),
       CASE WHEN NOT x.indisvalid THEN 'is invalid'
            WHEN x.indpred IS NOT NULL THEN 'is partial'
            WHEN x.indexprs IS NOT NULL THEN 'has an expression'
            WHEN NOT x.indimmediate THEN 'is deferrable' END
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
WHERE x.indrelid = $1::bigint::oid AND x.indisunique
ORDER BY NOT x.indisprimary, i.relname";

/// The tables of a layout in a database.
#[derive(Debug, Clone)]
pub struct LayoutTables {
    /// The layout.
    pub layout: Layout,
    /// The table of events, if there is one.
    pub events: Option<Table>,
    /// The table of streams, if the layout has one and the database too.
    pub streams: Option<Table>,
}

impl LayoutTables {
    /// Finds the tables of a layout in a database.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn find(database: &Database, layout: Layout) -> Result<Self> {
        let named = database.settings().parameter("search_path");
        let schema = |own: &Option<String>| match (named, own) {
            (Some(named), _) => named.to_owned(),
            (None, Some(own)) => own.clone(),
            (None, None) => String::new(),
        };
        let events = &layout.events;
        let streams = match &layout.streams {
            Some(streams) => find(database, &schema(&streams.schema), &streams.table).await?,
            None => None,
        };
        Ok(Self {
            events: find(database, &schema(&events.schema), &events.table).await?,
            streams,
            layout,
        })
    }

    /// Compares them with the layout.
    pub fn fit(&self) -> Fit {
        Fit::of(&self.layout, self.events.as_ref(), self.streams.as_ref())
    }
}

/// Returns the description of a table, named `table` or `schema.table`.
///
/// # Errors
/// `NotFound` if there is none; those of the server.
pub async fn describe_table(database: &Database, name: &str) -> Result<Table> {
    let (schema, table) = name.split_once('.').unwrap_or(("", name));
    let found = find(database, schema, table).await?;
    found.ok_or_else(|| {
        Error::not_found(format!("no such table: {name}"))
            .with_hint("write schema.table for a table outside of the search path")
    })
}

async fn find(database: &Database, schemas: &str, table: &str) -> Result<Option<Table>> {
    let query = Query::new(TABLE)
        .with(table.to_owned(), Type::TEXT)
        .with(schemas.to_owned(), Type::TEXT);
    let Some(row) = database.read(&query).await?.pop() else {
        return Ok(None);
    };
    let oid: i64 = row.get(0);
    let by_oid = |sql| Query::new(sql).with(oid, Type::INT8);
    let columns = database.read(&by_oid(COLUMNS)).await?;
    let indexes = database.read(&by_oid(INDEXES)).await?;
    Ok(Some(Table {
        schema: row.get(1),
        name: row.get(2),
        kind: match row.get::<_, String>(3).as_str() {
            "v" | "m" => TableKind::View,
            "f" => TableKind::Foreign,
            _ => TableKind::Table,
        },
        columns: columns.iter().map(column).collect(),
        unique: indexes.iter().map(index).collect(),
        missing_grants: missing_grants(&row),
    }))
}

fn missing_grants(row: &Row) -> Vec<String> {
    let (schema, table, user): (String, String, String) = (row.get(1), row.get(2), row.get(6));
    let mut grants = Vec::new();
    if !row.get::<_, bool>(4) {
        grants.push(format!("GRANT USAGE ON SCHEMA {schema} TO {user}"));
    }
    if row.get::<_, Option<bool>>(5) != Some(true) {
        grants.push(format!("GRANT SELECT ON {schema}.{table} TO {user}"));
    }
    grants
}

fn column(row: &Row) -> Column {
    Column {
        name: row.get(0),
        type_name: row.get(1),
        not_null: row.get(2),
        counted: row.get(3),
    }
}

fn index(row: &Row) -> UniqueIndex {
    UniqueIndex {
        name: row.get(0),
        columns: row.get(1),
        shortcoming: row.get(2),
    }
}

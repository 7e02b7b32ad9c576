//! Whether a table that was altered since its migration still takes the originals.
//!
//! What a column or a constraint refuses is found by the server itself, on the rows as they would be
//! after the undo, in a transaction that cannot write.

use esm_core::id::MigrationId;
use esm_core::{Error, ErrorKind, Result};
use esm_layout::{TypedColumn, literal};

use super::put_back::{Column, Present};
use super::shared::Shared;
use super::wire::Row;

/// Constraints of the table and its partitions: name, partition if it is not of all, expression of a
/// check, conditions of a foreign key, and the definition. Others cannot fail. `named` is the table, the
/// names of the columns that are rewritten, and whether rows are put back.
const CONSTRAINTS: &str = "
tree AS (
    SELECT oid FROM named
    UNION SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid)
SELECT quote_ident(k.conname), k.conrelid::regclass::text,
       CASE WHEN k.conrelid <> named.oid THEN k.conrelid::text END,
       CASE k.contype
           WHEN 'c' THEN format('NOT (%s)', pg_get_expr(k.conbin, k.conrelid))
           ELSE (SELECT format('%s AND NOT EXISTS (SELECT FROM %s p WHERE %s)',
                               string_agg(format('r.%I IS NOT NULL', a.attname), ' AND '),
                               k.confrelid::regclass,
                               string_agg(format('p.%I = r.%I', b.attname, a.attname), ' AND '))
                 FROM unnest(k.conkey, k.confkey) c (own, other)
                 JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.own
                 JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = c.other)
       END,
       pg_get_constraintdef(k.oid)
FROM named, tree JOIN pg_constraint k ON k.conrelid = tree.oid
CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = k.conrelid
        AND a.attnum = ANY (k.conkey) AND a.attname = ANY (named.rewritten)) AS of_rewritten) about
WHERE k.conparentid = 0 AND (
    k.contype = 'c' AND (k.conislocal OR k.coninhcount = 0)
        AND (of_rewritten OR NOT k.convalidated OR named.puts_back)
    OR k.contype = 'f' AND of_rewritten AND has_table_privilege(k.confrelid, 'SELECT'))
ORDER BY 1, 2";

/// Checks that the table as it is now takes what a migration archived. Returns the columns that hold
/// it in another form, as `jsonb` holds what was `json`.
///
/// # Errors
/// `Unsupported`, naming the column or the constraint and what to do; those of the server.
pub(super) async fn check(shared: &Shared, migration: MigrationId) -> Result<Vec<String>> {
    let of_migration = format!("migration = '{migration}' AND undone_at IS NULL");
    let present = Present::of(shared).await?;
    let mut converted = Vec::new();
    for (role, column) in shared.statements.present() {
        let swapped = format!("FROM esm_in_place.archive WHERE {of_migration} AND kind = 'swap'");
        let found = present.0.iter().find(|found| found.name == column.name);
        let Some(found) = found else {
            return Err(renamed(shared, &column.name));
        };
        let value = format!("old_{role}");
        if !holds(shared, column, &found.kind, &value, &swapped).await? {
            converted.push(column.name.clone());
        }
    }
    let restored = restored(shared, &present, &of_migration);
    for constraint in constraints(shared, &of_migration).await? {
        constraint.ensure_passed(shared, &restored).await?;
    }
    Ok(converted)
}

/// Returns whether a column holds every value to the byte.
async fn holds(
    shared: &Shared,
    column: &TypedColumn,
    kind: &str,
    value: &str,
    swapped: &str,
) -> Result<bool> {
    let nulls = format!("SELECT count(*) {swapped} AND {value} IS NULL");
    if column.not_null && count(&shared.wire.read(&nulls).await?) > 0 {
        let message = format!(
            "{}: {} cannot be null now, and was in some of them",
            cannot(shared),
            column.name
        );
        return Err(Error::unsupported(message).with_hint(format!(
            "let it be null for as long as the rollback takes: ALTER TABLE {} ALTER COLUMN {} DROP \
             NOT NULL",
            shared.statements.table().qualified,
            column.quoted
        )));
    }
    if kind == "text" {
        return Ok(true);
    }
    let differs = format!(
        "SELECT count(*) {swapped} AND CAST({value} AS {kind})::text IS DISTINCT FROM {value}"
    );
    let source = match shared.wire.read(&differs).await {
        Ok(rows) if count(&rows) == 0 => return Ok(true),
        // the value is the same to every reader of JSON
        Ok(_) if kind == "jsonb" => return Ok(false),
        Ok(_) => None,
        Err(e) if *e.kind() == ErrorKind::Unavailable => return Err(e),
        Err(e) => Some(e),
    };
    let message = format!(
        "{}: {} is {kind} now, which does not hold what they had",
        cannot(shared),
        column.name
    );
    let error = Error::unsupported(message)
        .with_hint("give the column its former type, roll back, and change it again");
    Err(match source {
        Some(source) => error.with_source(source),
        None => error,
    })
}

fn cannot(shared: &Shared) -> String {
    format!("events of {} cannot be restored", shared.relation())
}

fn renamed(shared: &Shared, column: &str) -> Error {
    Error::unsupported(format!(
        "{}: column {column} is there no more",
        cannot(shared)
    ))
    .with_hint("use a layout file that names the columns as they are now; see `esm layout new`")
}

/// The rows `r` as they would be after the undo. What is not known of a row that is put back is null,
/// which no constraint refuses.
fn restored(shared: &Shared, present: &Present, of_migration: &str) -> String {
    let table = shared.statements.table();
    let columns = || present.0.iter();
    let role = |column: &Column| {
        let mut rewritten = shared.statements.present();
        rewritten.find(|(_, c)| c.name == column.name)
    };
    let swapped = columns().map(|column| match role(column) {
        Some((role, _)) => format!("CAST(k.old_{role} AS {}) AS {}", column.kind, column.quoted),
        None => format!("e.{}", column.quoted),
    });
    let removed = columns().map(|column| {
        let (name, kind) = (literal(&column.name), &column.kind);
        format!("CASE WHEN k.whole ? {name} THEN CAST(k.whole ->> {name} AS {kind}) END")
    });
    let key = table.key.iter().enumerate().map(|(n, column)| {
        let (name, place) = (&column.quoted, n + 1);
        format!("e.{name} = CAST(k.key[{place}] AS {})", column.kind)
    });
    let archived = format!("esm_in_place.archive WHERE {of_migration}");
    format!(
        "(SELECT {}, e.tableoid AS esm_relation
          FROM (SELECT * FROM {archived} AND kind = 'swap') k
          JOIN {} e ON {} AND {} = k.number
          UNION ALL SELECT {}, NULL FROM {archived} AND kind = 'drop') r",
        list(swapped),
        table.qualified,
        key.collect::<Vec<_>>().join(" AND "),
        shared.statements.number(),
        list(removed),
        archived = archived.replace("archive WHERE", "archive k WHERE"),
    )
}

fn list(columns: impl Iterator<Item = String>) -> String {
    columns.collect::<Vec<_>>().join(", ")
}

/// A constraint that a restored row has to pass.
struct Constraint {
    name: String,
    relation: String,
    /// The condition that a row `r` does not pass it.
    fails: String,
    definition: String,
}

async fn constraints(shared: &Shared, of_migration: &str) -> Result<Vec<Constraint>> {
    let table = shared.statements.table();
    let query = format!(
        "WITH RECURSIVE named AS (
             SELECT {}::regclass::oid AS oid, ARRAY[{}]::name[] AS rewritten,
                    EXISTS (SELECT FROM esm_in_place.archive
                            WHERE {of_migration} AND kind = 'drop') AS puts_back), {CONSTRAINTS}",
        literal(&table.qualified),
        list(table.rewritten().map(|c| literal(&c.name)))
    );
    let rows = shared.wire.read(&query).await?;
    rows.into_iter().map(Constraint::of).collect()
}

impl Constraint {
    fn of(row: Row) -> Result<Self> {
        let Ok(
            [
                Some(name),
                Some(relation),
                partition,
                Some(fails),
                Some(definition),
            ],
        ) = <[Option<String>; 5]>::try_from(row)
        else {
            return Err(Error::corrupt("the catalogue gave an incomplete row"));
        };
        Ok(Self {
            name,
            relation,
            fails: match partition {
                Some(oid) => format!(
                    "r.esm_relation IN (SELECT relid FROM pg_partition_tree({oid})) AND ({fails})"
                ),
                None => fails,
            },
            definition,
        })
    }

    async fn ensure_passed(&self, shared: &Shared, restored: &str) -> Result<()> {
        let (name, relation) = (&self.name, &self.relation);
        let query = format!("SELECT count(*) FROM {restored} WHERE {}", self.fails);
        let failing = count(&shared.wire.read(&query).await?);
        if failing == 0 {
            return Ok(());
        }
        let message = format!(
            "{}: constraint {name} refuses what {failing} had: {}",
            cannot(shared),
            self.definition
        );
        Err(Error::unsupported(message).with_hint(format!(
            "drop it for as long as the rollback takes: ALTER TABLE {relation} DROP CONSTRAINT {name}"
        )))
    }
}

fn count(rows: &[Row]) -> u64 {
    let first = rows.first().and_then(|row| row.first()?.as_deref());
    first.and_then(|text| text.parse().ok()).unwrap_or_default()
}

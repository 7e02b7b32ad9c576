//! What the catalogue says about rewriting a table.

use std::collections::BTreeMap;

use esm_core::{Error, Result};
use esm_layout::{EventTable, literal};

use super::wire::Wire;

/// The table with its partitions: kind, what is found, and its name. `named` is the table and the names
/// of the columns that are rewritten.
const FINDINGS: &str = "
tree AS (
    SELECT oid FROM named
    UNION SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid),
rels AS (
    SELECT c.*, format('%I.%I', n.nspname, c.relname) AS full_name
    FROM tree JOIN pg_class c ON c.oid = tree.oid JOIN pg_namespace n ON n.oid = c.relnamespace),
columns AS (
    SELECT a.* FROM named, rels JOIN pg_attribute a ON a.attrelid = rels.oid
    WHERE a.attname = ANY (named.rewritten) AND NOT a.attisdropped)
SELECT 'standby', 'the server' WHERE pg_is_in_recovery()
UNION ALL
SELECT 'foreign', full_name FROM rels WHERE relkind = 'f'
UNION ALL
SELECT 'inherits', full_name FROM rels JOIN pg_inherits i ON i.inhrelid = rels.oid
WHERE NOT relispartition AND i.inhparent IN (SELECT oid FROM tree)
UNION ALL
SELECT 'access method', full_name || ' (' || m.amname || ')'
FROM rels JOIN pg_am m ON m.oid = rels.relam WHERE rels.relkind = 'r' AND m.amname <> 'heap'
UNION ALL
SELECT 'row security', full_name FROM rels WHERE row_security_active(rels.oid)
UNION ALL
SELECT 'trigger', format('%s on %s', t.tgname, full_name)
FROM rels JOIN pg_trigger t ON t.tgrelid = rels.oid
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 16 <> 0 AND t.tgparentid = 0
UNION ALL
SELECT 'drops', format('trigger %s on %s', t.tgname, full_name)
FROM rels JOIN pg_trigger t ON t.tgrelid = rels.oid
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 12 <> 0 AND t.tgparentid = 0
    AND t.tgname !~ '^esm_refuse_[0-9a-f]{32}$'
UNION ALL
SELECT 'drops', format('rule %s on %s', r.rulename, full_name)
FROM rels JOIN pg_rewrite r ON r.ev_class = rels.oid
WHERE r.ev_type IN ('3', '4') AND r.ev_enabled <> 'D'
UNION ALL
SELECT 'drops', format('foreign key %s of %s', k.conname, k.conrelid::regclass)
FROM rels JOIN pg_constraint k ON k.confrelid = rels.oid AND k.contype = 'f' AND k.conparentid = 0
UNION ALL
SELECT DISTINCT 'drops', format('generated column %s of %s', g.attname, full_name)
FROM rels JOIN pg_attribute g ON g.attrelid = rels.oid AND g.attgenerated <> '' AND NOT g.attisdropped
UNION ALL
SELECT 'grant to drop', format('GRANT INSERT, DELETE ON %s TO %I', full_name, current_user)
FROM rels JOIN named ON named.oid = rels.oid
WHERE NOT has_table_privilege(rels.oid, 'INSERT') OR NOT has_table_privilege(rels.oid, 'DELETE')
UNION ALL
SELECT 'rule', format('%s on %s', r.rulename, full_name)
FROM rels JOIN pg_rewrite r ON r.ev_class = rels.oid
WHERE r.ev_type = '2' AND r.ev_enabled <> 'D'
UNION ALL
SELECT DISTINCT 'generated', format('%s of %s', g.attname, full_name)
FROM rels JOIN pg_attribute g ON g.attrelid = rels.oid AND g.attgenerated <> ''
JOIN columns c ON c.attrelid = rels.oid
WHERE g.attnum = c.attnum OR EXISTS (
    SELECT FROM pg_attrdef d JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass
        AND p.objid = d.oid AND p.refobjid = rels.oid AND p.refobjsubid = c.attnum
    WHERE d.adrelid = rels.oid AND d.adnum = g.attnum)
UNION ALL
SELECT DISTINCT 'unique', format('%s on %s', i.relname, full_name)
FROM rels JOIN pg_index x ON x.indrelid = rels.oid JOIN pg_class i ON i.oid = x.indexrelid
JOIN columns c ON c.attrelid = rels.oid
WHERE (x.indisunique OR x.indisexclusion)
    AND (c.attnum = ANY (x.indkey::int2[]) OR EXISTS (
        SELECT FROM pg_depend p WHERE p.classid = 'pg_class'::regclass AND p.objid = x.indexrelid
            AND p.refobjid = rels.oid AND p.refobjsubid = c.attnum))
UNION ALL
SELECT 'subscribed', full_name FROM rels JOIN pg_subscription_rel s ON s.srrelid = rels.oid
UNION ALL
SELECT 'grant', format('GRANT SELECT, UPDATE ON %s TO %I', full_name, current_user)
FROM rels JOIN named ON named.oid = rels.oid
WHERE NOT has_table_privilege(rels.oid, 'SELECT') OR NOT (
    has_table_privilege(rels.oid, 'UPDATE') OR (
        SELECT bool_and(has_column_privilege(rels.oid, c.attnum, 'UPDATE'))
        FROM columns c WHERE c.attrelid = rels.oid))
UNION ALL
SELECT DISTINCT 'published', p.pubname::text
FROM pg_publication_tables p JOIN rels ON p.schemaname = rels.relnamespace::regnamespace::text
    AND p.tablename = rels.relname
UNION ALL
SELECT 'replica identity', full_name FROM rels
WHERE relkind = 'r' AND (relreplident = 'n' OR relreplident = 'd' AND NOT EXISTS (
    SELECT FROM pg_index x WHERE x.indrelid = rels.oid AND x.indisprimary))
UNION ALL
SELECT 'slot', format('%s, %s', slot_name, coalesce(wal_status, 'unknown'))
FROM pg_replication_slots WHERE slot_type = 'logical' OR wal_status IN ('unreserved', 'lost')";

/// Findings by their kind.
pub(super) type Findings = BTreeMap<String, Vec<String>>;

/// Returns what the catalogue says about a table.
///
/// # Errors
/// Those of the server.
pub(super) async fn findings(wire: &Wire, table: &EventTable) -> Result<Findings> {
    let rewritten: Vec<_> = table.rewritten().map(|c| literal(&c.name)).collect();
    let query = format!(
        "WITH RECURSIVE named AS (
             SELECT {}::regclass::oid AS oid, ARRAY[{}]::name[] AS rewritten), {FINDINGS}",
        literal(&table.qualified),
        rewritten.join(", ")
    );
    let mut findings = Findings::new();
    for row in wire.read(&query).await? {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let (Some(kind), Some(what)) = (values.next(), values.next()) else {
            return Err(Error::corrupt("the catalogue gave an incomplete row"));
        };
        findings.entry(kind).or_default().push(what);
    }
    Ok(findings)
}

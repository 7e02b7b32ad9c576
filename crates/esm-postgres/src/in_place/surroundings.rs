//! What a rewrite costs the server and its replicas.

use esm_core::Result;
use esm_layout::literal;
use serde::Serialize;

use super::lag::{Behind, behind};
use super::place::InPlace;

/// What a rewrite costs the server and its replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Surroundings {
    /// Replicas and slots, the furthest behind first. Those that the user may not see are left out.
    pub behind: Vec<Behind>,
    /// Number of dead rows of the table, as the server estimates it.
    pub dead_rows: u64,
    /// Whether a vacuum works on the table.
    pub is_vacuumed: bool,
}

impl InPlace {
    /// Returns what a rewrite costs the server and its replicas.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn surroundings(&self) -> Result<Surroundings> {
        let table = literal(&self.0.statements.table().qualified);
        let query = format!(
            "WITH tree AS (SELECT {table}::regclass::oid AS oid
                 UNION SELECT relid FROM pg_partition_tree({table}::regclass))
             SELECT (SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_all_tables
                     WHERE relid IN (SELECT oid FROM tree)),
                    EXISTS (SELECT FROM pg_stat_progress_vacuum
                            WHERE relid IN (SELECT oid FROM tree))"
        );
        let rows = self.0.wire.read(&query).await?;
        let text = |column: usize| {
            let row = rows.first()?;
            row.get(column)?.as_deref()
        };
        Ok(Surroundings {
            behind: behind(&self.0).await?,
            dead_rows: text(0).and_then(|dead| dead.parse().ok()).unwrap_or(0),
            is_vacuumed: text(1) == Some("t"),
        })
    }
}

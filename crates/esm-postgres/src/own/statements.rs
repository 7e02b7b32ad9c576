//! The statements of a store. Each is a transaction, and one round trip.

use super::schema::Schema;

/// Makes the commit of its statement durable, whatever the session was set to meanwhile. A setting
/// that waits for standbys stays.
const DURABLE: &str = "set_config('synchronous_commit',
    CASE current_setting('synchronous_commit')
        WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)";

/// Uploads that were begun this long ago belong to processes that died. One that is still running
/// fails when it ends.
const UPLOAD_AGE: &str = "interval '1 day'";
/// Dead uploads that one opening removes.
const SWEPT: u32 = 16;

/// The text of each statement.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) get: String,
    pub(super) size: String,
    pub(super) create: String,
    pub(super) overwrite: String,
    pub(super) delete: String,
    pub(super) list: String,
    pub(super) begin: String,
    pub(super) part: String,
    pub(super) end: String,
    pub(super) upload_of: String,
    pub(super) sweep: String,
}

impl Statements {
    pub(super) fn new(schema: &Schema) -> Self {
        let schema = &schema.quoted;
        let insert = format!(
            "INSERT INTO {schema}.object (key, size, body)
             SELECT $1, length($2), $2 FROM {DURABLE} AS durable"
        );
        Self {
            // the parts of an upload never change, so what one statement sees is one object
            get: format!(
                "SELECT size, upload, CASE WHEN upload IS NULL THEN substring(body FROM $2 FOR $3)
                     ELSE (SELECT string_agg(part.body, ''::bytea ORDER BY part.number)
                           FROM {schema}.part AS part WHERE part.upload = object.upload
                           AND part.number BETWEEN $4 AND $5) END
                 FROM {schema}.object AS object WHERE key = $1"
            ),
            size: format!("SELECT size FROM {schema}.object WHERE key = $1"),
            create: format!("{insert} ON CONFLICT (key) DO NOTHING RETURNING true"),
            overwrite: format!(
                "{insert} ON CONFLICT (key) DO UPDATE
                 SET size = excluded.size, body = excluded.body, upload = NULL"
            ),
            delete: format!(
                "WITH gone AS (DELETE FROM {schema}.object USING {DURABLE} AS durable
                               WHERE key = $1 RETURNING upload)
                 DELETE FROM {schema}.part USING gone WHERE part.upload = gone.upload"
            ),
            list: format!(
                "SELECT key FROM {schema}.object
                 WHERE key >= $1 AND key > $2 AND ($3::text IS NULL OR key < $3)
                 ORDER BY key LIMIT $4"
            ),
            begin: format!("INSERT INTO {schema}.upload DEFAULT VALUES RETURNING number"),
            part: format!(
                "INSERT INTO {schema}.part (upload, number, body) VALUES ($1, $2, $3)
                 ON CONFLICT DO NOTHING"
            ),
            // of an end and a sweep, one removes the row, and the other finds none
            end: format!(
                "WITH ended AS (
                     DELETE FROM {schema}.upload USING {DURABLE} AS durable WHERE number = $2
                     AND (SELECT count(*) FROM {schema}.part WHERE upload = $2) = $3
                     RETURNING number)
                 INSERT INTO {schema}.object (key, size, upload)
                 SELECT $1, $4, number FROM ended ON CONFLICT (key) DO NOTHING RETURNING true"
            ),
            upload_of: format!("SELECT upload FROM {schema}.object WHERE key = $1"),
            sweep: format!(
                "WITH dead AS (
                     DELETE FROM {schema}.upload WHERE number IN (
                         SELECT number FROM {schema}.upload
                         WHERE begun_at < now() - {UPLOAD_AGE} LIMIT {SWEPT})
                     RETURNING number)
                 DELETE FROM {schema}.part USING dead WHERE part.upload = dead.number"
            ),
        }
    }
}

// A bank whose accounts are streams of Emmett.

import { isExpectedVersionConflictError } from "@event-driven-io/emmett";
import { getPostgreSQLEventStore } from "@event-driven-io/emmett-postgresql";
import pg from "pg";

import { speak } from "./language.js";

const store = getPostgreSQLEventStore(process.env.DATABASE_URL);
const stream = (account) => `account-${account}`;

await speak({
  create: () => store.schema.migrate(),

  async read(account) {
    // of a stream that does not exist 0, which the server checks; STREAM_DOES_NOT_EXIST it does not
    const { events, currentStreamVersion } = await store.readStream(stream(account));
    return { events, version: currentStreamVersion };
  },

  // Whether no other process was faster.
  async append(account, events, version) {
    try {
      await store.appendToStream(stream(account), events, { expectedStreamVersion: version });
      return true;
    } catch (error) {
      if (isExpectedVersionConflictError(error)) return false;
      throw error;
    }
  },

  // Emmett's own consumer remembers the last global position alone, and two writers can take theirs in
  // another order than their transactions: it misses events then, without any migration. So this one
  // remembers both columns of the order; which events are due, it asks as Emmett does.
  async consume(seen, ended) {
    let stops = false;
    ended.then(() => (stops = true));
    const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
    let last = ["0", "-1"];
    while (!stops) {
      const { rows } = await pool.query(
        `SELECT transaction_id::text AS transaction, global_position, stream_id, stream_position
         FROM emt_messages
         WHERE transaction_id < pg_snapshot_xmin(pg_current_snapshot())
           AND (transaction_id, global_position) > ($1::xid8, $2::bigint)
         ORDER BY transaction_id, global_position LIMIT 100`,
        last,
      );
      for (const row of rows) {
        seen(row.stream_id.slice("account-".length), row.stream_position);
        last = [row.transaction, row.global_position];
      }
      if (rows.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await pool.end();
  },

  close: () => store.close(),
});

// A bank whose accounts are streams of Message DB, by the functions that its package installs.

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import pg from "pg";

import { speak } from "./language.js";

const options = "-c search_path=message_store,public";
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, options });
const stream = (account) => `account-${account}`;

// What the package's install.sh runs, in its order; the role is shared by databases.
const SCRIPTS = [
  "schema/message-store",
  "extensions/pgcrypto",
  "tables/messages",
  "types/message",
  ...[
    "message-store-version",
    "hash-64",
    "acquire-lock",
    "category",
    "is-category",
    "id",
    "cardinal-id",
    "stream-version",
    "write-message",
    "get-stream-messages",
    "get-category-messages",
    "get-last-stream-message",
  ].map((name) => `functions/${name}`),
  "indexes/messages-id",
  "indexes/messages-stream",
  "indexes/messages-category",
];

// Reads at most this many messages at once.
const PAGE = 1000;

async function create() {
  const require = createRequire(import.meta.url);
  const database = join(dirname(require.resolve("@eventide/message-db/package.json")), "database");
  const client = await pool.connect();
  for (const script of SCRIPTS) {
    await client.query(await readFile(join(database, `${script}.sql`), "utf8"));
  }
  client.release();
}

const parsed = ({ type, data }) => ({ type, data: JSON.parse(data) });

await speak({
  create,

  async read(account) {
    const events = [];
    for (;;) {
      const { rows } = await pool.query("SELECT * FROM get_stream_messages($1, $2, $3)", [
        stream(account),
        events.length,
        PAGE,
      ]);
      events.push(...rows.map(parsed));
      if (rows.length < PAGE) return { events, version: events.length - 1 };
    }
  },

  // Whether no other process was faster.
  async append(account, events, version) {
    const client = await pool.connect();
    try {
      await client.query("BEGIN");
      for (const [at, { type, data }] of events.entries()) {
        const message = [randomUUID(), stream(account), type, data, null, version + at];
        await client.query("SELECT write_message($1, $2, $3, $4, $5, $6)", message);
      }
      await client.query("COMMIT");
      return true;
    } catch (error) {
      await client.query("ROLLBACK");
      if (error.message.includes("Wrong expected version")) return false;
      throw error;
    } finally {
      client.release();
    }
  },

  async consume(seen, ended) {
    let stops = false;
    ended.then(() => (stops = true));
    let next = 1n;
    while (!stops) {
      const page = ["account", next, PAGE];
      const { rows } = await pool.query("SELECT * FROM get_category_messages($1, $2, $3)", page);
      for (const { stream_name, position, global_position } of rows) {
        seen(stream_name.slice("account-".length), BigInt(position) + 1n);
        next = BigInt(global_position) + 1n;
      }
      if (rows.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    }
  },

  close: () => pool.end(),
});

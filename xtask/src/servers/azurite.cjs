// An Azure Blob server for tests: Azurite on a free port of 127.0.0.1, in memory, with the container
// given as second argument; the first one is the directory that azurite is installed in.
//
// Prints "ready http://127.0.0.1:PORT" when it answers. Ends when its standard input does, so it
// never outlives whoever started it.
"use strict";

const crypto = require("node:crypto");
const http = require("node:http");
const net = require("node:net");
const path = require("node:path");

const [installed, container] = process.argv.slice(2);
const account = "devstoreaccount1";
// The key that every Azurite has; it is published and protects nothing.
const key =
  "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const log = console.log;
console.log = () => {};

process.stdin.on("end", () => process.exit(0)).resume();

function freePort() {
  return new Promise((found, failed) => {
    const probe = net.createServer().on("error", failed);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => found(port));
    });
  });
}

// Creates the container, signed with the shared key; answers the status code.
function createContainer(port) {
  const version = "2021-12-02";
  const date = new Date().toUTCString();
  const resource = `/${account}/${account}/${container}\nrestype:container`;
  const toSign = `PUT${"\n".repeat(12)}x-ms-date:${date}\nx-ms-version:${version}\n${resource}`;
  const mac = crypto.createHmac("sha256", Buffer.from(key, "base64")).update(toSign, "utf8");
  const options = {
    host: "127.0.0.1",
    port,
    method: "PUT",
    path: `/${account}/${container}?restype=container`,
    headers: {
      "x-ms-date": date,
      "x-ms-version": version,
      "content-length": 0,
      authorization: `SharedKey ${account}:${mac.digest("base64")}`,
    },
  };
  return new Promise((answered, failed) => {
    http
      .request(options, (response) => response.resume().on("end", () => answered(response.statusCode)))
      .on("error", failed)
      .end();
  });
}

async function main() {
  const port = await freePort();
  process.argv.splice(
    2,
    2,
    ...["--blobHost", "127.0.0.1", "--blobPort", String(port)],
    ...["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"],
  );
  // Azurite says on the console that it listens; there is no other sign of it.
  const listening = new Promise((done) => {
    console.log = (line) => String(line).includes("successfully listens") && done();
  });
  require(path.join(installed, "node_modules/azurite/dist/src/blob/main.js"));
  await listening;
  const status = await createContainer(port);
  if (status !== 201) throw new Error(`cannot create the container: status ${status}`);
  log(`ready http://127.0.0.1:${port}`);
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});

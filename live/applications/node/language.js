// The language that the applications are spoken with in; see the README of their folder.

import { createInterface } from "node:readline";

import { nothing, evolve, pay } from "./account.js";

const say = (line) => process.stdout.write(`${line}\n`);

// What the input has said so far.
const heard = { lines: [], isNew: false, ends: false };
const listening = new Promise((ended) => {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    heard.lines.push(line);
    heard.isNew ||= line === "new";
  });
  lines.on("close", () => {
    heard.ends = true;
    ended();
  });
});

// Executes a command, again while another process is faster, and says what became of it.
async function execute(library, command, number, account, isNew) {
  const begun = process.hrtime.bigint();
  const cents = ((number * 7919) % 20011) - 9000;
  for (let attempt = 0; attempt < 1000; attempt++) {
    try {
      const { events, version } = await library.read(account);
      const state = events.reduce(evolve, nothing);
      if (await library.append(account, pay(state, command, cents, isNew), version)) {
        const microseconds = (process.hrtime.bigint() - begun) / 1000n;
        return say(`done ${account} ${command} ${cents} ${microseconds}`);
      }
      say("conflict");
    } catch (error) {
      return say(`failed ${account} ${command} ${error}`);
    }
  }
  say(`failed ${account} ${command} always in conflict`);
}

async function prepare(library, accounts, commands) {
  await library.create();
  for (let number = 0; number < accounts * commands; number++) {
    await execute(library, `p-${number}`, number, `a${number % accounts}`, false);
  }
}

// Every hundredth command opens an account.
async function run(library, name, accounts) {
  let wasNew = false;
  for (let number = 0; !heard.ends; number++) {
    const { isNew } = heard;
    if (isNew && !wasNew) say("writes new");
    wasNew = isNew;
    const mixed = Math.imul(number + 1, 0x9e3779b1) >>> 8;
    const account = number % 100 === 0 ? accounts + mixed : mixed % accounts;
    await execute(library, `${name}-${number}`, number, `a${account}`, isNew);
  }
}

async function states(library) {
  await listening;
  for (const account of heard.lines) {
    const { events } = await library.read(account);
    const state = events.reduce(evolve, nothing);
    say(`state ${account} ${state.cents} ${state.events}`);
  }
}

export async function speak(library) {
  const [verb, ...rest] = process.argv.slice(2);
  switch (verb) {
    case "prepare":
      await prepare(library, Number(rest[0]), Number(rest[1]));
      break;
    case "run":
      await run(library, rest[0], Number(rest[1]));
      break;
    case "states":
      await states(library);
      break;
    case "consume":
      await library.consume((account, number) => say(`seen ${account} ${number}`), listening);
      break;
    default:
      throw new Error("prepare ACCOUNTS COMMANDS | run NAME ACCOUNTS | states | consume");
  }
  await library.close();
}

// How long the daemon takes for its pages with many bans, and what they weigh: `node pages.js [BANS]`, 50,000 when
// nothing is said.
// `SIPWARD_PROGRAMS` is where the programs are, target/debug when nothing is said.

import { once } from "node:events";
import { get } from "node:http";
import { World, until } from "./world.js";

const BANS = Number(process.argv[2] ?? 50_000);
const ROUNDS = 25;
const PAGES = ["/", "/?range=day", "/bans", "/bans?sort=net&order=asc", "/bans?q=friendly", "/bans?limit=1000", "/sources/10.0.1.1", "/users", "/allow", "/policy", "/history"];

// Bytes of the body of an answer as it is sent.
async function weight(url, headers) {
  const [answer] = await once(get(url, { headers }), "response");
  let bytes = 0;
  for await (const part of answer) bytes += part.length;
  return bytes;
}

const world = await World.open();
try {
  for (let n = 0; n < BANS; n += 1) {
    // One of a /24, which else would be banned as a whole.
    const address = `10.${n & 255}.${(n >> 8) & 255}.${1 + (n >> 16)}`;
    const agent = n % 2 ? "sipvicious" : "friendly-scanner";
    // Slower than the daemon judges: none of its events may be lost.
    if (!world.fs.write(`fail ${address} ${1000 + (n % 97)} 1 ${agent}\n`)) await once(world.fs, "drain");
    if (n % 500 === 0) await new Promise((done) => setTimeout(done, 50));
  }
  const token = JSON.parse(world.sipward("token", "add", "pages", "--scope", "read", "--json")).token;
  const headers = { accept: "text/html", authorization: `Bearer ${token}` };
  let active = 0;
  await until("all are banned", async () => {
    ({ active } = (await (await fetch(`${world.base}/api/v1/status`, { headers })).json()).bans);
    return active >= BANS;
  }).catch((error) => console.log(`${error.message}: ${active} of ${BANS} are`));
  console.log(`${active} bans; milliseconds of ${ROUNDS} requests each, one after the other\n`);
  console.log("| page | kB | gzip | refresh, gzip | median | longest |\n|---|---|---|---|---|---|");
  for (const path of PAGES) {
    const times = [];
    let size = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const began = performance.now();
      const answer = await fetch(world.base + path, { headers });
      size = (await answer.arrayBuffer()).byteLength;
      times.push(performance.now() - began);
      if (answer.status !== 200) throw new Error(`${path}: ${answer.status}`);
    }
    const gzip = { ...headers, "accept-encoding": "gzip" };
    const whole = await weight(world.base + path, gzip);
    const part = await weight(world.base + path, { ...gzip, "sipward-part": "1" });
    const weights = [size, whole, part].map((bytes) => (bytes / 1000).toFixed(1)).join(" | ");
    times.sort((one, other) => one - other);
    console.log(`| \`${path}\` | ${weights} | ${times[ROUNDS >> 1].toFixed(1)} | ${times.at(-1).toFixed(1)} |`);
  }
} finally {
  await world.close();
}

// Pictures of every page, to look at: light and dark, 390 and 1280 pixels wide, with no, three and 50,000 bans.
// `node pictures.js [BANS]...` writes target/pictures/BANS/PAGE-THEME-WIDTH.png. `SIPWARD_PROGRAMS` is where the programs
// are, target/debug when nothing is said.

import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT, World, until } from "./world.js";

const COUNTS = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [0, 3, 50_000];
const FOLDER = join(ROOT, "target/pictures");
const BANNED = "203.0.113.7";

// Each page by the name of its files.
const PAGES = {
  overview: "/",
  "overview-month": "/?range=month",
  bans: "/bans",
  "bans-filtered": "/bans?q=sip&country=NL",
  flows: "/flows",
  search: "/search?q=1000",
  source: `/sources/${BANNED}`,
  "source-unknown": "/sources/192.0.2.9",
  users: "/users",
  allow: "/allow",
  mode: "/mode",
  policy: "/policy",
  test: "/test?example=event",
  history: "/history",
  "history-filtered": "/history?event=ban&country=NL",
  notifications: "/notifications",
  doctor: "/doctor",
  nowhere: "/nowhere",
};

for (const bans of COUNTS) {
  const world = await World.open();
  try {
    await attack(world, bans);
    const folder = join(FOLDER, String(bans));
    mkdirSync(folder, { recursive: true });
    const page = await world.visitor("write");
    for (const [name, path] of Object.entries(PAGES)) {
      await page.goto(path);
      await look(page, folder, name);
    }
    await page.goto("/policy");
    await page.locator("[name='max_failures']").fill("4");
    await page.locator("[name='rules.users.mode']").selectOption("ban");
    await page.getByRole("button", { name: "Preview changes" }).first().click();
    await page.getByRole("heading", { name: "Preview", exact: true }).waitFor();
    await look(page, folder, "policy-preview");
    await page.goto("/allow");
    await page.context().close();
    const stranger = await world.visitor();
    await stranger.goto("/login");
    await look(stranger, folder, "login");
    for (const wrong of page.wrong) console.log(wrong);
    console.log(`${folder}: ${Object.keys(PAGES).length + 2} pages`);
  } finally {
    await world.close();
  }
}

// So many bans, and what else happens in an attack: a known phone that fails, forged packets, a guessed password.
async function attack(world, bans) {
  if (bans === 0) return;
  world.tell("login 198.51.100.77 1001");
  world.tell("fail 198.51.100.77 1001 2 Yealink SIP-T46S 66.86.0.15");
  world.tell("fail 203.0.113.99 1003 3 Grandstream GXP1625");
  world.tell(`fail ${BANNED} 1000 5 friendly-scanner`);
  world.tell("fail 2001:db8:bad::7 admin 1 sipvicious");
  world.tell("fail 198.51.100.9 1003 5 Zoiper");
  for (let n = 3; n < bans; n += 1) {
    // Few of a /24, which else would be banned as a whole.
    const address = `10.${n & 255}.${(n >> 8) & 255}.${1 + (n >> 16)}`;
    // Slower than the daemon judges: none of its events may be lost.
    if (!world.fs.write(`fail ${address} ${1000 + (n % 97)} 1 sipvicious\n`)) await once(world.fs, "drain");
    if (n % 500 === 0) await new Promise((done) => setTimeout(done, 60));
  }
  const count = () => Number(/(\d[\d,]*) now/.exec(world.sipward("status"))?.[1].replaceAll(",", "") ?? 0);
  // The last of many take longer than a test waits.
  for (let round = 0; round < 8 && count() < bans; round += 1) {
    await until("all are banned", () => count() >= bans).catch(() => {});
  }
}

async function look(page, folder, name) {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [390, 1280]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 844 });
      await page.screenshot({ path: join(folder, `${name}-${colorScheme}-${width}.png`), fullPage: true });
    }
  }
}

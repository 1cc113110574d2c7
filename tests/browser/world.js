// The environment of the tests: a real daemon in observe mode, a fake FreeSWITCH, and a real browser.

import { spawn, execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import { chromium } from "playwright-core";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const PROGRAMS = process.env.SIPWARD_PROGRAMS ?? join(ROOT, "target/debug");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
// Milliseconds that anything may take.
const PATIENCE = 15_000;

export class World {
  static async open() {
    const world = new World();
    world.directory = mkdtempSync(join(tmpdir(), "sipward-browser-"));
    const fs = spawn(join(PROGRAMS, "fake-freeswitch"), { stdio: ["pipe", "pipe", "inherit"] });
    world.children = [fs];
    world.fs = fs.stdin;
    const [eslPort] = await once(createInterface(fs.stdout), "line");
    const port = await freePort();
    world.base = `http://127.0.0.1:${port}`;
    world.config = join(world.directory, "sipward.toml");
    writeFileSync(world.config, `
mode = "observe"
allow = ["192.0.2.0/24"]
[http]
listen = ["127.0.0.1:${port}"]
[store]
path = "${world.directory}/sipward.db"
[api]
socket = "${world.directory}/sipward.sock"
[geo]
files = ["${ROOT}/tests/fixtures/geo/city.mmdb", "${ROOT}/tests/fixtures/geo/as.mmdb"]
`);
    const env = { ESL_HOST: "127.0.0.1", ESL_PORT: eslPort, ESL_PASSWORD: "ClueCon" };
    const daemon = spawn(join(PROGRAMS, "sipward"), ["run", "--config", world.config], { env, stdio: ["ignore", "pipe", "inherit"] });
    world.children.push(daemon);
    world.log = [];
    createInterface(daemon.stdout).on("line", (line) => world.log.push(line));
    await until("the daemon serves and is connected", async () => {
      const connected = world.log.some((line) => line.includes('"esl_connected"'));
      return connected && (await fetch(`${world.base}/healthz`)).ok;
    });
    return world;
  }

  // Orders the fake FreeSWITCH.
  tell(command) {
    this.fs.write(`${command}\n`);
  }

  sipward(...words) {
    return execFileSync(join(PROGRAMS, "sipward"), [...words, "--config", this.config], { encoding: "utf8" });
  }

  // A page with a session. Its errors are collected.
  async visitor(scope, options = {}) {
    this.browser ??= await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
    const context = await this.browser.newContext({ baseURL: this.base, ...options });
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    page.wrong = [];
    page.on("console", (message) => message.type() === "error" && page.wrong.push(`${page.url()}: ${message.text()}`));
    page.on("pageerror", (error) => page.wrong.push(`${page.url()}: ${error}`));
    page.on("request", (request) => {
      if (!request.url().startsWith(this.base)) page.wrong.push(`asked ${request.url()}`);
    });
    if (scope) {
      const link = this.sipward("token", "link", "--scope", scope).split("\n")[0];
      await page.goto(link);
      // In any language.
      await page.getByRole("main").getByRole("button").click();
      await page.waitForURL(`${this.base}/`);
    }
    return page;
  }

  async close() {
    await this.browser?.close();
    for (const child of this.children ?? []) child.kill();
    if (this.directory) rmSync(this.directory, { recursive: true, force: true });
  }
}

// Findings of axe that make a page unusable.
export async function barriers(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return grave.map(({ id, nodes }) => `${page.url()}: ${id} ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
}

// What a reader of another language cannot read: English words outside of what is marked as such or is a name, and
// words that are broken. `page` is in that language.
export async function unread(page) {
  const found = await page.evaluate(() => {
    const ENGLISH = /\b(the|of|and|from|is|are|not|with|for|to|by|this|that|since|until|more|failures?|bans|banned|sources|users|packets)\b/i;
    const NAMES = "bdi, code, pre, kbd, textarea, .mono, .net, [lang=en]";
    const texts = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode;
      const text = node.data.trim();
      if (!text || node.parentElement.closest(NAMES)) continue;
      if (ENGLISH.test(text)) texts.push(text);
      for (const { index, 0: word } of node.data.matchAll(/[\p{Letter}]{3,}/gu)) {
        const range = document.createRange();
        range.setStart(node, index);
        range.setEnd(node, index + word.length);
        const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
        if (lines.size > 1) texts.push(`broken: ${word} in ${node.parentElement.outerHTML.slice(0, 80)}`);
      }
    }
    for (const element of document.querySelectorAll("[aria-label], [title], [placeholder]")) {
      if (element.closest(NAMES)) continue;
      for (const name of ["aria-label", "title", "placeholder"]) {
        const text = element.getAttribute(name);
        if (text && ENGLISH.test(text.replaceAll(/„[^“]*“/g, ""))) texts.push(`${name}: ${text}`);
      }
    }
    return texts;
  });
  return found.map((text) => `${page.url()}: ${text.slice(0, 200)}`);
}

export async function until(what, holds) {
  const end = Date.now() + PATIENCE;
  let last;
  while (Date.now() < end) {
    try {
      if (await holds()) return;
    } catch (error) {
      last = error;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`waited in vain: ${what}${last ? ` (${last})` : ""}`);
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

// The console in a real browser. `npm ci && node run.js` after `cargo build --workspace --bins`; it needs Chromium.
// Names of tests as arguments run only those that contain one of them.

import assert from "node:assert/strict";
import { World, barriers, unread, until } from "./world.js";

const PAGES = ["/", "/?range=day", "/bans", "/flows", "/sources/198.19.9.7", "/users", "/allow", "/mode", "/policy", "/test?example=event", "/history", "/notifications", "/doctor"];

const tests = {
  async "a link logs in once, and a log-out ends it"(world) {
    const page = await world.visitor();
    const link = world.sipward("token", "link", "--scope", "write").split("\n")[0];
    await page.goto("/bans");
    assert.match(page.url(), /\/login\?next=%2Fbans/);
    await page.goto(link);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor({ state: "attached" });
    assert.deepEqual(page.wrong, []);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.waitForURL(/\/login/);
    await page.goto(link);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").waitFor();
  },

  async "a ban arrives while one looks, in place and without a shift"(world) {
    const page = await world.visitor("write");
    await page.goto("/bans");
    await page.getByText(/^Live/).waitFor();
    await page.evaluate(() => {
      globalThis.shifts = [];
      // What is below a new row makes room for it.
      const outside = ({ node }) => !document.getElementById("bans").contains(node) && !node?.closest?.("footer");
      const note = ({ sources }) => globalThis.shifts.push(...sources.filter(outside).map(({ node }) => node?.outerHTML?.slice(0, 120) ?? "?"));
      new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type: "layout-shift" });
    });
    const head = await page.getByRole("heading", { name: "Bans" }).boundingBox();
    world.tell("fail 198.19.50.7 1000 5");
    await row(page, "198.19.50.7").waitFor();
    await page.getByText("198.19.50.7/32 banned").waitFor();
    assert.deepEqual(await page.getByRole("heading", { name: "Bans" }).boundingBox(), head);
    assert.deepEqual(await page.evaluate(() => globalThis.shifts), []);
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  },

  async "what happens between a page and its stream is shown at once"(world) {
    const page = await world.visitor("read");
    await page.route("**/live?*", async (route) => {
      world.tell("fail 198.19.49.7 1000 5");
      await until("it is banned", () => world.sipward("bans").includes("198.19.49.7"));
      await route.continue();
    });
    await page.goto("/bans");
    // Long before the page would look of its own accord, 15 s after it was loaded.
    await row(page, "198.19.49.7").waitFor({ timeout: 8_000 });
    // The same while the page waits for an answer: what it hears then is not in that answer.
    await page.route("**/bans", async (route) => {
      const answer = await route.fetch();
      world.tell("fail 198.19.48.7 1000 5");
      await until("it is banned", () => world.sipward("bans").includes("198.19.48.7"));
      await page.waitForTimeout(3_000);
      await page.unroute("**/bans");
      await route.fulfill({ response: answer });
    });
    world.sipward("unban", "198.19.49.7");
    await row(page, "198.19.48.7").waitFor({ timeout: 10_000 });
    assert.equal(await row(page, "198.19.49.7").count(), 0);
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  },

  async "the map shades the countries that attack, and a country leads to its bans"(world) {
    world.tell("fail 198.51.100.7 1000 5");
    await until("it is banned", () => world.sipward("bans").includes("198.51.100.7"));
    const page = await world.visitor("read");
    await page.goto("/");
    const germany = page.locator(".map a[href='/bans?country=DE']");
    await germany.waitFor();
    // The outline is of another file: it has a size only where that was loaded.
    await until("its outline is drawn", async () => (await germany.locator("use").boundingBox()).width > 0);
    const box = await germany.locator("use").boundingBox();
    assert.ok(box.width > 5 && box.width < 60 && box.height > 5, JSON.stringify(box));
    assert.match(await germany.getAttribute("aria-label"), /^Germany: 5 failures, 5 of which count, from 1 source; 1 ban$/);
    if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT, fullPage: true });
    await germany.click();
    await row(page, "198.51.100.7").waitFor();
    assert.match(page.url(), /\/bans\?country=DE$/);
    // The same of the history.
    await page.goto("/history?country=DE&event=ban");
    await page.getByRole("table").getByRole("link", { name: "198.51.100.7" }).waitFor();
    await page.goto("/history?country=FR");
    await page.getByText("No decisions.").waitFor();
    await page.getByRole("link", { name: "Remove filter Country" }).click();
    await page.getByRole("table").getByRole("link", { name: "198.51.100.7" }).waitFor();
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  },

  async "a bar of the chart leads to the decisions of its time"(world) {
    world.tell("fail 198.19.55.7 1000 5");
    await until("it is banned", () => world.sipward("bans").includes("198.19.55.7"));
    const page = await world.visitor("read");
    for (const range of ["hour", "day", "week", "month"]) {
      await page.goto(`/?range=${range}`);
      await page.locator(".chart .hit").last().click();
      await page.waitForURL(/\/history\?from=/);
      await page.getByRole("row").filter({ hasText: "198.19.55.7" }).first().waitFor();
    }
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  },

  // It is not pressed: this daemon shares the network of the machine.
  async "the mode page shows who would be blocked, and only a writer may change it"(world) {
    world.tell("fail 198.19.54.7 1000 5");
    await until("it is banned", () => world.sipward("bans").includes("198.19.54.7"));
    const page = await world.visitor("write");
    await page.goto("/");
    await page.getByRole("link", { name: "observe mode" }).click();
    await page.getByRole("heading", { name: "Would be blocked" }).waitFor();
    await row(page, "198.19.54.7").waitFor();
    assert.ok(await page.getByRole("button", { name: "Block these hosts now" }).isEnabled());
    if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
    assert.deepEqual(page.wrong, []);
    await page.context().close();
    const reader = await world.visitor("read");
    await reader.goto("/mode");
    await row(reader, "198.19.54.7").waitFor();
    assert.equal(await reader.getByRole("button", { name: "Block these hosts now" }).count(), 0);
    await reader.context().close();
  },

  async "paused means paused, and ticks outlive a renewal"(world) {
    const page = await world.visitor("write");
    world.tell("fail 198.19.51.7 1000 5");
    await page.goto("/bans");
    await row(page, "198.19.51.7").getByRole("checkbox").check();
    world.tell("fail 198.19.52.7 1000 5");
    // The pointer is in the table.
    await page.getByRole("button", { name: "1 new – show" }).click();
    await row(page, "198.19.52.7").waitFor();
    assert.ok(await row(page, "198.19.51.7").getByRole("checkbox").isChecked());
    await page.getByRole("button", { name: "Pause" }).click();
    world.tell("fail 198.19.53.7 1000 5");
    await until("it is banned", () => world.sipward("bans").includes("198.19.53.7"));
    await page.waitForTimeout(2_500);
    assert.equal(await row(page, "198.19.53.7").count(), 0);
    await page.getByRole("button", { name: "Resume" }).click();
    await row(page, "198.19.53.7").waitFor();
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  },

  async "one is unbanned by its button, several by their ticks"(world) {
    const page = await world.visitor("write");
    for (const last of [60, 61, 62]) world.tell(`fail 198.19.${last}.7 1000 5`);
    await page.goto("/bans?q=198.19.0.0/16");
    await row(page, "198.19.62.7").waitFor();
    await page.getByRole("button", { name: "Unban 198.19.60.7" }).click();
    await page.getByText("198.19.60.7 unbanned").waitFor();
    assert.match(page.url(), /q=198/);
    const bulk = page.locator("#bulk");
    assert.ok(await bulk.isDisabled());
    await row(page, "198.19.61.7").getByRole("checkbox").check();
    assert.equal(await bulk.textContent(), "Unban 1");
    await row(page, "198.19.62.7").getByRole("checkbox").check();
    await page.getByRole("button", { name: "Unban 2" }).click();
    await page.getByText("2 bans lifted").waitFor();
    for (const last of [60, 61, 62]) assert.equal(await row(page, `198.19.${last}.7`).count(), 0);
    assert.ok(await bulk.count() === 0 || await bulk.isDisabled());
    const before = world.sipward("bans");
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("Undone. 2 bans restored.").waitFor();
    await row(page, "198.19.61.7").getByText("failures").waitFor();
    assert.match(world.sipward("bans"), /198\.19\.62\.7/);
    assert.ok(!before.includes("198.19.62.7"));
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  },

  async "rows hold still under the pointer, and new ones wait"(world) {
    const page = await world.visitor("write");
    world.tell("fail 198.19.56.7 1000 5");
    await until("it is banned", () => world.sipward("bans").includes("198.19.56.7"));
    await page.goto("/bans");
    await page.getByText(/^Live/).waitFor();
    const own = row(page, "198.19.56.7");
    await own.hover();
    const place = await own.boundingBox();
    world.tell("fail 198.19.57.7 1000 5");
    await page.getByRole("button", { name: "1 new – show" }).waitFor();
    assert.deepEqual(await own.boundingBox(), place);
    world.sipward("unban", "198.19.56.7");
    await page.getByRole("button", { name: "1 new, 1 ended – show" }).waitFor();
    assert.match(await own.getAttribute("class"), /gone/);
    assert.deepEqual(await own.boundingBox(), place);
    if (process.env.SIPWARD_PICTURES) await page.screenshot({ path: `${process.env.SIPWARD_PICTURES}/held.png` });
    await page.getByRole("button", { name: /show$/ }).click();
    await row(page, "198.19.57.7").waitFor();
    assert.equal(await own.count(), 0);
    // The same with the keyboard in the table.
    await page.mouse.move(0, 0);
    await row(page, "198.19.57.7").getByRole("link").focus();
    world.tell("fail 198.19.58.7 1000 5");
    await page.getByRole("button", { name: "1 new – show" }).waitFor();
    assert.equal(await row(page, "198.19.58.7").count(), 0);
    await page.getByRole("heading", { name: "Bans" }).click();
    await page.evaluate(() => document.activeElement.blur());
    world.tell("fail 198.19.59.7 1000 5");
    await row(page, "198.19.59.7").waitFor();
    await row(page, "198.19.58.7").waitFor();
    assert.equal(await page.getByRole("button", { name: /show$/ }).count(), 0);
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  },

  async "one fetch at load, and selected text outlives a refresh"(world) {
    const page = await world.visitor("read");
    const asked = [];
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    await page.goto("/");
    await page.getByText(/^Live/).waitFor();
    await page.waitForTimeout(2_500);
    assert.equal(asked.filter((path) => path === "/").length, 1, asked.join(" "));
    await page.evaluate(() => getSelection().selectAllChildren(document.querySelector("#strip li")));
    world.tell("fail 198.19.93.7 1000 5");
    await page.getByText("198.19.93.7/32 banned").waitFor();
    assert.match(await page.evaluate(() => getSelection().toString()), /FreeSWITCH connected/);
    await page.context().close();
  },

  async "a known phone is only banned after a warning, also without a script"(world) {
    world.tell("login 198.51.100.40 2040");
    await until("it is known", () => world.sipward("why", "198.51.100.40").includes("known"));
    for (const javaScriptEnabled of [true, false]) {
      const page = await world.visitor("write", { javaScriptEnabled });
      await page.goto("/sources/198.51.100.40");
      await page.getByRole("button", { name: "Ban 198.51.100.40" }).click();
      await page.getByRole("heading", { name: "Ban 198.51.100.40?" }).waitFor();
      await page.getByText(/registered there now|logged in from there lately/).waitFor();
      if (javaScriptEnabled) { await look(page, "confirm"); assert.deepEqual(await barriers(page), []); }
      assert.ok(!world.sipward("bans").includes("198.51.100.40"));
      await page.getByRole("link", { name: "Cancel" }).click();
      await page.getByRole("button", { name: "Ban 198.51.100.40" }).click();
      await page.getByRole("button", { name: "Ban anyway" }).click();
      await page.getByRole("heading", { name: "198.51.100.40 banned" }).waitFor();
      await page.getByRole("button", { name: "Undo" }).click();
      await page.getByRole("heading", { name: /198.51.100.40 not banned/ }).waitFor();
      assert.deepEqual(page.wrong, []);
      await page.context().close();
    }
  },

  async "active filters are shown and removed one by one"(world) {
    const page = await world.visitor("read");
    await page.goto("/bans?q=198.19.0.0/16&scope=host&rule=failures");
    await look(page, "chips");
    await page.getByRole("link", { name: "Remove filter Scope" }).click();
    await page.waitForURL((url) => !url.search.includes("scope"));
    assert.match(page.url(), /rule=failures/);
    await page.getByRole("link", { name: "Remove all" }).click();
    await page.waitForURL(/\/bans$/);
    await page.context().close();
  },

  async "keys lead to pages, are listed, and can be switched off"(world) {
    const page = await world.visitor("read");
    await page.goto("/");
    await page.keyboard.type("gb");
    await page.waitForURL(/\/bans$/);
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement.id), "q");
    await page.keyboard.type("gh?");
    assert.match(page.url(), /\/bans$/);
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press("?");
    await page.getByRole("heading", { name: "Keyboard shortcuts" }).waitFor();
    assert.deepEqual(await barriers(page), []);
    if (process.env.SIPWARD_PICTURES) await page.screenshot({ path: `${process.env.SIPWARD_PICTURES}/keys.png` });
    await page.getByRole("button", { name: "Switch shortcuts off" }).click();
    await page.keyboard.press("Escape");
    await page.keyboard.type("gh");
    await page.waitForTimeout(300);
    assert.match(page.url(), /\/bans$/);
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  },

  async "the first steps say what is left until they are hidden"(world) {
    for (const javaScriptEnabled of [true, false]) {
      const page = await world.visitor("read", { javaScriptEnabled });
      await page.goto("/");
      const steps = page.locator("section", { has: page.getByRole("heading", { name: "First steps" }) });
      await steps.getByText("observe mode: nothing is blocked").waitFor();
      await steps.getByRole("link", { name: "Attackers are blocked" }).click();
      await page.getByRole("heading", { name: "Mode" }).waitFor();
      await page.goto("/");
      await steps.getByRole("button", { name: "Hide" }).click();
      await page.getByRole("heading", { name: "Overview" }).waitFor({ state: "attached" });
      assert.equal(await steps.count(), 0);
      await page.goto("/");
      assert.equal(await steps.count(), 0, "also at the next visit");
      assert.deepEqual(page.wrong, []);
      await page.context().close();
    }
  },

  async "the doctor shows first what needs a look, and what to do"(world) {
    const page = await world.visitor("read");
    await page.goto("/doctor");
    const troubled = page.getByRole("table", { name: "Checks that need a look" });
    await troubled.getByText("observe: everything is decided and recorded").waitFor();
    await troubled.getByText("sipward mode ban").waitFor();
    const fine = page.getByRole("table", { name: "Checks that passed" });
    await fine.getByText("observe mode: the kernel is not changed").first().waitFor();
    await look(page, "doctor");
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  },

  async "before a changed policy is applied, last week is judged again by it"(world) {
    const page = await world.visitor("write");
    world.tell("fail 198.19.77.7 1000 4");
    await until("its failures are remembered", async () => {
      await page.goto("/?range=hour");
      return await page.locator("#ticker").getByText("198.19.77.7").count();
    });
    await page.goto("/policy");
    await page.locator("[name='max_failures']").fill("3");
    await page.getByRole("button", { name: "Preview changes" }).first().click();
    const replay = page.locator("#replay");
    await replay.getByText(/more address(es)? would have been banned/).waitFor();
    await replay.getByText(/judged again one after the other/).waitFor();
    await replay.getByText("Addresses", { exact: true }).first().click();
    await replay.getByRole("link", { name: "198.19.77.7" }).waitFor();
    await look(page, "replay");
    assert.deepEqual(await barriers(page), []);
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  },

  async "a network is banned, with its time and reason"(world) {
    const page = await world.visitor("write");
    await page.goto("/bans");
    await page.getByText("Ban an address or a network").click();
    await page.getByLabel("Address or network").fill("198.18.4.0/22");
    await page.getByLabel("Duration").fill("2h");
    await page.getByLabel("Reason").fill("<b>rings</b> at night");
    await page.getByRole("button", { name: "Ban", exact: true }).click();
    await page.getByText("198.18.4.0/22 banned").first().waitFor();
    await page.getByText("by hand: <b>rings</b> at night").waitFor();
    assert.match(world.sipward("bans"), /198\.18\.4\.0\/22 +host +(2h|1h)/);
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("Undone. 1 ban lifted.").waitFor();
    assert.ok(!world.sipward("bans").includes("198.18.4.0/22"));
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  },

  async "a ban from the SIP ports is made, marked and found"(world) {
    const page = await world.visitor("write");
    await page.goto("/bans");
    await page.getByText("Ban an address or a network").click();
    await page.getByLabel("Address or network").fill("198.18.40.7");
    await page.locator("#ban-scope").selectOption({ label: "SIP ports only" });
    await page.getByRole("button", { name: "Ban", exact: true }).click();
    await page.getByText("198.18.40.7 banned").first().waitFor();
    await row(page, "198.18.40.7").getByText("SIP ports only").waitFor();
    assert.match(world.sipward("bans", "--scope", "sip"), /198\.18\.40\.7/);
    assert.ok(!world.sipward("bans", "--scope", "host").includes("198.18.40.7"));
    await page.locator("select#scope").selectOption({ label: "everything" });
    await page.getByLabel("Search", { exact: true }).fill("");
    await page.getByRole("search", { name: "Search the bans" }).getByRole("button", { name: "Search" }).click();
    await page.waitForURL(/scope=host/);
    assert.equal(await row(page, "198.18.40.7").count(), 0);
    const file = await page.getByRole("link", { name: "Export CSV" }).getAttribute("href");
    assert.match(file, /scope=host/);
    await page.locator("select#scope").selectOption({ label: "SIP ports only" });
    await page.getByRole("search", { name: "Search the bans" }).getByRole("button", { name: "Search" }).click();
    await row(page, "198.18.40.7").waitFor();
    await page.goto("/sources/198.18.40.7");
    await page.getByText("Web, mail and SSH of this server remain reachable from this address.").waitFor();
    await look(page, "source-sip");
    assert.deepEqual(await barriers(page), []);
    assert.deepEqual(page.wrong, []);
    world.sipward("unban", "198.18.40.7");
    await page.context().close();
  },

  async "a flow is denied behind a known address, listed, and allowed again"(world) {
    world.tell("login 203.0.113.77 2100");
    world.tell("fail 203.0.113.77:41234 2101 70");
    await until("its flow is denied", () => world.sipward("flows").includes("203.0.113.77 udp 41234"));
    assert.ok(!world.sipward("bans").includes("203.0.113.77"));
    const page = await world.visitor("write");
    await page.getByRole("link", { name: "2 flows denied" }).click();
    await page.waitForURL(/\/flows$/);
    const flow = (transport) => page.locator(`tr[data-key="203.0.113.77 ${transport} 41234"]`);
    await flow("udp").waitFor();
    await look(page, "flows");
    await page.goto("/bans");
    await look(page, "bans");
    await page.getByRole("link", { name: "2 flows denied" }).click();
    await page.getByRole("button", { name: "Allow 203.0.113.77 udp 41234" }).click();
    await page.waitForURL(/\/flows/);
    await until("it is allowed", () => !world.sipward("flows").includes("udp 41234"));
    assert.equal(await flow("udp").count(), 0);
    await flow("tcp").waitFor();
    await page.goto("/sources/203.0.113.77");
    await page.getByRole("heading", { name: "Denied flows" }).waitFor();
    await look(page, "source-flow");
    await page.getByRole("button", { name: "Allow 203.0.113.77 tcp 41234" }).click();
    await until("both are", () => world.sipward("flows").includes("no denied flows"));
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  },

  async "what is refused says why, and whether one may insist"(world) {
    const page = await world.visitor("write");
    const ask = async (net) => {
      await page.goto("/bans");
      await page.getByText("Ban an address or a network").click();
      await page.getByLabel("Address or network").fill(net);
      await page.getByRole("button", { name: "Ban", exact: true }).click();
      return page.getByRole("alert").first().textContent();
    };
    assert.match(await ask("203.0.113.300"), /write an address/);
    assert.equal(await page.getByLabel("Address or network").getAttribute("aria-invalid"), "true");
    for (const own of ["127.0.0.1", "0.0.0.0/0"]) {
      assert.match(await ask(own), /not banned: .*Nothing overrides this\./);
      assert.equal(await page.getByLabel(/Override|anyway/).count(), 0);
      assert.equal(await page.getByLabel("Address or network").inputValue(), own);
    }
    // A phone of another test is registered there.
    if (/not strangers/.test(await ask("198.0.0.0/8"))) await page.getByRole("button", { name: "Ban anyway" }).click();
    await page.getByText(/wider than/).waitFor();
    await page.getByLabel("Override and ban").check();
    await page.getByRole("button", { name: "Ban", exact: true }).click();
    await page.getByText("198.0.0.0/8 banned").first().waitFor();
    world.sipward("unban", "198.0.0.0/8");
    await page.context().close();
  },

  async "the page of a source says why and lifts the ban"(world) {
    const page = await world.visitor("write");
    world.tell("fail 198.19.70.7 1000 3 Evil\u202e<script>alert(1)</script>");
    world.tell("fail 198.19.70.7 1001 2 Evil\u202e<script>alert(1)</script>");
    await until("it is banned", () => world.sipward("bans").includes("198.19.70.7"));
    await page.goto("/");
    await page.getByLabel("Address, network, user or user agent").fill("198.19.70.7");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "198.19.70.7 banned" }).waitFor();
    const text = await page.getByRole("main").innerText();
    assert.match(text, /1001/);
    assert.ok(text.includes("Evil\\u{202e}<script>alert(1)</script>"), text);
    assert.match(text, /When it was banned/);
    assert.match(text, /5 within 10 min/);
    await page.getByRole("button", { name: "Unban" }).click();
    await page.getByText("198.19.70.7 unbanned").first().waitFor();
    await page.getByRole("heading", { name: "198.19.70.7 not banned" }).waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByRole("heading", { name: "198.19.70.7 banned" }).waitFor();
    await page.getByRole("main").getByText("Evil").first().waitFor();
    await look(page, "source");
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  },

  async "a policy is changed after it was shown what that means"(world) {
    world.tell("fail 198.19.90.7 1000 5");
    await until("it is banned", () => world.sipward("bans").includes("198.19.90.7"));
    const page = await world.visitor("write");
    await page.goto("/policy");
    await page.getByLabel("Failures before a ban").fill("many");
    await page.getByRole("button", { name: "Preview changes" }).first().click();
    assert.match(await page.getByRole("alert").textContent(), /whole number/);
    await page.getByLabel("Failures before a ban").fill("9");
    await page.getByLabel("Mode of the rule slow").selectOption("ban");
    await page.getByRole("button", { name: "Preview changes" }).first().click();
    await page.getByRole("heading", { name: "Preview" }).waitFor();
    const text = await page.getByRole("main").innerText();
    assert.match(text, /max_failures: 5 → 9/);
    assert.match(text, /rules.slow.mode: shadow → ban/);
    await page.getByText("Bans that would not have been made").click();
    await page.getByText("198.19.90.7, failures: the failures would not reach the threshold").first().waitFor();
    assert.deepEqual(await barriers(page), []);
    assert.match(world.sipward("policy", "show"), /max_failures +5 +default/);
    await page.getByRole("button", { name: "Apply" }).click();
    await page.getByText("The change was applied.").waitFor();
    assert.match(world.sipward("policy", "show"), /max_failures +9 +run time, stored/);
    await page.getByRole("button", { name: "Reset max_failures" }).click();
    await page.getByText("Reset to the configured value.").waitFor();
    assert.match(world.sipward("policy", "show"), /max_failures +5 +default/);
    world.sipward("policy", "reset", "rules.slow.mode");
    assert.deepEqual(page.wrong.filter((line) => !line.includes("422")), []);
    await page.context().close();
  },

  async "a host that is to be allowed is shown first, then unbanned"(world) {
    world.tell("fail 198.19.91.7 1000 5");
    await until("it is banned", () => world.sipward("bans").includes("198.19.91.7"));
    const page = await world.visitor("write");
    await page.goto("/sources/198.19.91.7");
    await page.getByRole("button", { name: "Allow…" }).click();
    await page.getByRole("heading", { name: "Allow 198.19.91.7/32?" }).waitFor();
    assert.match(await page.getByRole("main").innerText(), /Bans to lift\s+1/);
    assert.deepEqual(await barriers(page), []);
    await page.getByRole("button", { name: "Apply" }).click();
    await page.getByText("Added to the allow list; 1 ban lifted.").waitFor();
    await page.getByRole("button", { name: "Remove 198.19.91.7/32" }).click();
    await page.getByText("Removed from the allow list.").waitFor();
    await page.getByText("Add an entry").click();
    await page.getByLabel("Address, network or DNS name").fill("not a host!");
    await page.getByRole("button", { name: "Preview changes" }).click();
    assert.match(await page.getByRole("alert").textContent(), /neither an address/);
    await page.context().close();
  },

  async "whose an address is, is asked when one asks"(world) {
    const page = await world.visitor("read");
    // A documentation address: no look-up goes outside, and the page says why.
    await page.goto("/sources/198.19.9.7");
    await page.getByRole("button", { name: "Query DNS and whois" }).click();
    await page.getByText(/^whois: /).waitFor();
    assert.deepEqual(await barriers(page), []);
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  },

  async "all that the list shows can be had as a file"(world) {
    const page = await world.visitor("read");
    world.tell("fail 198.19.92.7 1000 1 friendly-scanner");
    await until("it is banned", () => world.sipward("bans").includes("198.19.92.7"));
    await page.goto("/bans");
    await page.getByLabel("Search", { exact: true }).fill("friendly");
    await page.getByRole("search", { name: "Search the bans" }).getByRole("button", { name: "Search" }).click();
    await row(page, "198.19.92.7").waitFor();
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Export CSV" }).click()]);
    const { createReadStream } = await import("node:fs");
    let text = "";
    for await (const part of createReadStream(await file.path(), "utf8")) text += part;
    assert.match(text, /198\.19\.92\.7\/32/);
    assert.equal(text.trim().split("\n").length, 2);
    await page.context().close();
  },

  async "a rule test shows what was read and what would follow"(world) {
    const page = await world.visitor("write");
    await page.goto("/test");
    await page.getByRole("link", { name: "Example: events" }).click();
    await page.getByRole("button", { name: "Test" }).click();
    const verdict = page.locator("#verdict");
    await verdict.getByText("auth failure").first().waitFor();
    await verdict.getByText("203.0.113.99/32 would be banned.").waitFor();
    assert.equal(await page.getByLabel("Text").inputValue().then((text) => text.includes("friendly-scanner")), true);
    await page.getByRole("link", { name: "Example: log line" }).click();
    await page.getByRole("button", { name: "Test" }).click();
    await verdict.getByText("complaint").first().waitFor();
    assert.ok(!world.sipward("bans").includes("203.0.113.99/"));
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  },

  async "who may only read sees no buttons, and gets no further by hand"(world) {
    world.tell("fail 198.19.80.7 1000 5");
    await until("it is banned", () => world.sipward("bans").includes("198.19.80.7"));
    const page = await world.visitor("read");
    for (const path of [...PAGES, "/sources/198.19.80.7"]) {
      await page.goto(path);
      const buttons = await page.getByRole("main").getByRole("button").allTextContents();
      assert.deepEqual(buttons.filter((text) => !/^(Search|Look up|Test|Query DNS and whois|Hide)$/.test(text)), [], path);
    }
    assert.deepEqual(page.wrong, []);
    const status = await page.evaluate(async () => {
      const body = new URLSearchParams({ net: "198.19.80.7" });
      return (await fetch("/bans/unban", { method: "POST", body, headers: { accept: "text/html" } })).status;
    });
    assert.equal(status, 403);
    assert.ok(world.sipward("bans").includes("198.19.80.7"));
    await page.context().close();
  },

  async "without a script one reads, bans and unbans"(world) {
    const page = await world.visitor("write", { javaScriptEnabled: false });
    for (const path of PAGES) {
      assert.equal((await page.goto(path)).status(), 200, path);
    }
    await page.goto("/bans");
    await page.getByText("Ban an address or a network").click();
    await page.getByLabel("Address or network").fill("198.18.9.9");
    await page.getByRole("button", { name: "Ban", exact: true }).click();
    await page.getByText("198.18.9.9 banned").waitFor();
    await page.goto("/bans");
    assert.ok(await page.locator("#bulk").isEnabled());
    await page.getByLabel("Filter and sort").count();
    await page.locator("#bulk").click();
    assert.match(await page.getByRole("alert").textContent(), /select at least one ban/);
    assert.ok(await page.getByRole("navigation", { name: "Pages", exact: true }).isVisible());
    await page.getByRole("button", { name: "Unban 198.18.9.9" }).click();
    await page.getByText("198.18.9.9 unbanned").waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("Undone. 1 ban restored.").waitFor();
    await page.getByRole("button", { name: "Unban 198.18.9.9" }).click();
    await page.getByText("198.18.9.9 unbanned").waitFor();
    await page.getByRole("button", { name: "dark" }).click();
    assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
    await page.getByRole("button", { name: "system" }).click();
    assert.equal(await page.locator("html").getAttribute("data-theme"), null);
    assert.deepEqual(page.wrong.filter((line) => !line.includes("422")), []);
    await page.context().close();
  },

  async "everything can be reached by the keyboard"(world) {
    const page = await world.visitor("write");
    await page.goto("/bans");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    assert.ok(await page.getByLabel("Address or network").isVisible());
    await page.context().close();
  },

  async "what goes wrong is a page that says what to do"(world) {
    const page = await world.visitor("write");
    for (const [path, status] of [["/nowhere", 404], ["/sources/nobody", 422], ["/bans?sort=size", 422], ["/history?from=yesterday", 422]]) {
      assert.equal((await page.goto(path)).status(), status, path);
      assert.ok(await page.getByRole("button", { name: "Log out" }).isVisible(), path);
      assert.ok(!(await page.getByRole("main").innerText()).includes("openapi"), path);
    }
    await page.goto("/bans?q=abc&sort=size");
    assert.equal(await page.getByLabel("Search", { exact: true }).inputValue(), "abc");
    await page.getByRole("alert").waitFor();
    await page.context().close();
  },

  async "a page speaks the browser's language until another is chosen, and the script speaks it too"(world) {
    const page = await world.visitor("write", { locale: "de-AT" });
    const language = () => page.locator("html").getAttribute("lang");
    const answer = await page.goto("/bans");
    assert.equal(await language(), "de");
    assert.equal(answer.headers()["content-language"], "de");
    assert.match(answer.headers().vary, /accept-language, cookie/);
    await page.getByRole("heading", { name: "Sperren", exact: true }).waitFor();
    world.tell("fail 198.19.94.7 1000 5");
    await page.getByText("198.19.94.7/32 gesperrt").waitFor();
    await row(page, "198.19.94.7").getByRole("checkbox").check();
    assert.equal(await page.locator("#bulk").textContent(), "1 freigeben");
    await page.getByRole("button", { name: "Anhalten" }).click();
    await page.getByText(/^Angehalten um/).waitFor();
    await page.getByRole("button", { name: "Fortsetzen" }).click();
    // Errors are in the same language, with what the daemon says marked as English.
    await page.goto("/bans?sort=size");
    assert.match(await page.getByRole("alert").textContent(), /^Ungültiger Wert/);
    await page.goto("/nowhere");
    await page.getByRole("heading", { name: "Nicht gefunden" }).waitFor();
    assert.equal(await page.locator("main bdi[lang=en]").count(), 1);
    await page.goto("/history?net=198.19.94.7");
    await page.getByRole("button", { name: "English" }).click();
    await page.waitForURL(/\/history\?net=198/);
    assert.equal(await language(), "en");
    for (const path of PAGES) {
      await page.goto(path);
      assert.equal(await language(), "en", path);
    }
    await page.reload();
    assert.equal(await language(), "en");
    await page.getByRole("button", { name: "Deutsch" }).click();
    await page.getByRole("button", { name: "Deutsch", pressed: true }).waitFor();
    await page.getByRole("button", { name: "Abmelden" }).click();
    await page.getByRole("heading", { name: "Anmelden" }).waitFor();
    assert.equal(await language(), "de");
    assert.deepEqual(page.wrong.filter((line) => !/422|404/.test(line)), []);
    await page.context().close();
    const other = await world.visitor("read", { locale: "fr-FR" });
    assert.equal(await other.locator("html").getAttribute("lang"), "en");
    await other.context().close();
  },

  async "in German no page has an English word, a broken one, or is too wide"(world) {
    world.tell("fail 198.19.95.7 1000 5");
    world.tell("login 198.51.100.31 2001");
    await until("it is banned", () => world.sipward("bans").includes("198.19.95.7"));
    const found = [];
    for (const [colorScheme, width] of [["light", 390], ["dark", 1280]]) {
      const page = await world.visitor("write", { locale: "de", colorScheme, viewport: { width, height: 844 } });
      for (const path of [...PAGES, "/sources/198.19.95.7", "/sources/198.51.100.31", "/search?q=1000", "/bans?q=abc&rule=failures"]) {
        await page.goto(path);
        await page.getByText(/^(Live|Stand)/).first().waitFor();
        await look(page, `de-${path.replaceAll(/\W+/g, "-")}`);
        found.push(...(await barriers(page)), ...(await unread(page)));
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (overflow > 0) found.push(`${path} is ${overflow} px too wide for ${width}`);
        const screens = await page.evaluate(() => document.documentElement.scrollHeight / innerHeight);
        if (screens > 6) found.push(`${path} is ${screens.toFixed(1)} screens long at ${width}`);
      }
      assert.deepEqual(page.wrong, []);
      await page.context().close();
      const nobody = await world.visitor(undefined, { locale: "de", colorScheme, viewport: { width, height: 844 } });
      await nobody.goto("/login");
      found.push(...(await barriers(nobody)), ...(await unread(nobody)));
      await nobody.context().close();
    }
    assert.deepEqual(found, []);
  },

  async "no page keeps somebody out, in the light and in the dark, wide and narrow"(world) {
    world.tell("fail 198.19.9.7 1000 5");
    world.tell("login 198.51.100.30 2000");
    await until("it is banned", () => world.sipward("bans").includes("198.19.9.7"));
    const found = [];
    for (const [colorScheme, width] of [["light", 1280], ["dark", 390], ["light", 390], ["dark", 1280]]) {
      const page = await world.visitor("write", { colorScheme, viewport: { width, height: 844 } });
      for (const path of PAGES) {
        await page.goto(path);
        await page.getByText(/^(Live|As of)/).first().waitFor();
        found.push(...(await barriers(page)));
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (overflow > 0) found.push(`${path} is ${overflow} px too wide for ${width}`);
        const screens = await page.evaluate(() => document.documentElement.scrollHeight / innerHeight);
        if (screens > 6) found.push(`${path} is ${screens.toFixed(1)} screens long at ${width}`);
      }
      assert.deepEqual(page.wrong, []);
      await page.context().close();
      const nobody = await world.visitor(undefined, { colorScheme, viewport: { width, height: 844 } });
      await nobody.goto("/login");
      found.push(...(await barriers(nobody)));
      await nobody.context().close();
    }
    assert.deepEqual(found, []);
  },
};

function row(page, net) {
  return page.locator(`tr[data-key="${net.includes("/") ? net : `${net}/32`}"]`);
}

// Pictures of a page in the light and in the dark, wide and narrow, where SIPWARD_PICTURES says.
async function look(page, name) {
  const folder = process.env.SIPWARD_PICTURES;
  if (!folder) return;
  const before = page.viewportSize();
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [390, 1280]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 844 });
      await page.screenshot({ path: `${folder}/${name}-${colorScheme}-${width}.png`, fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(before);
}

const wanted = process.argv.slice(2);
const chosen = Object.entries(tests).filter(([name]) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
let passed = 0;
let failed = 0;
const world = await World.open().catch((error) => { console.error(error); process.exit(1); });
try {
  for (const [name, test] of chosen) {
    const began = Date.now();
    try {
      await test(world);
      passed += 1;
      console.log(`ok ${name} (${Date.now() - began} ms)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${name}\n${error.stack}`);
    }
  }
} finally {
  await world.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

// Refreshes a page: after an event it fetches the parts that change and patches what differs. Everything else works
// without it.

// Milliseconds: the shortest time between two refreshes, and the longest without events.
const SOONEST = 1500;
const LATEST = 15000;
// Bytes a second that refreshes may cost in the long run, and what may be spent at once.
const RATE = 320;
const BURST = 60000;

const $ = (id) => document.getElementById(id);
const main = $("main");
const fresh = main?.dataset.fresh;
const said = $("live");
const box = said?.parentElement;
const pause = $("pause");
const alerts = $("alerts");
const WORDS = JSON.parse(document.body.dataset.words ?? "{}");
const store = (() => { try { localStorage.length; return localStorage; } catch { return {}; } })();
const tab = (() => { try { sessionStorage.length; return sessionStorage; } catch { return {}; } })();

let source;
let timer;
let looked = Date.now();
let busy = false;
let paused = tab.paused === "1";
const NOTHING = { bans: 0, unbans: 0, last: "" };
// What was heard since the last look began.
let waiting;
let credit = BURST;

const hour = () => new Date().toLocaleTimeString(document.documentElement.lang);
// A text in the language of the page.
const word = (name, values) => (WORDS[name] ?? "").replace(/\{(\w+)\}/g, (_, value) => values[value]);

function say(on, text) {
  box.classList.toggle("on", on);
  box.classList.toggle("off", !on);
  said.textContent = text;
}

function heard({ data }) {
  const change = JSON.parse(data);
  const { bans, unbans, last } = waiting ?? NOTHING;
  waiting = { bans: bans + change.bans, unbans: unbans + change.unbans, last: change.last || last };
  if (change.alert && alerts.getAttribute("aria-pressed") === "true") new Notification("sipward", { body: change.alert, tag: "sipward" });
  plan(SOONEST);
}

// A refresh waits until it can be paid for, for a minute at most: under attack that is every ten seconds or so.
function plan(pause) {
  if (paused) return;
  const debt = Math.min(60000, Math.max(0, -credit / RATE) * 1000);
  const due = Math.max(0, looked + Math.max(pause, debt) - Date.now());
  if (timer && timer.due <= Date.now() + due) return;
  clearTimeout(timer?.id);
  timer = { due: Date.now() + due, id: setTimeout(look, due) };
}

async function look() {
  timer = undefined;
  if (paused || busy || document.hidden) return;
  busy = true;
  const { bans, unbans, last } = waiting ?? NOTHING;
  waiting = undefined;
  credit = Math.min(BURST, credit + ((Date.now() - looked) / 1000) * RATE);
  looked = Date.now();
  try {
    const answer = await fetch(fresh, { headers: { accept: "text/html", "sipward-part": "1" }, cache: "no-store" });
    if (answer.redirected || answer.status === 401) return location.reload();
    if (!answer.ok) throw new Error(answer.status);
    const text = await answer.text();
    // With its head, which a browser does not count.
    credit -= 800 + (performance.getEntriesByType("resource").at(-1)?.encodedBodySize || text.length / 4);
    performance.clearResourceTimings();
    const page = new DOMParser().parseFromString(text, "text/html");
    main.dataset.seen = page.querySelector("main").dataset.seen;
    renew(page);
    const what = bans + unbans > 1 ? word("many", { bans, unbans, last }) : last;
    say(true, `${word(source?.readyState === 1 ? "live" : "polling")} · ${hour()}${last ? ` · ${what}` : ""}`);
  } catch (error) {
    say(false, word("silent", { time: hour() }));
  } finally {
    busy = false;
    plan(waiting ? SOONEST : LATEST);
  }
}

// Local time in place of UTC, which moves into the title.
function localise(root) {
  for (const time of root.querySelectorAll("time.at")) {
    const utc = time.textContent;
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const two = (number) => String(number).padStart(2, "0");
    time.title = utc;
    time.textContent = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
    time.className = "local";
  }
}

// Whether somebody points at a table, has the focus in it, or selected some of its text.
function held(table) {
  const chosen = getSelection();
  return table.matches(":hover") || table.contains(document.activeElement)
    || (chosen && !chosen.isCollapsed && table.contains(chosen.anchorNode));
}

function renew(page, release) {
  localise(page);
  for (const now of page.querySelectorAll("[data-live]")) {
    const old = $(now.id);
    if (!old) continue;
    const body = old.querySelector("tbody:has(> [data-key])");
    const next = now.querySelector("tbody:has(> [data-key])");
    const isHeld = body && next && !release && held(body);
    old.querySelector(".fresh")?.remove();
    if (!isHeld) { patch(old, now); continue; }
    const keys = new Set([...body.rows].map((row) => row.dataset.key));
    const stay = new Map([...next.rows].map((row) => [row.dataset.key, row]));
    const added = [...stay.keys()].filter((key) => !keys.has(key)).length;
    const gone = [...keys].filter((key) => !stay.has(key)).length;
    for (const row of body.rows) {
      const twin = stay.get(row.dataset.key);
      row.classList.toggle("gone", !twin);
      if (twin) patch(row, twin);
    }
    if (added + gone === 0) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "fresh";
    const changes = [added && word("added", { count: added }), gone && word("gone", { count: gone })];
    button.textContent = word("show", { changes: changes.filter(Boolean).join(", ") });
    button.addEventListener("click", () => { renew(page, true); main.focus({ preventScroll: true }); });
    old.prepend(button);
  }
  count();
}

// Makes `old` like `now` and touches only what differs, so that focus, ticks and selected text stay. Rows are
// recognised by their keys.
function patch(old, now) {
  if (old.isEqualNode(now)) return;
  if (old.nodeType !== 1) { if (old.data !== now.data) old.data = now.data; return; }
  for (const { name } of [...old.attributes]) if (!now.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of now.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const keyed = [...now.children].some((child) => child.dataset?.key);
  const known = new Map(keyed ? [...old.children].map((child) => [child.dataset.key, child]) : []);
  const wanted = new Set([...now.children].map((child) => child.dataset?.key));
  if (keyed) for (const child of [...old.childNodes]) if (!wanted.has(child.dataset?.key)) child.remove();
  let place = old.firstChild;
  for (const child of [...now.childNodes]) {
    const twin = keyed ? known.get(child.dataset?.key) : place;
    const same = twin && twin.nodeName === child.nodeName;
    if (same && twin === place) { place = place.nextSibling; patch(twin, child); continue; }
    if (keyed && !twin) child.classList.add("new");
    const stays = keyed && same ? twin : child.cloneNode(true);
    if (!keyed && place) { const after = place.nextSibling; place.replaceWith(stays); place = after; } else old.insertBefore(stays, place);
    if (stays === twin) patch(twin, child);
  }
  while (place) { const after = place.nextSibling; place.remove(); place = after; }
}

function listen() {
  source?.close();
  // The daemon says at once whether something has changed since.
  source = new EventSource(`/live?seen=${main.dataset.seen}`);
  source.onopen = () => {
    say(true, `${word("live")} · ${hour()}`);
    plan(LATEST);
  };
  source.onerror = () => { if (source.readyState === 2) say(true, `${word("polling")} · ${hour()}`); };
  source.onmessage = heard;
}

// A hidden page closes its connection: browsers allow six for a host, and the daemon sixteen in total.
function wake(event) {
  if (document.hidden && alerts.getAttribute("aria-pressed") !== "true") return source?.close();
  if (paused) return;
  if (!source || source.readyState === 2) listen();
  plan(event ? SOONEST : LATEST);
}

function set(on, event) {
  paused = on;
  tab.paused = on ? "1" : "0";
  pause.textContent = word(on ? "resume" : "pause");
  if (on) { source?.close(); clearTimeout(timer?.id); timer = undefined; say(false, word("stopped", { time: hour() })); } else { wake(event); }
}

localise(document);
if (fresh) {
  pause.hidden = false;
  pause.addEventListener("click", (event) => set(!paused, event));
  if ("Notification" in window) {
    alerts.hidden = false;
    const press = (on) => { alerts.setAttribute("aria-pressed", String(on)); tab.alerts = on ? "1" : "0"; };
    press(tab.alerts === "1" && Notification.permission === "granted");
    alerts.addEventListener("click", async () => {
      const on = alerts.getAttribute("aria-pressed") !== "true";
      press(on && (await Notification.requestPermission()) === "granted");
    });
  }
  document.addEventListener("visibilitychange", wake);
  set(paused);
}

// The button that acts on the selected rows says how many there are.
function count() {
  const bulk = $("bulk");
  if (!bulk) return;
  const boxes = [...document.querySelectorAll('input[name="net"][type=checkbox]')];
  const number = boxes.filter((input) => input.checked).length;
  bulk.disabled = number === 0;
  bulk.textContent = number ? word("unban", { count: number }) : word("selected");
  const all = $("all");
  if (all) { all.checked = number > 0 && number === boxes.length; all.indeterminate = number > 0 && number < boxes.length; }
}

main?.addEventListener("change", ({ target }) => {
  if (target.id === "all") for (const input of document.querySelectorAll('input[name="net"][type=checkbox]')) input.checked = target.checked;
  count();
});
count();

// A press on a row opens its source.
main?.addEventListener("click", (event) => {
  if (event.target.closest("a, button, input, label, summary, select") || !getSelection().isCollapsed) return;
  event.target.closest("tr[data-key]")?.querySelector("a.net")?.click();
});

// Keys, unless they were switched off.
const keys = $("keys");
const PLACES = { o: "/", b: "/bans", u: "/users", a: "/allow", p: "/policy", t: "/test", h: "/history", n: "/notifications", d: "/doctor" };
let before = 0;
document.addEventListener("keydown", (event) => {
  const { key, target, ctrlKey, altKey, metaKey } = event;
  if (!keys || ctrlKey || altKey || metaKey || target.closest("input, select, textarea, dialog")) return;
  if (store.keys === "off" && key !== "?") return;
  const went = Date.now() - before < 1500 && PLACES[key];
  before = key === "g" ? Date.now() : 0;
  if (went) location.assign(went);
  else if (key === "?") keys.showModal();
  else if (key === "/") (document.querySelector("main input[type=search]") ?? document.querySelector("input[type=search]"))?.focus();
  else if (key === "p" && fresh) pause.click();
  else return;
  event.preventDefault();
});
const off = $("keys-off");
if (off) {
  const label = () => { off.textContent = word(store.keys === "off" ? "keysOn" : "keysOff"); };
  label();
  off.addEventListener("click", () => { store.keys = store.keys === "off" ? "on" : "off"; label(); });
}

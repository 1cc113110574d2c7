// Refreshes a page: after an event it fetches the page again and replaces the parts that changed. Everything else
// works without it.

const KINDS = "ban,unban,refused,needs_attention,alarm,gate,esl_connected,esl_disconnected,esl_blind,store_degraded,store_recovered,reload";
// Milliseconds: the shortest time between two refreshes, and the longest without events.
const SOONEST = 1500;
const LATEST = 15000;

const $ = (id) => document.getElementById(id);
const main = $("main");
const fresh = main?.dataset.fresh;
const said = $("live");
const box = said?.parentElement;
const pause = $("pause");
const alerts = $("alerts");
const store = (() => { try { sessionStorage.length; return sessionStorage; } catch { return {}; } })();

let source;
let timer;
let looked = 0;
let busy = false;
let paused = store.paused === "1";
let waiting = { ban: 0, unban: 0, words: "" };

const hour = () => new Date().toISOString().slice(11, 19);

function say(on, text) {
  box.classList.toggle("on", on);
  box.classList.toggle("off", !on);
  said.textContent = text;
}

// A record in short. Control characters come from attackers and are replaced.
function words(kind, line) {
  const clean = (text) => String(text ?? "").replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\ufffd").slice(0, 80);
  switch (kind) {
    case "ban": return `${clean(line.net)} banned`;
    case "unban": return `${clean(line.net)} unbanned`;
    case "refused": return `ban of ${clean(line.net)} refused`;
    case "needs_attention": return `phone of ${clean(line.user)} needs attention`;
    case "alarm": return `ALARM ${clean(line.alarm).replaceAll("_", " ")}`;
    case "esl_connected": return "FreeSWITCH connected";
    case "esl_disconnected": return "FreeSWITCH NOT connected";
    default: return kind.replaceAll("_", " ");
  }
}

function heard(kind, data) {
  let line = {};
  try { line = JSON.parse(data); } catch { /* shown without details */ }
  if (kind in waiting) waiting[kind] += 1;
  waiting.words = words(kind, line);
  if (alerts.getAttribute("aria-pressed") === "true" && (kind === "ban" || kind === "alarm" || kind === "esl_disconnected")) {
    new Notification("sipward", { body: waiting.words, tag: kind });
  }
  plan(SOONEST);
}

function plan(pause) {
  if (paused) return;
  const due = Math.max(0, looked + pause - Date.now());
  if (timer && timer.due <= Date.now() + due) return;
  clearTimeout(timer?.id);
  timer = { due: Date.now() + due, id: setTimeout(look, due) };
}

async function look() {
  timer = undefined;
  if (paused || busy || document.hidden) return;
  busy = true;
  looked = Date.now();
  try {
    const answer = await fetch(fresh, { headers: { accept: "text/html" }, cache: "no-store" });
    if (answer.redirected || answer.status === 401) return location.reload();
    if (!answer.ok) throw new Error(answer.status);
    renew(new DOMParser().parseFromString(await answer.text(), "text/html"));
    const { ban, unban } = waiting;
    const many = ban + unban > 1 ? `${ban} banned, ${unban} unbanned; last: ` : "";
    const last = waiting.words ? ` · ${many}${waiting.words}` : "";
    waiting = { ban: 0, unban: 0, words: "" };
    say(true, `${source?.readyState === 1 ? "Live" : "Every 15 s"} · ${hour()}${last}`);
  } catch (error) {
    say(false, `No answer since ${hour()} UTC`);
  } finally {
    busy = false;
    plan(LATEST);
  }
}

// Replaces what differs. Checkboxes and the keyboard focus are kept; new rows are marked.
function renew(page) {
  for (const now of page.querySelectorAll("[data-live]")) {
    const old = $(now.id);
    if (!old || old.innerHTML === now.innerHTML) continue;
    const ticked = new Set([...old.querySelectorAll("input:checked")].map((input) => input.value));
    const keys = new Set([...old.querySelectorAll("tr[data-key]")].map((row) => row.dataset.key));
    const focus = old.contains(document.activeElement) ? place(document.activeElement) : undefined;
    const open = [...old.querySelectorAll("details")].map((details) => details.open);
    for (const input of now.querySelectorAll("input[type=checkbox]")) {
      if (ticked.has(input.value)) input.setAttribute("checked", "");
    }
    now.querySelectorAll("details").forEach((details, n) => { details.open = open[n] ?? false; });
    if (keys.size) {
      for (const row of now.querySelectorAll("tr[data-key]")) row.classList.toggle("new", !keys.has(row.dataset.key));
    }
    old.replaceChildren(...now.childNodes);
    if (focus) old.querySelector(focus)?.focus({ preventScroll: true });
  }
}

// A selector that finds the element again.
function place(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  const value = element.value ?? element.getAttribute("href");
  const name = element.name ? `[name="${CSS.escape(element.name)}"]` : "";
  const by = element.hasAttribute("href") ? "href" : "value";
  return `${element.localName}${name}[${by}="${CSS.escape(value ?? "")}"]`;
}

function listen() {
  source?.close();
  source = new EventSource(`/api/v1/events?event=${KINDS}`);
  source.onopen = () => { say(true, `Live · ${hour()}`); plan(SOONEST); };
  source.onerror = () => { if (source.readyState === 2) say(true, `Every 15 s · ${hour()}`); };
  for (const kind of [...KINDS.split(","), "missed"]) {
    source.addEventListener(kind, (event) => heard(kind, event.data));
  }
}

// A hidden page closes its connection: browsers allow six for a host, and the daemon sixteen in total.
function wake() {
  if (document.hidden && alerts.getAttribute("aria-pressed") !== "true") return source?.close();
  if (paused) return;
  if (!source || source.readyState === 2) listen();
  plan(SOONEST);
}

function set(on) {
  paused = on;
  store.paused = on ? "1" : "0";
  pause.textContent = on ? "Resume" : "Pause";
  if (on) { source?.close(); clearTimeout(timer?.id); timer = undefined; say(false, `Paused at ${hour()} UTC`); } else { wake(); }
}

if (fresh) {
  pause.hidden = false;
  pause.addEventListener("click", () => set(!paused));
  if ("Notification" in window) {
    alerts.hidden = false;
    const press = (on) => { alerts.setAttribute("aria-pressed", String(on)); store.alerts = on ? "1" : "0"; };
    press(store.alerts === "1" && Notification.permission === "granted");
    alerts.addEventListener("click", async () => {
      const on = alerts.getAttribute("aria-pressed") !== "true";
      press(on && (await Notification.requestPermission()) === "granted");
    });
  }
  document.addEventListener("visibilitychange", wake);
  set(paused);
}

// The checkbox that selects all rows of the page.
document.querySelector("main")?.addEventListener("change", (event) => {
  if (event.target.id === "all") {
    for (const input of document.querySelectorAll('input[name="net"][type=checkbox]')) input.checked = event.target.checked;
  }
});

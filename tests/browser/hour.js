// What an open overview costs under attack, in bytes on the wire: `node hour.js [MINUTES]`, 5 when nothing is said.

import { World } from "./world.js";

const MINUTES = Number(process.argv[2] ?? 5);

const world = await World.open();
try {
  const page = await world.visitor("read");
  const wire = await page.context().newCDPSession(page);
  await wire.send("Network.enable");
  const paths = new Map();
  const cost = {};
  let refreshes = 0;
  let total = 0;
  wire.on("Network.requestWillBeSent", ({ requestId, request }) => {
    const path = new URL(request.url).pathname;
    paths.set(requestId, path);
    // The browser's own headers are some 300 bytes more than those that it tells.
    const head = JSON.stringify(request.headers).length + 300;
    cost[path] = (cost[path] ?? 0) + head;
    total += head;
  });
  const add = (requestId, bytes) => {
    const path = paths.get(requestId);
    cost[path] = (cost[path] ?? 0) + bytes;
    total += bytes;
  };
  // A finished answer with its head; a stream by its parts.
  wire.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (paths.get(requestId) !== "/live") add(requestId, encodedDataLength);
    if (paths.get(requestId) === "/") refreshes += 1;
  });
  wire.on("Network.dataReceived", ({ requestId, encodedDataLength, dataLength }) => {
    if (paths.get(requestId) === "/live") add(requestId, encodedDataLength || dataLength);
  });
  await page.goto("/");
  const began = Date.now();
  let at = 0;
  let n = 0;
  while (Date.now() - began < MINUTES * 60_000) {
    // Ten failures and two bans a second, each from a /24 of its own.
    for (let k = 0; k < 2; k += 1, n += 1) world.tell(`fail 10.${n >> 8}.${n & 255}.7 ${1000 + (n % 97)} 5 ${n % 2 ? "sipvicious" : "friendly-scanner"}`);
    await new Promise((done) => setTimeout(done, 1000));
    const minute = Math.floor((Date.now() - began) / 60_000);
    if (minute > at) {
      at = minute;
      console.log(`minute ${minute}: ${(total / 1000).toFixed(0)} kB in all, ${refreshes} pages`);
    }
  }
  console.log(cost);
} finally {
  await world.close();
}

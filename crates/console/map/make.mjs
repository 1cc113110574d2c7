// Makes ../src/assets/world.svg: the countries of the world for the overview's map, from the data of Natural Earth
// (public domain, https://www.naturalearthdata.com) in the npm package world-atlas. Nothing here is needed to build
// or run sipward. To make the file again, in this directory:
//
//     npm install --no-save world-atlas@2.0.2 topojson-client@3.1.0 i18n-iso-countries@7.14.0
//     node make.mjs && rm -r node_modules
//
// Each path has the ISO 3166-1 code of its country as its id (XK for Kosovo, as in the files of [geo]). Countries of
// the 1:110m data have their outline; smaller ones, such as Singapore, are a dot. Antarctica is left out.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { feature } = require("topojson-client");
const { numericToAlpha2 } = require("i18n-iso-countries");

const WIDTH = 1000;
const HEIGHT = 430;
const TOP = 84; // Degrees north of the upper edge.
const DOT = 3;

// Areas that Natural Earth shows apart and that have no code of their own.
const NAMES = { Kosovo: "XK", Somaliland: "SO", "N. Cyprus": "CY" };

const read = (scale) => {
  const topology = JSON.parse(readFileSync(require.resolve(`world-atlas/countries-${scale}.json`)));
  return feature(topology, topology.objects.countries).features
    .map((found) => ({ ...found, code: NAMES[found.properties.name] ?? numericToAlpha2(found.id) }))
    .filter(({ code }) => code && code !== "AQ");
};

// The Natural Earth projection (Šavrič et al. 2011), scaled to the width.
function raw(longitude, latitude) {
  const l = (longitude * Math.PI) / 180;
  const p = (latitude * Math.PI) / 180;
  const p2 = p * p;
  const p4 = p2 * p2;
  return [
    l * (0.8707 - 0.131979 * p2 + p4 * (-0.013791 + p4 * (0.003971 * p2 - 0.001529 * p4))),
    p * (1.007226 + p2 * (0.015085 + p4 * (-0.044475 + 0.028874 * p2 - 0.005916 * p4))),
  ];
}
const scale = WIDTH / (2 * raw(180, 0)[0]);
const north = raw(0, TOP)[1];
function place([longitude, latitude]) {
  const [x, y] = raw(longitude, latitude);
  return [Math.round(WIDTH / 2 + x * scale), Math.round((north - y) * scale)];
}

const rings = ({ type, coordinates }) =>
  (type === "Polygon" ? [coordinates] : coordinates).flat().flatMap(atTheEdge);

// What reaches across the 180th meridian is cut there: two rings, one at each edge of the map.
function atTheEdge(ring) {
  const whole = [];
  for (const [x, y] of ring) {
    const before = whole.at(-1)?.[0] ?? x;
    whole.push([x + 360 * Math.round((before - x) / 360), y]);
  }
  const west = Math.min(...whole.map(([x]) => x)) < -180 ? 360 : 0;
  const moved = whole.map(([x, y]) => [x + west, y]);
  if (Math.max(...moved.map(([x]) => x)) <= 180) return [moved];
  return [half(moved, 1), half(moved, -1).map(([x, y]) => [x - 360, y])];
}

// The part of a ring on one side of the 180th meridian (Sutherland and Hodgman).
function half(ring, side) {
  const inside = ([x]) => (180 - x) * side >= 0;
  return ring.flatMap((point, n) => {
    const before = ring[(n + ring.length - 1) % ring.length];
    const share = (180 - before[0]) / (point[0] - before[0]);
    const edge = [180, before[1] + (point[1] - before[1]) * share];
    return [...(inside(point) !== inside(before) ? [edge] : []), ...(inside(point) ? [point] : [])];
  });
}

// A ring as a closed path of whole steps; nothing where it is too small to be seen.
function outline(ring) {
  const closed = [...ring, ring[0]];
  const points = closed.map(place).filter(([x, y], n, all) => !n || x !== all[n - 1][0] || y !== all[n - 1][1]);
  // What lies on a line between its neighbours is left out.
  const corners = points.filter((point, n) => {
    const [before, after] = [points[n - 1], points[n + 1]];
    if (!before || !after) return true;
    return (point[0] - before[0]) * (after[1] - point[1]) !== (point[1] - before[1]) * (after[0] - point[0]);
  });
  if (corners.length < 4) return "";
  const steps = corners.slice(1, -1).map(([x, y], n) => `${x - corners[n][0]},${y - corners[n][1]}`);
  return `M${corners[0]}l${steps.join(" ")}z`.replaceAll(",-", "-").replaceAll(" -", "-");
}

const area = (ring) => Math.abs(ring.reduce((sum, [x, y], n) => {
  const [x2, y2] = ring[(n + 1) % ring.length];
  return sum + x * y2 - x2 * y;
}, 0));

function dot(geometry) {
  const ring = rings(geometry).sort((a, b) => area(b) - area(a))[0];
  const middle = (axis) => (Math.min(...ring.map((p) => p[axis])) + Math.max(...ring.map((p) => p[axis]))) / 2;
  const [x, y] = place([middle(0), middle(1)]);
  return `M${x - DOT},${y}a${DOT},${DOT} 0 1 0 ${2 * DOT},0a${DOT},${DOT} 0 1 0-${2 * DOT},0z`;
}

const paths = new Map();
for (const { code, geometry } of read("110m")) {
  const path = rings(geometry).map(outline).join("");
  paths.set(code, (paths.get(code) ?? "") + path);
}
for (const { code, geometry } of read("50m")) {
  if (!paths.get(code)) paths.set(code, dot(geometry));
}

const sorted = [...paths].sort(([a], [b]) => (a < b ? -1 : 1));
const lines = sorted.map(([code, path]) => `<path id="${code}" d="${path}"/>`);
writeFileSync(
  new URL("../src/assets/world.svg", import.meta.url),
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}"><g id="world">\n${lines.join("\n")}\n</g></svg>\n`,
);
console.log(`${lines.length} countries`);

// Thresholds to try: a histogram and a slider a score, what would stay, and the command that does it.

import { commandBox, el, field, number, session } from "./dom.js";

const BINS = 40;
const SVG = "http://www.w3.org/2000/svg";
const NUMBER = /^(\S+?)>=(-?\d+(?:\.\d+)?)$/;

// `pool` gives the sample's own conditions and n, at which everything begins.
export function sliders(pool, rows, changed) {
  const start = new Map(pool.keep.map((text) => NUMBER.exec(text)).filter(Boolean).map(([, name, value]) => [name, Number(value)]));
  const all = session.scores
    .map((name, at) => ({ name, at, values: rows.map((row) => row.scores[at]).filter((value) => value !== null), start: start.get(name) }))
    .filter((one) => one.values.length)
    .map((one) => sliderOf(one, changed));
  const names = new Set(all.map((one) => one.name));
  const fixed = pool.keep.filter((text) => !names.has(NUMBER.exec(text)?.[1]));
  const limit = el("input", { type: "number", name: "n", min: "1", step: "1", value: String(pool.n || 500) });
  limit.addEventListener("input", changed);
  const total = el("p", { class: "total", role: "status" });
  const command = commandBox("The command that samples like this");
  const box = el("div", { class: "panel" },
    el("div", { class: "line spread ends" }, total, el("div", { class: "few" }, field("Images per class (n)", limit))),
    el("div", { class: "sliders" }, all.map((one) => one.box)), command.box);

  return {
    box,
    keep: () => [...fixed, ...all.map((one) => one.condition()).filter(Boolean)],
    n: () => Math.max(1, Math.round(Number(limit.value)) || 1),
    show(stay, images, line) {
      total.replaceChildren(`${number(stay)} of ${number(images)} ${images === 1 ? "image stays" : "images stay"}`);
      total.dataset.stay = String(stay);
      if (line) command.set(line);
    },
    waiting: (yes) => total.classList.toggle("busy", yes),
  };
}

function sliderOf({ name, values, start }, changed) {
  const low = Math.floor(Math.min(...values) * 100) / 100;
  const high = Math.max(low + 0.01, Math.ceil(Math.max(...values, start ?? low) * 100) / 100);
  const first = Math.max(low, start ?? low);
  const input = el("input", { type: "range", min: String(low), max: String(high), step: "0.001", value: String(first), "aria-label": `${name} at least` });
  const output = el("output", {});
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", `0 0 ${BINS} 10`);
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("aria-hidden", "true");
  const counts = new Array(BINS).fill(0);
  for (const value of values) counts[Math.min(BINS - 1, Math.floor(((value - low) / (high - low)) * BINS))] += 1;
  const most = Math.max(...counts);
  const columns = counts.map((count, bin) => {
    const column = document.createElementNS(SVG, "rect");
    const height = (10 * count) / most;
    for (const [key, value] of Object.entries({ x: bin + 0.1, width: 0.8, y: 10 - height, height })) column.setAttribute(key, value);
    picture.append(column);
    return column;
  });
  const threshold = () => Number(input.value);
  const set = () => threshold() > low;
  const paint = () => {
    output.value = set() ? `≥ ${threshold().toFixed(3)}` : "any";
    columns.forEach((column, bin) => column.classList.toggle("below", low + ((bin + 1) / BINS) * (high - low) <= threshold()));
  };
  input.addEventListener("input", () => { paint(); changed(); });
  paint();
  // At its low end a slider asks nothing, or what the sample asked if that is lower still.
  const condition = () => {
    if (set()) return `${name}>=${threshold()}`;
    return start !== undefined && start <= low ? `${name}>=${start}` : null;
  };
  return {
    box: el("label", { class: "slider" }, el("span", { class: "head" }, name, output), picture, input,
      el("span", { class: "scale", "aria-hidden": "true" }, el("span", {}, low.toFixed(2)), el("span", {}, high.toFixed(2)))),
    name, condition,
  };
}

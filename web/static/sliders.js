// Thresholds to try: a histogram and a slider a score, what would stay, and the command that does it.

import { el, number, session } from "./dom.js";

const BINS = 40;
const SVG = "http://www.w3.org/2000/svg";

export function sliders(rows, changed) {
  const held = session.scores
    .map((name, at) => ({ name, at, values: rows.map((row) => row.scores[at]).filter((value) => value !== null) }))
    .filter((one) => one.values.length)
    .map((one) => sliderOf(one, changed));
  const total = el("p", { class: "total", role: "status" });
  const command = el("code", { class: "command", tabindex: "0", "aria-label": "The command that samples like this" });
  const box = el("div", { class: "panel" }, total, el("div", { class: "sliders" }, held.map((one) => one.box)), command);

  return {
    box,
    passes: (row) => held.every((one) => one.passes(row)),
    tell(stay, all, order) {
      total.replaceChildren(`${number(stay)} of ${number(all)} images stay`);
      total.dataset.stay = String(stay);
      const keep = held.filter((one) => one.set()).map((one) => ` --keep '${one.name}>=${one.threshold()}'`).join("");
      command.replaceChildren(`captrawl sample --name mine --rank ${order}${keep}`);
    },
  };
}

function sliderOf({ name, at, values }, changed) {
  const low = Math.floor(Math.min(...values) * 100) / 100;
  const high = Math.max(low + 0.01, Math.ceil(Math.max(...values) * 100) / 100);
  const input = el("input", { type: "range", min: String(low), max: String(high), step: "0.005", value: String(low), "aria-label": `${name} at least` });
  const shown = el("output", {});
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
    shown.value = set() ? `≥ ${threshold().toFixed(3)}` : "any";
    columns.forEach((column, bin) => column.classList.toggle("below", low + ((bin + 1) / BINS) * (high - low) <= threshold()));
  };
  input.addEventListener("input", () => { paint(); changed(); });
  paint();
  return {
    box: el("label", { class: "slider" }, el("span", { class: "head" }, name, shown), picture, input,
      el("span", { class: "scale", "aria-hidden": "true" }, el("span", {}, low.toFixed(2)), el("span", {}, high.toFixed(2)))),
    name, set, threshold,
    passes: (row) => !set() || (row.scores[at] !== null && row.scores[at] >= threshold()),
  };
}

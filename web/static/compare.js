// Two samples of a class side by side: what only the one keeps, what both keep, what only the other keeps.

import { ask, el, number } from "./dom.js";
import { showLarge } from "./large.js";
import { captionsOf, pictureOf, wholePictures } from "./rows.js";

const STEP = 24;

export async function comparison(detail, { id, sample, other, pool }) {
  const samples = [[sample, picturesOf(pool)], [other, picturesOf(await ask(`classes/${id}/pool`, { sample: other, limit: 5000 }))]];
  const [[, mine], [, theirs]] = samples;
  const parts = [
    part(`Only in ${sample}`, mine, (picture) => !theirs.get(picture.sha256)?.kept, samples),
    part("In both", mine, (picture) => theirs.get(picture.sha256)?.kept, samples),
    part(`Only in ${other}`, theirs, (picture) => !mine.get(picture.sha256)?.kept, samples),
  ];
  detail.append(wholePictures(), el("div", { class: "sides" }, parts));
}

// Each picture's best row, by sha256, in the pool's order: the kept ones first, by rank.
function picturesOf(pool) {
  const pictures = new Map();
  for (const row of pool.rows) if (row.sha256 !== null && !pictures.has(row.sha256)) pictures.set(row.sha256, row);
  return pictures;
}

function part(title, pictures, belongs, samples) {
  const rows = [...pictures.values()].filter((row) => row.kept && belongs(row));
  const grid = el("ol", { class: "grid" });
  const more = el("button", { type: "button", onclick: () => add() }, "Show more");
  function add() {
    const from = grid.children.length;
    grid.append(...rows.slice(from, from + STEP).map((row) => cardOf(row, rows, samples)));
    more.hidden = grid.children.length >= rows.length;
    if (from) grid.children[from].querySelector("button")?.focus();
  }
  add();
  return el("section", { class: "side", "aria-label": title },
    el("h3", {}, el("bdi", {}, title), " ", el("span", { class: "num soft" }, number(rows.length))),
    rows.length ? grid : el("p", { class: "small soft" }, "none"), more);
}

function cardOf(row, rows, samples) {
  return el("li", { class: "card", "data-uid": row.uid }, pictureOf(row, { open: () => showLarge(rows, row) }),
    el("div", { class: "body" }, captionsOf(row, row.caption ? [row.caption] : []),
      samples.map(([name, pictures]) => el("p", { class: "small soft" }, el("bdi", {}, name), ": ", fateOf(pictures.get(row.sha256))))));
}

function fateOf(row) {
  if (!row) return "not in its pool";
  return row.kept ? `rank ${number(row.rank)}` : row.meaning;
}

// A class's pictures: what stays at the thresholds, and marks by hand: one, several at once, taken back.

import { arrows, ask, choice, commandBox, commandLine, el, failed, field, later, number, oneStop, session } from "./dom.js";
import { showLarge } from "./large.js";
import { captionsOf, pictureOf, wholePictures } from "./rows.js";
import { sliders } from "./sliders.js";

const STEP = 60;
const KEYS = { k: "confirmed", c: "confirmed", r: "rejected", x: "rejected", u: null };

// The rows of each picture, in the pool's order: the sample's best ranked row first.
function picturesOf(rows) {
  const groups = new Map();
  for (const row of rows) {
    if (row.sha256 === null) continue;
    if (!groups.has(row.sha256)) groups.set(row.sha256, []);
    groups.get(row.sha256).push(row);
  }
  return [...groups.values()].map((group) => ({
    ...group[0], rows: group,
    captions: [...new Set(group.map((row) => row.caption).filter(Boolean))],
    scores: group[0].scores.map((_, at) => group.reduce((best, row) => (row.scores[at] === null ? best : Math.max(best ?? -2, row.scores[at])), null)),
    unsafe: group.some((row) => row.unsafe),
  }));
}

const markOf = (picture) => ["confirmed", "rejected"].find((mark) => picture.rows.some((row) => row.mark === mark)) || null;

export function gallery(detail, { id, sample, pool, page }) {
  const pictures = picturesOf(pool.rows);
  const cards = new Map();
  const selected = new Set();
  const undo = [];
  let kept = new Set(pool.rows.filter((row) => row.kept).map((row) => row.uid));
  let images = pictures.length;
  let limit = STEP;
  let anchor = null;
  const doubt = sample ? [["doubt", "what a mark would teach most of"]] : [];
  let doubtful = new Map();
  const order = choice("order", [["rank", "the sample's rank"], ...doubt, ...session.scores.map((name) => [name, name])], "rank");
  const only = el("input", { type: "checkbox" });
  const grid = el("ol", { class: "grid", "aria-label": "Images: arrow keys move, Space selects, Enter shows one large, K keeps, R rejects, U takes it back" });
  const more = el("button", { type: "button", onclick: showMore }, "Show more");
  const control = sliders(pool, pool.rows, () => { control.waiting(true); preview(); });
  const preview = later(150, askPreview);
  const dock = dockOf({ mark: (value) => mark([...selected], value), clear: clearSelection, undo: takeBack, sample });
  let asking = null;

  const stays = (picture) => picture.rows.some((row) => kept.has(row.uid));

  async function askPreview() {
    if (!sample) { control.show(images, images, commandLine("sample")); return; }
    asking?.abort();
    const mine = (asking = new AbortController());
    const rank = ["rank", "doubt"].includes(order.value) ? pool.rank : order.value;
    control.waiting(true);
    try {
      const answer = await ask(`classes/${id}/preview`, { sample, rank, keep: control.keep(), n: control.n() }, { signal: mine.signal });
      kept = new Set(answer.kept);
      images = answer.images;
      control.show(answer.kept.length, images, answer.command);
      dock.trouble();
      draw();
    } catch (error) {
      if (error.name !== "AbortError") dock.trouble(error);
    } finally {
      if (mine === asking) control.waiting(false);
    }
  }

  // Asked when the order is chosen: pictures don't move while they are marked.
  async function askDoubtful() {
    if (order.value !== "doubt") return;
    try {
      const { uids } = await ask(`classes/${id}/doubtful`, { sample });
      doubtful = new Map(uids.map((uid, place) => [uid, place]));
      draw();
    } catch (error) {
      dock.trouble(error);
    }
  }

  const placeInDoubt = (picture) => Math.min(...picture.rows.map((row) => doubtful.get(row.uid) ?? Infinity));

  function visiblePictures() {
    if (order.value === "doubt") return pictures.filter((picture) => placeInDoubt(picture) < Infinity).toSorted((one, other) => placeInDoubt(one) - placeInDoubt(other));
    const at = session.scores.indexOf(order.value);
    const sorted = at < 0 ? pictures : pictures.toSorted((one, other) => (other.scores[at] ?? -2) - (one.scores[at] ?? -2));
    return only.checked ? sorted.filter((picture) => stays(picture)) : sorted;
  }

  function draw() {
    const visible = visiblePictures();
    const next = visible.slice(0, limit).map((picture) => cardFor(picture));
    const before = [...grid.children];
    const focused = before.findIndex((card) => card.contains(document.activeElement));
    if (before.length !== next.length || before.some((card, at) => card !== next[at])) {
      grid.replaceChildren(...next);
      const stop = focused < 0 || next.includes(before[focused]) ? before[focused] : next[Math.min(focused, next.length - 1)];
      oneStop(grid, stop);
      stop?.focus();
    }
    more.hidden = visible.length <= limit;
    dock.show(selected.size, undo.length);
  }

  function showMore() {
    const next = grid.children.length;
    limit += STEP;
    draw();
    oneStop(grid, grid.children[next]);
    grid.children[next]?.focus();
  }

  function cardFor(picture) {
    if (!cards.has(picture)) {
      const card = cardOf(picture, { mark: (value) => mark(targets(picture), value), select: (event) => select(picture, event), large: () => large(picture) });
      cards.set(picture, card);
    }
    const card = cards.get(picture);
    const value = markOf(picture);
    card.classList.toggle("out", !stays(picture) && value !== "rejected");
    card.classList.toggle("selected", selected.has(picture));
    card.querySelector(".pick").checked = selected.has(picture);
    for (const [kind, name] of [["yes", "confirmed"], ["no", "rejected"]]) {
      card.classList.toggle(name, value === name);
      card.querySelector(`.${kind}`).setAttribute("aria-pressed", String(value === name));
    }
    return card;
  }

  // A mark on a selected picture is for the whole selection.
  const targets = (picture) => (selected.has(picture) ? [...selected] : [picture]);

  function select(picture, { shiftKey = false } = {}) {
    const visible = visiblePictures();
    const on = !selected.has(picture);
    const from = shiftKey && anchor ? visible.indexOf(anchor) : -1;
    const to = visible.indexOf(picture);
    const range = from < 0 ? [picture] : visible.slice(Math.min(from, to), Math.max(from, to) + 1);
    for (const one of range) if (on) selected.add(one); else selected.delete(one);
    anchor = picture;
    draw();
  }

  function clearSelection() {
    selected.clear();
    draw();
  }

  // The same mark again takes it back.
  async function mark(chosen, value) {
    const target = chosen.length === 1 && markOf(chosen[0]) === value ? null : value;
    const changes = {};
    for (const picture of chosen) {
      for (const row of picture.rows) if (row.mark && row.mark !== target) changes[row.uid] = null;
      if (target && !picture.rows.some((row) => row.mark === target)) changes[picture.rows[0].uid] = target;
    }
    await store(changes, chosen, (before) => undo.push(before));
  }

  async function takeBack() {
    const changes = undo.at(-1);
    if (changes) await store(changes, pictures.filter((picture) => picture.rows.some((row) => row.uid in changes)), () => undo.pop());
  }

  async function store(changes, chosen, done) {
    if (!Object.keys(changes).length) return;
    const rows = pool.rows.filter((row) => row.uid in changes);
    for (const picture of chosen) cards.get(picture)?.querySelector(".trouble").replaceChildren();
    try {
      const counts = await ask(`classes/${id}/marks`, {}, { method: "PUT", body: JSON.stringify({ marks: changes, sample }), headers: { "Content-Type": "application/json" } });
      done(Object.fromEntries(rows.map((row) => [row.uid, row.mark])));
      for (const row of rows) row.mark = changes[row.uid];
      dock.count(counts);
      draw();
      for (const picture of chosen) cardFor(picture);
      preview();
    } catch (error) {
      for (const picture of chosen) cards.get(picture)?.querySelector(".trouble").replaceChildren(`Not saved: ${error.message}`);
    }
  }

  function large(picture) {
    const act = (shown, again) => async (value) => { await mark([shown], value); again(); };
    showLarge(visiblePictures(), picture, {
      facts: (shown) => [scoresOf(shown), el("p", { class: "small soft" }, fateOf(shown))],
      actions: (shown, again) => [
        ...actsOf(markOf(shown), act(shown, again)),
        el("p", { class: "trouble", role: "alert" }, cards.get(shown)?.querySelector(".trouble").textContent || "")],
      keys(event, shown, again) {
        const key = event.key.toLowerCase();
        if (!(key in KEYS)) return false;
        act(shown, again)(KEYS[key] ?? markOf(shown));
        return true;
      },
      closed(last) {
        while (!cards.has(last) || !grid.contains(cards.get(last))) { if (limit > pictures.length) return false; limit += STEP; draw(); }
        oneStop(grid, cards.get(last));
        cards.get(last).focus();
        return true;
      },
    });
  }

  grid.addEventListener("keydown", (event) => {
    const card = event.target.closest(".card");
    if (!card) return;
    const picture = [...cards].find(([, one]) => one === card)?.[0];
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && key === "a") {
      event.preventDefault();
      for (const one of visiblePictures().slice(0, limit)) selected.add(one);
      draw();
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key in KEYS) { event.preventDefault(); mark(targets(picture), KEYS[key] === null && targets(picture).length === 1 ? markOf(picture) : KEYS[key]); }
    else if (key === " " && event.target === card) { event.preventDefault(); select(picture, event); }
    else if (key === "escape" && selected.size) clearSelection();
    else if (key === "enter" && event.target === card) { event.preventDefault(); large(picture); }  // else it would press the button that gets the focus
  });
  const onUndo = (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox]):not([type=range]), textarea, select");
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !typing) { event.preventDefault(); takeBack(); }
  };
  document.addEventListener("keydown", onUndo);
  arrows(grid);
  order.addEventListener("change", () => { draw(); askPreview(); askDoubtful(); });
  only.addEventListener("change", draw);
  detail.append(control.box, el("div", { class: "line spread ends" },
    el("div", { class: "line ends" }, field("Sort by", order), el("label", { class: "check" }, only, "only what stays"), wholePictures()),
    el("p", { class: "small soft keys" }, "Arrows move, Space selects, Enter shows it large; K keeps, R rejects, U takes it back, Ctrl+Z undoes")),
  grid, el("div", { class: "pager" }, more), dock.box);
  dock.count({ confirmed: page.confirmed, rejected: page.rejected, stale: pool.stale });
  control.show(pictures.filter(stays).length, images, "");
  draw();
  askPreview();
  return () => { document.removeEventListener("keydown", onUndo); asking?.abort(); };
}

// What is said and done about the marks, at the window's lower edge.
function dockOf({ mark, clear, undo, sample }) {
  const act = (text, run, kind = "") => el("button", { type: "button", class: kind, onclick: run }, text);
  const tally = el("span", { role: "status" });
  const chosen = el("span", { class: "line chosen" });
  const count = el("b", {});
  chosen.append(count, act("✓ keep", () => mark("confirmed"), "yes"), act("✕ reject", () => mark("rejected"), "no"), act("Take back", () => mark(null)), act("Clear", clear));
  const back = act("Undo", undo);
  const trouble = el("div");
  const command = commandBox("The command that draws the sample anew");
  command.set(commandLine("sample", "--name", sample));
  const stale = el("details", { open: matchMedia("(min-width: 46rem)").matches }, el("summary", {}, "Your marks are newer than this sample"), command.box);
  return {
    box: el("div", { class: "dock", role: "group", "aria-label": "Marks" }, trouble, el("div", { class: "line spread" }, tally, chosen, back), stale),
    show(number_, undos) {
      chosen.hidden = !number_;
      count.replaceChildren(`${number(number_)} selected`);
      back.disabled = !undos;
    },
    count({ confirmed, rejected, stale: newer }) {
      tally.replaceChildren(`${number(confirmed)} kept, ${number(rejected)} rejected by hand`);
      stale.hidden = !newer || !sample;
    },
    trouble: (error) => trouble.replaceChildren(...(error ? [failed(error)] : [])),
  };
}

function fateOf(picture) {
  const fate = picture.kept ? `kept, rank ${picture.rank}` : picture.meaning;
  return picture.judged ? `${fate}; judge: ${picture.judged}` : fate;
}

function scoresOf(picture) {
  const scores = session.scores.map((name, at) => [name, picture.scores[at]]).filter(([, value]) => value !== null);
  return el("div", { class: "scores" }, scores.flatMap(([name, value]) => [el("span", {}, name), el("b", {}, value.toFixed(3))]));
}

function actsOf(value, mark, attributes = {}) {
  const act = (text, name, kind) => el("button", { type: "button", class: kind, "aria-pressed": String(value === name), onclick: () => mark(name), ...attributes }, text);
  return [act("✓ keep", "confirmed", "yes"), act("✕ reject", "rejected", "no")];
}

function cardOf(picture, { mark, select, large }) {
  const pick = el("input", { type: "checkbox", class: "pick", tabindex: "-1", "aria-label": "Select", onclick: (event) => { event.preventDefault(); setTimeout(() => select(event)); } });
  return el("li", { class: "card", tabindex: "-1", "data-uid": picture.rows[0].uid },
    pick, pictureOf(picture, { open: large, stop: false }),
    el("div", { class: "body" },
      captionsOf(picture, picture.captions, { stop: false }),
      scoresOf(picture),
      el("p", { class: "small soft fate", title: picture.reason }, fateOf(picture)),
      el("div", { class: "acts" }, actsOf(null, mark, { tabindex: "-1" })),
      el("p", { class: "trouble small", role: "alert" })));
}

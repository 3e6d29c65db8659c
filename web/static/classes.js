// A class: its synonyms, its pool through a sample's scores, thresholds to try, images to keep or reject.

import { ask, choice, el, failed, field, number, remember, session, state } from "./dom.js";
import { sliders } from "./sliders.js";
import { bars, captionOf, pictureOf } from "./rows.js";

const STEP = 60;
const KEYS = { k: "confirmed", c: "confirmed", r: "rejected", x: "rejected", u: null };

export async function classesView(main, query, [chosen]) {
  if (!session.workspace) {
    main.replaceChildren(el("h1", {}, "Classes"), state(el("p", {}, "Classes need a workspace: captrawl -C DIR serve.")));
    return;
  }
  const { classes } = await ask("classes");
  const detail = el("section", { class: "view", "aria-live": "off" }, state(el("p", {}, "Choose a class.")));
  const list = el("nav", { class: "list", "aria-label": "Classes" });
  const filter = el("input", { type: "search", placeholder: `${number(classes.length)} classes`, "aria-label": "Filter the classes" });
  const draw = () => {
    const wanted = filter.value.trim().toLowerCase();
    list.replaceChildren(...classes.filter((one) => one.name.toLowerCase().includes(wanted) || one.id === wanted).map((one) =>
      el("a", { href: `#classes/${one.id}${query.get("sample") ? `?sample=${encodeURIComponent(query.get("sample"))}` : ""}`, "aria-current": one.id === chosen ? "page" : null },
        el("bdi", {}, one.name), el("span", { title: "images of the pool" }, `${number(one.images)}/${number(one.pool)}`))));
  };
  filter.addEventListener("input", draw);
  draw();
  main.replaceChildren(el("div", { class: "view" }, el("h1", { class: "sr" }, "Classes"),
    el("div", { class: "two" }, el("div", { class: "view" }, filter, list), detail)));
  list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  if (chosen === undefined) return;
  try {
    await showClass(detail, chosen, query);
  } catch (error) {
    detail.replaceChildren(failed(error));
  }
}

async function showClass(detail, id, query) {
  detail.replaceChildren(state(el("p", {}, "Loading …")));
  const page = await ask(`classes/${id}`);
  const sample = page.samples.includes(query.get("sample")) ? query.get("sample") : page.samples[0] || "";
  const pool = await ask(`classes/${id}/pool`, { sample });
  const tally = el("p", { class: "soft", role: "status" });
  const count = (confirmed, rejected) => tally.replaceChildren(
    `${number(page.pool)} rows match, ${number(page.images)} with an image; ${number(confirmed)} confirmed, ${number(rejected)} rejected by hand`);
  count(page.confirmed, page.rejected);
  const through = choice("sample", page.samples.map((name) => [name, name]), sample);
  through.addEventListener("change", () => { location.hash = `#classes/${id}?sample=${encodeURIComponent(through.value)}`; });
  const stale = el("p", { class: "notice", hidden: !pool.stale }, "Marks changed since this sample was drawn: captrawl run draws it anew.");
  detail.replaceChildren(
    el("div", {}, el("h2", { class: "title" }, el("bdi", {}, page.name)), tally),
    el("details", { open: true }, el("summary", {}, "Synonyms, and the rows of the pool credited to each"), bars(page.synonyms.filter((one) => one.match).map((one) => [one.text, one.pool])),
      removed(page.synonyms)),
    page.samples.length ? el("div", { class: "through" }, field("Through the sample", through), el("code", { class: "soft" }, pool.method))
      : el("p", { class: "notice" }, "No sample was drawn yet, so there are no scores: captrawl sample."),
    stale);
  if (!pool.rows.length) { detail.append(state(el("p", {}, "No caption matched this class."))); return; }
  remember(`classes/${id}`, { sample: query.get("sample") || "" });
  gallery(detail, id, pool, (taken) => { count(taken.confirmed, taken.rejected); stale.hidden = false; });
}

function removed(synonyms) {
  const gone = synonyms.filter((one) => !one.match);
  if (!gone.length) return null;
  return el("p", { class: "small soft" }, "not matched: ", gone.map((one, at) => [at ? ", " : "", el("bdi", { title: one.reason }, one.text)]).flat());
}

function gallery(detail, id, pool, marked) {
  let shown = STEP;
  const order = choice("order", [["rank", "the sample's rank"], ...session.scores.map((name) => [name, name])], "rank");
  const only = el("input", { type: "checkbox" });
  const grid = el("ol", { class: "grid", "aria-label": "Images: arrow keys move, K keeps, R rejects, U takes it back" });
  const more = el("button", { type: "button", onclick: () => { shown += STEP; draw(); } }, "Show more");
  const control = sliders(pool.rows, () => draw());
  const cards = new Map();
  const stays = (row) => row.mark !== "rejected" && row.sha256 !== null && (row.mark === "confirmed" || control.passes(row));

  function draw() {
    const at = session.scores.indexOf(order.value);
    const rows = pool.rows.filter((row) => row.sha256 !== null);
    const sorted = at < 0 ? rows : rows.toSorted((one, other) => (other.scores[at] ?? -2) - (one.scores[at] ?? -2));
    const wanted = only.checked ? sorted.filter(stays) : sorted;
    control.tell(rows.filter(stays).length, rows.length, at < 0 ? rankOf(pool.method) : order.value);
    const visible = wanted.slice(0, shown).map((row) => cardFor(row));
    grid.replaceChildren(...visible);
    if (visible.length && !visible.some((card) => card.tabIndex === 0)) visible[0].tabIndex = 0;
    more.hidden = wanted.length <= shown;
  }

  function cardFor(row) {
    if (!cards.has(row)) cards.set(row, cardOf(row, mark));
    const card = cards.get(row);
    card.classList.toggle("out", !stays(row) && row.mark !== "rejected");
    paint(card, row);
    return card;
  }

  async function mark(row, wanted) {
    const value = row.mark === wanted ? null : wanted;
    try {
      const taken = await ask(`classes/${id}/marks/${row.uid}`, {}, { method: "PUT", body: JSON.stringify({ mark: value }), headers: { "Content-Type": "application/json" } });
      for (const other of pool.rows) if (other.uid === row.uid) other.mark = value;
      marked(taken);
      draw();
    } catch (error) {
      grid.before(failed(error));
    }
  }

  grid.addEventListener("keydown", (event) => {
    const card = event.target.closest(".card");
    if (!card || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = [...cards].find(([, made]) => made === card)?.[0];
    const key = event.key.toLowerCase();
    if (key in KEYS) { event.preventDefault(); mark(row, KEYS[key] ?? row.mark).then(() => card.focus()); return; }
    const all = [...grid.children];
    const across = Math.max(1, all.filter((one) => one.offsetTop === all[0].offsetTop).length);
    const move = { arrowright: 1, arrowleft: -1, arrowdown: across, arrowup: -across }[key];
    const next = move && all[all.indexOf(card) + move];
    if (!next) return;
    event.preventDefault();
    card.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  order.addEventListener("change", draw);
  only.addEventListener("change", draw);
  detail.append(control.box, el("div", { class: "line spread" },
    el("div", { class: "line" }, field("Sort by", order), el("label", { class: "check" }, only, "only what stays")),
    el("p", { class: "small soft" }, "K keeps, R rejects, U takes it back; arrow keys move")), grid, el("div", { class: "pager" }, more));
  draw();
}

// The order of a sample's method, which reads "--rank T2I --keep 'T2I>=0'".
const rankOf = (method) => /^--rank (\S+)/.exec(method)?.[1] || "T2T";

function cardOf(row, mark) {
  const act = (text, value, kind) => el("button", { type: "button", class: kind, tabindex: "-1", onclick: () => mark(row, value) }, text);
  const scores = session.scores.map((name, at) => [name, row.scores[at]]).filter(([, value]) => value !== null);
  return el("li", { class: "card", tabindex: "-1", "data-uid": row.uid },
    pictureOf(row),
    el("div", { class: "body" },
      captionOf(row),
      el("div", { class: "scores" }, scores.flatMap(([name, value]) => [el("span", {}, name), el("b", {}, value.toFixed(3))])),
      el("p", { class: "small soft fate" }, row.kept ? `kept, rank ${row.rank}` : row.reason),
      el("div", { class: "acts" }, act("✓ keep", "confirmed", "yes"), act("✕ reject", "rejected", "no"))));
}

function paint(card, row) {
  for (const [kind, value] of [["yes", "confirmed"], ["no", "rejected"]]) {
    card.classList.toggle(value, row.mark === value);
    card.querySelector(`.${kind}`).setAttribute("aria-pressed", String(row.mark === value));
  }
}

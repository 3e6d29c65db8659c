// A class: its synonyms, its pool through a sample's scores, thresholds to try, images to keep or reject.

import { arrows, ask, choice, el, failed, field, number, oneStop, route, session, state, toQuery } from "./dom.js";
import { sliders } from "./sliders.js";
import { bars, captionOf, pictureOf } from "./rows.js";

const STEP = 60;
const KEYS = { k: "confirmed", c: "confirmed", r: "rejected", x: "rejected", u: null };

export async function classesView(main, query, [chosen]) {
  if (!session.workspace) {
    main.replaceChildren(el("h1", {}, "Classes"), state(el("p", {}, "Classes need a workspace: ", el("code", {}, "captrawl -C DIR serve"))));
    return;
  }
  const { classes } = await ask("classes");
  const detail = el("section", { class: "view", "aria-live": "off" }, state(el("p", {}, "Choose a class.")));
  const list = el("nav", { class: "list", "aria-label": "Classes" });
  const filter = el("input", { type: "search", value: query.get("filter") || "", placeholder: `Filter ${number(classes.length)} classes`, "aria-label": "Filter the classes" });
  const draw = () => {
    const wanted = filter.value.trim().toLowerCase();
    list.replaceChildren(...classes.filter((one) => one.name.toLowerCase().includes(wanted) || one.id === wanted).map((one) =>
      el("a", { href: addressOf(one.id, query.get("sample"), filter.value), "aria-current": one.id === chosen ? "page" : null },
        el("bdi", {}, one.name), el("span", {}, `${number(one.images)}/${number(one.pool)}`))));
    oneStop(list, list.querySelector("[aria-current]") || list.firstChild);
  };
  filter.addEventListener("input", () => {
    history.replaceState(null, "", addressOf(chosen, query.get("sample"), filter.value));
    draw();
  });
  arrows(list);
  draw();
  main.replaceChildren(el("div", { class: "view" }, el("h1", { class: "sr" }, "Classes"),
    el("div", { class: "two" }, el("div", { class: "view" }, filter,
      el("p", { class: "columns small soft" }, el("span", {}, "class"), el("span", {}, "images/matches")), list), detail)));
  const current = list.querySelector("[aria-current]");
  if (current) list.scrollTop = current.offsetTop - (list.clientHeight - current.offsetHeight) / 2;
  if (chosen === undefined) return;
  try {
    await showClass(detail, chosen, query);
  } catch (error) {
    detail.replaceChildren(failed(error));
  }
}

// The address of a class, or of the list alone, seen through a sample, the list filtered.
function addressOf(id, sample, filter) {
  const query = toQuery({ sample, filter: filter?.trim() });
  return `#classes${id === undefined ? "" : `/${id}`}${query ? `?${query}` : ""}`;
}

async function showClass(detail, id, query) {
  detail.replaceChildren(state(el("p", {}, "Loading …")));
  const page = await ask(`classes/${id}`);
  const sample = page.samples.includes(query.get("sample")) ? query.get("sample") : page.samples[0] || "";
  const pool = await ask(`classes/${id}/pool`, { sample });
  const tally = el("p", { class: "soft", role: "status" });
  const count = (confirmed, rejected) => tally.replaceChildren(
    `${number(page.pool)} rows match, ${number(page.images)} with an image; ${number(confirmed)} kept, ${number(rejected)} rejected by hand`);
  count(page.confirmed, page.rejected);
  const through = choice("sample", page.samples.map((name) => [name, name]), sample);
  through.addEventListener("change", () => { location.hash = addressOf(id, through.value, route().query.get("filter")); });
  const stale = el("p", { class: "notice", hidden: !pool.stale }, "Marks changed since this sample was drawn: ", el("code", {}, "captrawl run"), " draws it anew.");
  detail.replaceChildren(
    el("div", {}, el("h2", { class: "title" }, el("bdi", {}, page.name)), tally),
    el("details", { open: true }, el("summary", {}, "Synonyms, and the rows of the pool credited to each"), bars(page.synonyms.filter((one) => one.match).map((one) => [one.text, one.pool])),
      removed(page.synonyms)),
    page.samples.length ? el("div", { class: "through" }, field("Through the sample", through), el("code", { class: "soft" }, pool.method))
      : el("p", { class: "notice" }, "No sample was drawn yet, so there are no scores: ", el("code", {}, "captrawl sample")),
    stale);
  if (!pool.rows.length) { detail.append(state(el("p", {}, "No caption matched this class."))); return; }
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
  const grid = el("ol", { class: "grid", "aria-label": "Images: arrow keys move, K keeps, R rejects, U takes it back, Enter opens the caption" });
  const more = el("button", { type: "button", onclick: showMore }, "Show more");
  const control = sliders(pool.rows, () => draw());
  const cards = new Map();
  const trouble = el("div");
  const stays = (row) => row.mark !== "rejected" && row.sha256 !== null && (row.mark === "confirmed" || control.passes(row));

  function draw() {
    const at = session.scores.indexOf(order.value);
    const rows = pool.rows.filter((row) => row.sha256 !== null);
    const sorted = at < 0 ? rows : rows.toSorted((one, other) => (other.scores[at] ?? -2) - (one.scores[at] ?? -2));
    const wanted = only.checked ? sorted.filter(stays) : sorted;
    control.tell(rows.filter(stays).length, rows.length, at < 0 ? rankOf(pool.method) : order.value);
    const visible = wanted.slice(0, shown).map((row) => cardFor(row));
    const before = [...grid.children];
    const held = before.findIndex((card) => card.contains(document.activeElement));
    grid.replaceChildren(...visible);
    const next = held < 0 || visible.includes(before[held]) ? before[held] : visible[Math.min(held, visible.length - 1)];
    oneStop(grid, next);
    next?.focus();
    more.hidden = wanted.length <= shown;
  }

  function showMore() {
    const next = grid.children.length;
    shown += STEP;
    draw();
    oneStop(grid, grid.children[next]);
    grid.children[next]?.focus();
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
      trouble.replaceChildren();
      marked(taken);
      draw();
    } catch (error) {
      trouble.replaceChildren(failed(error));
    }
  }

  grid.addEventListener("keydown", (event) => {
    const card = event.target.closest(".card");
    if (!card || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = [...cards].find(([, made]) => made === card)?.[0];
    const key = event.key.toLowerCase();
    if (key in KEYS) { event.preventDefault(); mark(row, KEYS[key] ?? row.mark); }
    else if (key === "enter" && event.target === card) card.querySelector(".caption").click();
  });
  arrows(grid);
  order.addEventListener("change", draw);
  only.addEventListener("change", draw);
  detail.append(control.box, el("div", { class: "line spread ends" },
    el("div", { class: "line ends" }, field("Sort by", order), el("label", { class: "check" }, only, "only what stays")),
    el("p", { class: "small soft keys" }, "K keeps, R rejects, U takes it back; arrows move, Enter opens the caption")), trouble, grid, el("div", { class: "pager" }, more));
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
      captionOf(row, { stop: false }),
      el("div", { class: "scores" }, scores.flatMap(([name, value]) => [el("span", {}, name), el("b", {}, value.toFixed(3))])),
      el("p", { class: "small soft fate", title: row.reason }, row.kept ? `kept, rank ${row.rank}` : row.meaning),
      el("div", { class: "acts" }, act("✓ keep", "confirmed", "yes"), act("✕ reject", "rejected", "no"))));
}

function paint(card, row) {
  for (const [kind, value] of [["yes", "confirmed"], ["no", "rejected"]]) {
    card.classList.toggle(value, row.mark === value);
    card.querySelector(`.${kind}`).setAttribute("aria-pressed", String(row.mark === value));
  }
}

// Phrases in, counts and captions out.

import { address, ask, chips, choice, el, field, later, latest, number, remember, session, state, toQuery } from "./dom.js";
import { showLarge } from "./large.js";
import { bars, captionOf, metaOf, moreLike, pictureOf, sourceOf } from "./rows.js";

const SIMPLE = ["prefix", "min_side", "max_punsafe", "min_similarity", "licence", "language", "keep_unknown", "safety", "order", "seed"];
const DEFAULTS = { safety: "default", order: "relevance" };

export function captionsView(main, query) {
  const cursors = [query.get("cursor") || ""];
  let before = Number(query.get("before")) || 0;
  const results = el("section", { class: "view", "aria-label": "Results", tabindex: "-1" });
  const run = latest(results);
  const soon = later(180, () => search());
  const safety = later(500, () => { showSafety(); showFacets(); });  // take longer than the page itself
  const longer = el("datalist", { id: "longer" });
  let facetsOpen = false;
  const restart = () => { cursors.splice(0, cursors.length, ""); before = 0; soon(); };
  const phrases = chips({ label: "Phrases", values: query.getAll("phrase"), placeholder: session.examples[0] || "a phrase", big: true, changed: restart, id: "phrases" });
  phrases.input.setAttribute("list", "longer");
  const exclude = chips({ label: "Not with", values: query.getAll("exclude"), placeholder: "toy", changed: restart });
  const form = formOf(phrases, exclude, query);
  form.addEventListener("input", (event) => { if (event.target.name) restart(); });
  form.addEventListener("submit", (event) => { event.preventDefault(); phrases.commit(); exclude.commit(); restart(); });

  function question() {
    const values = { phrase: phrases.current(), exclude: exclude.current() };
    for (const name of SIMPLE) {
      const control = form.elements[name];
      const value = control.type === "checkbox" ? control.checked && "true" : control.value.trim();
      if (value && value !== DEFAULTS[name]) values[name] = value;
    }
    values.nsfw = [...form.querySelectorAll("[name=nsfw]:checked")].map((box) => box.value);
    if (values.order !== "random") delete values.seed;
    return values;
  }

  function search() {
    const asked = question();
    const cursor = cursors.at(-1);
    remember("captions", { ...asked, cursor, before: cursor ? before : "" });
    form.querySelector(".seed").hidden = asked.order !== "random";
    if (!asked.phrase.length) { run(async () => null, () => results.replaceChildren(welcome())); return; }
    run((signal) => ask("query", { ...asked, cursor }, { signal }), (page) => show(page, asked));
  }

  function show(page, asked) {
    const parts = [summary(page, asked)];
    if (page.rows.length) parts.push(gridSwitch(), el("ol", { class: gridWanted() ? "rows as-grid" : "rows" }, page.rows.map((row) => line(row, page))), pager(page));
    else if (!before) parts.push(nothing(asked));
    results.replaceChildren(...parts);
    const fold = results.querySelector(".facets");
    if (fold) { fold.open = facetsOpen; fold.addEventListener("toggle", () => { facetsOpen = fold.open; }); }
    safety();
  }

  async function showSafety() {
    const { order, seed, ...asked } = question();
    const note = results.querySelector(".safety");
    if (!note || !asked.phrase.length) return;
    const { safety: { left_out: out, unknown } } = await ask("count", asked).catch(() => ({ safety: {} }));
    const kind = asked.safety === "strict" ? "unsafe or unjudged" : "unsafe";
    note.replaceChildren([out > 0 && `${number(out)} ${kind} left out`, unknown > 0 && `${number(unknown)} without a safety value stay`].filter(Boolean).join("; "));
  }

  async function showFacets() {
    const { order, seed, ...asked } = question();
    const box = results.querySelector(".facets > div");
    if (!box || !asked.phrase.length) return;
    const facets = await ask("facets", asked).catch(() => null);
    if (!facets?.rows) { box.replaceChildren("They couldn't be looked at; ask again."); return; }
    if (!box.isConnected) return;
    // The words of a phrase that is being typed are suggested from the rows of what stood there before.
    if (facets.longer.length) longer.replaceChildren(...facets.longer.map(({ value }) => el("option", { value })));
    const put = (name, value) => { form.elements[name].value = value; form.querySelector("details").open = true; restart(); };
    const parts = [
      facetOf("Longer phrases", facets.longer, asked.phrase.length === 1 && ((value) => phrases.put([value]))),
      facetOf("Hosts", facets.hosts),
      facetOf("Licences", facets.licences, (value) => put("licence", value)),
      facetOf("Languages", facets.languages, (value) => put("language", value)),
      facetOf("Shorter side, pixels", facets.sides, (value) => put("min_side", value), "≥ "),
      facetOf("Similarity", facets.similarities, (value) => put("min_similarity", value), "≥ "),
    ];
    const all = facets.rows < 1000 ? `all ${number(facets.rows)} rows` : `${number(facets.rows)} rows at random`;
    box.className = "";
    box.replaceChildren(
      el("p", { class: "small soft" }, `Of ${all}. A value that can be pressed narrows the question.`),
      el("div", { class: "facet-list" }, parts));
  }

  function pager(page) {
    const first = before + 1, last = before + page.rows.length;
    const turn = (back) => {
      if (back) { cursors.pop(); before = Math.max(0, before - 20); } else { cursors.push(page.next); before = last; }
      search();
      results.focus({ preventScroll: true });  // the buttons go with the old page
      results.scrollIntoView({ block: "start" });
    };
    const end = !page.next && last < page.total;
    return el("nav", { class: "pager", "aria-label": "Pages" },
      el("button", { type: "button", disabled: cursors.length < 2, onclick: () => turn(true) }, "← Back"),
      el("span", {}, `${number(first)}–${number(last)} of ${number(page.total)}`),
      el("button", { type: "button", disabled: !page.next, onclick: () => turn(false) }, "More →"),
      end && el("span", { class: "small soft" }, `This order shows the first ${number(session.window)}; corpus order, or a download, has all.`));
  }

  main.replaceChildren(el("div", { class: "view" }, el("h1", { class: "sr" }, "Captions"), form, longer, results));
  if (!matchMedia("(pointer: coarse)").matches) phrases.input.focus();
  search();
}

function summary(page, asked) {
  const pairs = Object.entries(page.synonyms).sort((one, other) => other[1] - one[1]);
  const file = (format, text) => el("a", { class: "button", href: address("export", { ...withoutOrder(asked), format }), download: `captions.${format}` }, text);
  return el("div", { class: "panel" },
    el("div", { class: "line spread" },
      el("p", { class: "total", role: "status", "data-total": String(page.total) }, `${number(page.total)} ${page.total === 1 ? "row matches" : "rows match"}`),
      page.total > 0 && el("div", { class: "line" }, file("parquet", "↓ Parquet"), file("csv", "↓ CSV"))),
    pairs.length > 1 && [bars(pairs), el("p", { class: "small soft" }, "Rows that contain each phrase. A row that contains several is credited to the one with most matches.")],
    el("p", { class: "small soft safety" }),
    // There from the start: what comes late moves nothing.
    page.total > 0 && el("details", { class: "facets" }, el("summary", {}, "What these rows are like"), el("div", { class: "small soft" }, "Looking at them …")));
}

const gridWanted = () => localStorage.getItem("rows") === "grid";

// Pictures first, captions below them, instead of a line per caption: a choice that stays.
function gridSwitch() {
  const box = el("input", { type: "checkbox", checked: gridWanted() });
  box.addEventListener("change", () => {
    localStorage.setItem("rows", box.checked ? "grid" : "lines");
    document.querySelector(".rows").classList.toggle("as-grid", box.checked);
  });
  return el("label", { class: "check" }, box, "as a grid");
}

// A value and its rows, a line each; `press`: what a press of a value does.
function facetOf(title, values, press = null, before = "") {
  const some = values.filter(({ rows }) => rows > 0);
  if (!some.length) return null;
  return el("div", { class: "facet" }, el("h2", { class: "small soft" }, title), el("ul", {}, some.map(({ value, rows }) => {
    const text = [before, el("bdi", {}, value)];
    return el("li", {}, press ? el("button", { type: "button", class: "quiet", onclick: () => press(value) }, text) : el("span", {}, text), el("span", { class: "num" }, number(rows)));
  })));
}

const NARROWING = ["prefix", "exclude", "min_side", "max_punsafe", "min_similarity", "licence", "language", "nsfw"];

function nothing(asked) {
  const narrowed = asked.safety === "strict" || NARROWING.some((name) => asked[name]?.length);
  return state(
    el("p", {}, narrowed ? "No caption with these words passes what else is asked." : "No caption contains these words in this order."),
    el("p", { class: "small" }, narrowed ? "Try it without the prefix, the exclusions or the filters." : "Words must stand next to each other; singular and plural are different words."));
}

function withoutOrder(asked) {
  const { order, seed, ...rest } = asked;
  return rest;
}

function line(row, page) {
  const several = Object.keys(page.synonyms).length > 1;
  const open = () => showLarge(page.rows.filter((one) => sourceOf(one)), row);
  return el("li", { class: "row", "data-uid": row.uid }, pictureOf(row, { open }), el("div", { class: "text" }, captionOf(row),
    metaOf(row, several && row.synonym && el("bdi", { class: "tag", title: "the phrase it is credited to: of those it contains, the one with most matches" }, row.synonym), moreLike(row))));
}

function formOf(phrases, exclude, query) {
  const text = (name, placeholder = "") => el("input", { type: "text", name, value: query.get(name) || "", placeholder, autocomplete: "off", maxlength: "300" });
  const numeric = (name, limits) => el("input", { type: "number", name, value: query.get(name) || "", ...limits });
  const tags = query.getAll("nsfw");
  const filtered = ["min_side", "max_punsafe", "min_similarity", "licence", "language", "keep_unknown", "safety", "nsfw"].some((name) => query.has(name));
  const filters = el("details", { open: filtered }, el("summary", {}, "Filters"),
    el("div", { class: "fields" },
      field("Shortest side, pixels", numeric("min_side", { min: "0", step: "1" })),
      field("Similarity at least", numeric("min_similarity", { min: "-1", max: "1", step: "0.01" })),
      field("Licence starts with", text("licence")),
      field("Language", text("language", "en")),
      field("Unsafe rows", choice("safety", [["default", "leave out"], ["strict", "leave out, and unknown ones"], ["off", "keep"]], query.get("safety") || "default")),
      field("Punsafe at most", numeric("max_punsafe", { min: "0", max: "1", step: "0.01" })),
      el("fieldset", { class: "line" }, el("legend", { class: "small soft" }, "NSFW tags allowed"),
        ["UNLIKELY", "UNSURE", "NSFW"].map((tag) => el("label", { class: "check" }, el("input", { type: "checkbox", name: "nsfw", value: tag, checked: tags.includes(tag) }), tag))),
      el("label", { class: "check wide" }, el("input", { type: "checkbox", name: "keep_unknown", checked: query.has("keep_unknown") }), "keep rows that lack a value")));
  return el("form", { class: "panel", role: "search", autocomplete: "off" },
    el("div", { class: "line" }, el("div", { class: "grow" }, phrases.box), el("button", { class: "main" }, "Search")),
    el("div", { class: "fields" },
      field("Only with (prefix)", text("prefix", "satellite")),
      field("Not with", exclude.box),
      field("Order", choice("order", [["relevance", "relevance"], ["random", "random"], ["corpus", "corpus, all of them"]], query.get("order") || "relevance")),
      el("div", { class: "seed", hidden: true }, field("Seed", numeric("seed", { min: "0", step: "1" })))),
    filters);
}

function welcome() {
  return state(
    el("p", {}, session.rows ? `${number(session.rows)} captions are waiting. Type a phrase; Enter adds another one.` : "This index has no captions yet: captrawl index captions …"),
    session.rows > 0 && session.examples.length > 0 && el("p", { class: "line" }, session.examples.map((text) => el("a", { class: "button", href: `#captions?${toQuery({ phrase: text })}` }, text))));
}

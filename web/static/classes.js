// The classes, and of one: its synonyms, the sample it is seen through, and its pictures.

import { arrows, ask, choice, commandLine, el, failed, field, number, oneStop, route, session, state, toQuery } from "./dom.js";
import { comparison } from "./compare.js";
import { gallery } from "./gallery.js";

export async function classesView(main, query, [id]) {
  if (!session.workspace) {
    main.replaceChildren(el("h1", {}, "Classes"), state(el("p", {}, "Classes need a workspace: ", el("code", {}, "captrawl -C DIR serve"))));
    return;
  }
  if (!main.querySelector("nav.list")) main.replaceChildren(state(el("p", {}, "Reading the classes …")));
  const { classes } = await ask("classes");
  const detail = el("section", { class: "view", "aria-live": "off" }, state(el("p", {}, "Choose a class.")));
  const list = el("nav", { class: "list", "aria-label": "Classes" });
  const filter = el("input", { type: "search", value: query.get("filter") || "", placeholder: `Filter ${number(classes.length)} ${classes.length === 1 ? "class" : "classes"}`, "aria-label": "Filter the classes" });
  const draw = () => {
    const words = filter.value.trim().toLowerCase();
    list.replaceChildren(...classes.filter((one) => one.name.toLowerCase().includes(words) || one.id === words).map((one) =>
      el("a", { href: addressOf(one.id, query.get("sample"), filter.value, query.get("other")), "aria-current": one.id === id ? "page" : null },
        el("bdi", {}, one.name), el("span", {}, `${number(one.images)}/${number(one.pool)}`))));
    oneStop(list, list.querySelector("[aria-current]") || list.firstChild);
  };
  filter.addEventListener("input", () => {
    history.replaceState(null, "", addressOf(id, query.get("sample"), filter.value, query.get("other")));
    draw();
  });
  arrows(list);
  draw();
  main.replaceChildren(el("div", { class: "view" }, el("h1", { class: "sr" }, "Classes"),
    el("div", { class: "two" }, el("div", { class: "view" }, filter,
      el("p", { class: "columns small soft" }, el("span", {}, "class"), el("span", {}, "images/matches")), list), detail)));
  const current = list.querySelector("[aria-current]");
  if (current) list.scrollTop = current.offsetTop - (list.clientHeight - current.offsetHeight) / 2;
  if (id === undefined) return;
  try {
    return await showClass(detail, id, query);
  } catch (error) {
    detail.replaceChildren(failed(error));
  }
}

// The address of a class, or of the list alone, seen through a sample, the list filtered.
function addressOf(id, sample, filter, other = "") {
  const query = toQuery({ sample, other, filter: filter?.trim() });
  return `#classes${id === undefined ? "" : `/${id}`}${query ? `?${query}` : ""}`;
}

async function showClass(detail, id, query) {
  detail.replaceChildren(state(el("p", {}, "Loading …")));
  const page = await ask(`classes/${id}`);
  const sample = page.samples.includes(query.get("sample")) ? query.get("sample") : page.samples[0] || "";
  const others = page.samples.filter((name) => name !== sample);
  const other = others.includes(query.get("other")) ? query.get("other") : "";
  const pool = await ask(`classes/${id}/pool`, { sample, ...(other && { limit: 5000 }) });
  const through = choice("sample", page.samples.map((name) => [name, name]), sample);
  const beside = choice("other", [["", "none"], ...others.map((name) => [name, name])], other);
  const look = () => { location.hash = addressOf(id, through.value, route().query.get("filter"), beside.value === through.value ? "" : beside.value); };
  for (const control of [through, beside]) control.addEventListener("change", look);
  detail.replaceChildren(
    el("div", {}, el("h2", { class: "title" }, el("bdi", {}, page.name)),
      el("p", { class: "soft" }, `${number(page.pool)} ${page.pool === 1 ? "row matches" : "rows match"}, with ${number(page.images)} ${page.images === 1 ? "image" : "images"}`)),
    el("details", { open: true }, el("summary", {}, "Synonyms"), synonymTable(page.synonyms.filter((one) => one.match)), unmatched(page.synonyms)),
    page.samples.length ? el("div", { class: "through" }, field("By the scores of", through), others.length > 0 && field("Compare with", beside), el("code", { class: "soft" }, pool.method))
      : el("p", { class: "notice" }, "No sample was drawn yet, so there are no scores: ", el("code", {}, commandLine("sample"))));
  if (!pool.rows.length) { detail.append(state(el("p", {}, "No caption matched this class."))); return; }
  if (other) return comparison(detail, { id, sample, other, pool });
  return gallery(detail, { id, sample, pool, page });
}

function synonymTable(synonyms) {
  const count = (value) => el("td", { class: "num" }, value === null ? "–" : number(value));
  const most = Math.max(1, ...synonyms.map((one) => one.pool));
  return [
    el("div", { class: "wide-table" }, el("table", { class: "synonyms" },
      el("thead", {}, el("tr", {}, ["synonym", "matches", "credited", "images"].map((name, at) => el("th", { scope: "col", class: at ? "num" : null }, name)), el("td"))),
      el("tbody", {}, synonyms.map((one) => el("tr", {}, el("th", { scope: "row" }, el("bdi", {}, one.text)), count(one.frequency), count(one.pool), count(one.images),
        el("td", { class: "bar" }, el("progress", { max: String(most), value: String(one.pool), "aria-label": `${one.text}: ${number(one.pool)} credited` }))))))),
    el("p", { class: "small soft" }, "Matches: captions of the index that contain the synonym. Credited: rows of this class that count for it. A caption that contains several synonyms is credited to the one with most matches, so a rarer one inside it may have none."),
  ];
}

function unmatched(synonyms) {
  const others = synonyms.filter((one) => !one.match);
  if (!others.length) return null;
  return el("p", { class: "small soft" }, "not matched: ", others.map((one, at) => [at ? ", " : "", el("bdi", { title: one.reason }, one.text)]).flat());
}

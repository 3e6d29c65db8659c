// A caption, its picture, and facts about it.

import { el, number, session } from "./dom.js";

export const remoteWanted = () =>
  new URLSearchParams(location.search).get("remote") === "1" && sessionStorage.getItem("remote") === "1";

// Captions that are cut off, which depends on the page's width, open by a click or Enter.
const fitting = new ResizeObserver((entries) => {
  for (const { target } of entries) if (!target.classList.contains("open")) fit(target);
});

function fit(box) {
  const cut = box.scrollHeight > box.clientHeight + 1;
  box.classList.toggle("cut", cut);
  box.title = cut ? "Show all of it" : "";
  if (!("stop" in box.dataset)) return;
  if (cut) {
    box.tabIndex = 0;
    box.setAttribute("role", "button");
    box.setAttribute("aria-expanded", "false");
  } else {
    for (const name of ["tabindex", "role", "aria-expanded"]) box.removeAttribute(name);
  }
}

function unfold(box) {
  if (!box.classList.contains("cut")) return;
  const open = box.classList.toggle("open");
  if ("stop" in box.dataset) box.setAttribute("aria-expanded", String(open));
}

// The caption as text, its matches marked; marks count Unicode characters, as Python does. `stop`: the
// keyboard reaches it where it is cut off.
export function captionOf(row, { stop = true } = {}) {
  const box = el("p", { class: "caption", dir: "auto", "data-stop": stop });
  if (!row.caption) return el("p", { class: "caption soft" }, "no caption");
  const letters = Array.from(row.caption);
  let place = 0;
  for (const [start, end] of row.marks || []) {
    box.append(letters.slice(place, start).join(""), el("mark", {}, letters.slice(start, end).join("")));
    place = end;
  }
  box.append(letters.slice(place).join(""));
  box.addEventListener("click", () => unfold(box));
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); unfold(box); }
  });
  fitting.observe(box);
  return box;
}

export function webAddress(url) {
  try {
    const parsed = new URL(url);
    return ["http:", "https:"].includes(parsed.protocol) ? parsed : null;
  } catch {
    return null;
  }
}

// Where a row's picture is: the workspace's, or the web's where the user wants that; null where there is none.
export function sourceOf(row, { full = false } = {}) {
  if (row.sha256) return `/api/images/${row.sha256}${full ? "?size=full" : ""}`;
  return remoteWanted() ? webAddress(row.url)?.href || null : null;
}

const unveiled = new Set();
const keyOf = (row) => row.sha256 || row.url;

// A picture; what may be unsafe only when asked for. `open`: what a click does; `stop`: the keyboard reaches it.
export function pictureOf(row, { open = null, stop = true, full = false } = {}) {
  const source = sourceOf(row, { full });
  if (!source) return row.sha256 === undefined || !session.workspace ? null : el("div", { class: "picture" }, "no image");
  const box = el("div", { class: "picture" });
  const show = () => {
    const image = el("img", { loading: full ? "eager" : "lazy", decoding: "async", referrerpolicy: "no-referrer", alt: row.caption || "an image without caption" });
    image.addEventListener("error", () => box.replaceChildren("not there"));
    image.src = source;
    box.replaceChildren(open ? el("button", { type: "button", class: "look", title: "Show it large", tabindex: stop ? "0" : "-1", onclick: open }, image) : image);
  };
  if (!row.unsafe || unveiled.has(keyOf(row))) { show(); return box; }
  box.classList.add("veiled");
  const button = el("button", { type: "button", "aria-label": "Marked unsafe: show the image" }, "unsafe: show");
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    unveiled.add(keyOf(row));
    box.classList.remove("veiled");
    show();
    box.tabIndex = -1;
    box.focus();  // the button is gone
  });
  box.append(button);
  return box;
}

// The captions of a picture: the first, and the others behind a line that opens.
export function captionsOf(row, captions, { stop = true } = {}) {
  const others = captions.filter((text) => text !== row.caption);
  return [captionOf(row, { stop }), others.length > 0 && el("details", { class: "others small" },
    el("summary", { tabindex: stop ? "0" : "-1" }, `${number(others.length)} more ${others.length === 1 ? "caption" : "captions"}`),
    el("ul", {}, others.map((text) => el("li", { dir: "auto" }, text.slice(0, 500)))))];
}

// Squares that are filled, or whole pictures: a choice that stays.
export function wholePictures() {
  const box = el("input", { type: "checkbox", checked: localStorage.getItem("fit") === "whole" });
  box.addEventListener("change", () => {
    localStorage.setItem("fit", box.checked ? "whole" : "square");
    document.documentElement.dataset.fit = localStorage.getItem("fit");
  });
  return el("label", { class: "check" }, box, "whole pictures");
}

export function metaOf(row, ...more) {
  const web = webAddress(row.url);
  const facts = [
    row.unsafe && el("span", { class: "tag bad" }, "unsafe"),
    row.width && row.height && `${row.width} × ${row.height}`,
    typeof row.similarity === "number" && `similarity ${row.similarity.toFixed(3)}`,
    row.licence && el("bdi", {}, row.licence),
    row.nsfw && `nsfw ${row.nsfw}`,
    typeof row.punsafe === "number" && `punsafe ${row.punsafe.toFixed(3)}`,
    row.language && el("bdi", {}, row.language),
    row.file && el("bdi", { title: "file and row of the corpus" }, `${row.file}:${row.row}`),
    row.url && (web
      ? el("a", { href: web.href, target: "_blank", rel: "noreferrer noopener nofollow", title: row.url.slice(0, 500) }, web.host)
      : el("bdi", {}, row.url.slice(0, 200))),
    ...more,
  ];
  return el("p", { class: "meta" }, facts.filter(Boolean).map((fact) => (typeof fact === "string" ? el("span", {}, fact) : fact)));
}

// "More like this": by its image where the workspace has one, else by its caption.
export function moreLike(row) {
  if (!session.similar) return null;
  const query = new URLSearchParams(row.sha256 ? { uid: row.uid, by: "image", caption: (row.caption || "").slice(0, 300) } : { text: (row.caption || "").slice(0, 1000) });
  if (!row.sha256 && !row.caption) return null;
  return el("a", { href: `#similar?${query}` }, "more like this");
}

export function bars(pairs) {
  const most = Math.max(1, ...pairs.map(([, value]) => value));
  return el("div", { class: "bars" }, pairs.flatMap(([name, value]) => [
    el("bdi", { class: "name" }, name),
    el("span", { class: "num" }, number(value)),
    el("progress", { max: String(most), value: String(value), "aria-label": `${name}: ${number(value)}` }),
  ]));
}

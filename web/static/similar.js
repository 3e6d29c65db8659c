// A text, an image, or another row in; the nearest images or captions of the workspace out.

import { ask, choice, el, failed, field, latest, remember, session, state } from "./dom.js";
import { captionOf, metaOf, moreLike, pictureOf } from "./rows.js";

export async function similarView(main, query) {
  if (!session.similar) {
    main.replaceChildren(el("h1", {}, "Similar"), state(el("p", {}, session.workspace
      ? ["This workspace has no vectors yet: run ", el("code", {}, "captrawl embed"), ", then reload."]
      : ["Similar images need a workspace: ", el("code", {}, "captrawl -C DIR serve")])));
    return;
  }
  let image = null;
  const results = el("section", { class: "view", "aria-label": "Results" });
  const run = latest(results);
  const text = el("input", { type: "search", name: "text", maxlength: "1000", value: query.get("text") || "", placeholder: "a red octagon by a road", "aria-label": "What to look for, in words", autocomplete: "off" });
  const where = choice("where", [["images", "images"], ["captions", "captions"]], query.get("where") || "images");
  const within = choice("class_id", [["", "all classes"]], "");
  const file = el("input", { type: "file", accept: "image/*", class: "sr", id: "file", tabindex: "-1" });
  const preview = el("div");
  const drop = el("div", { class: "drop" }, preview,
    el("p", {}, "Drop or paste an image, or ", el("button", { type: "button", onclick: () => file.click() }, "choose one")), file);
  const form = el("form", { class: "panel", role: "search" },
    el("div", { class: "line" }, el("div", { class: "grow" }, text), el("button", { class: "main" }, "Find")),
    drop, el("div", { class: "fields" }, field("Look among", where), field("Class", within)));

  form.addEventListener("submit", (event) => { event.preventDefault(); forget(); byText(); });
  where.addEventListener("change", again);
  within.addEventListener("change", again);
  file.addEventListener("change", () => { if (file.files[0]) byImage(file.files[0]); file.value = ""; });
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const [given] = event.dataTransfer.files;
    if (given) byImage(given);
  });
  const pasted = (event) => {
    const given = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (given) { event.preventDefault(); byImage(given); }
  };
  document.addEventListener("paste", pasted);

  const scope = () => ({ where: where.value, class_id: within.value });
  let repeat = () => {};
  function again() { repeat(); }
  function forget() {
    if (preview.firstChild) URL.revokeObjectURL(preview.firstChild.src);
    preview.replaceChildren();
    image = null;
  }
  function byText() {
    repeat = byText;
    const asked = { text: text.value.trim(), ...scope() };
    remember("similar", asked);
    if (!asked.text) { results.replaceChildren(state(el("p", {}, "Say what you look for, or give an image."))); return; }
    waiting();
    run((signal) => ask("similar", asked, { signal }), show);
  }
  function byImage(given) {
    forget();
    image = given;
    preview.append(el("img", { src: URL.createObjectURL(given), alt: "the image to look for" }));
    text.value = "";
    remember("similar", scope());
    repeat = () => {
      waiting();
      run((signal) => ask("similar/image", scope(), { method: "POST", body: image, signal, headers: { "Content-Type": "application/octet-stream" } }), show);
    };
    repeat();
  }
  function byRow() {
    repeat = byRow;
    const asked = { uid: query.get("uid"), by: query.get("by") || "image", ...scope() };
    const caption = query.get("caption") || "";
    remember("similar", { ...asked, caption });
    waiting();
    run(async (signal) => {
      try {
        return await ask("similar", asked, { signal });
      } catch (error) {
        if (error.status !== 422 || !caption) throw error;
        return ask("similar", { text: caption, ...scope() }, { signal });  // its image isn't embedded
      }
    }, (found) => show(found, `near ${asked.by === "image" ? "the image of" : "the caption"} “${caption || asked.uid}”`));
  }
  function waiting() {
    if (!results.firstChild) results.replaceChildren(state(el("p", {}, "Looking … the first time the model is loaded.")));
  }
  function show(found, told = "") {
    if (!found.rows.length) { results.replaceChildren(state(el("p", {}, "Nothing is embedded here."))); return; }
    results.replaceChildren(
      el("p", { class: "soft", role: "status" }, `${found.rows.length} nearest ${where.value}${told ? `, ${told}` : ""}`),
      el("ol", { class: "grid" }, found.rows.map((row) => el("li", { class: "card", "data-uid": row.uid }, pictureOf(row),
        el("div", { class: "body" },
          el("div", { class: "line spread" }, el("b", {}, row.score.toFixed(4)), row.class_name && el("a", { href: `#classes/${row.class_id}`, title: row.class_name }, el("bdi", {}, row.class_name))),
          captionOf({ ...row, marks: [] }), metaOf({ url: row.url, unsafe: row.unsafe }), moreLike(row))))));
  }

  main.replaceChildren(el("div", { class: "view" }, el("h1", { class: "sr" }, "Similar"), form, results));
  ask("classes").then(({ classes }) => {
    within.append(...classes.map((one) => el("option", { value: one.id, selected: one.id === query.get("class_id") }, one.name)));
    if (query.get("uid")) byRow();
    else byText();
  }).catch((error) => results.replaceChildren(failed(error)));
  return () => document.removeEventListener("paste", pasted);
}

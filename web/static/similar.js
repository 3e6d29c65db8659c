// A text, an image, or another row in; the nearest pictures of the workspace out.

import { ask, choice, commandLine, el, failed, field, latest, number, remember, session, state } from "./dom.js";
import { showLarge } from "./large.js";
import { captionsOf, metaOf, moreLike, pictureOf, wholePictures } from "./rows.js";

let modelIsLoaded = false;

export async function similarView(main, query) {
  if (!session.similar) {
    main.replaceChildren(el("h1", {}, "Similar"), state(el("p", {}, session.workspace
      ? ["This workspace has no vectors yet: run ", el("code", {}, commandLine("embed")), ", then reload."]
      : ["Similar images need a workspace: ", el("code", {}, "captrawl -C DIR serve")])));
    return;
  }
  let image = null;
  const status = el("p", { class: "soft progress", role: "status" });
  const results = el("div", { class: "view" });
  const run = latest(results);
  const text = el("input", { type: "search", name: "text", maxlength: "1000", value: query.get("text") || "", placeholder: session.examples[0] ? `a photo of a ${session.examples[0]}` : "what you look for", "aria-label": "What to look for, in words", autocomplete: "off" });
  const where = choice("where", [["images", "images"], ["captions", "captions"]], query.get("where") || "images");
  const within = choice("class_id", [["", "all classes"]], "");
  const file = el("input", { type: "file", accept: "image/*", class: "sr", id: "file", tabindex: "-1", "aria-label": "An image to compare with" });
  const preview = el("div");
  const drop = el("div", { class: "drop" }, preview,
    el("p", {}, "Drop or paste an image, or ", el("button", { type: "button", onclick: () => file.click() }, "choose one")), file);
  const form = el("form", { class: "panel", role: "search" },
    el("div", { class: "line" }, el("div", { class: "grow" }, text), el("button", { class: "main" }, "Find")),
    drop, el("div", { class: "fields" }, field("Look among", where), field("Class", within)));

  form.addEventListener("submit", (event) => { event.preventDefault(); forget(); byText(); });
  where.addEventListener("change", () => repeat());
  within.addEventListener("change", () => repeat());
  file.addEventListener("change", () => { if (file.files[0]) byImage(file.files[0]); file.value = ""; });
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const [upload] = event.dataTransfer.files;
    if (upload) byImage(upload);
  });
  const onPaste = (event) => {
    const upload = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (upload) { event.preventDefault(); byImage(upload); }
  };
  document.addEventListener("paste", onPaste);

  const scope = () => ({ where: where.value, class_id: within.value });
  let repeat = () => {};
  function forget() {
    const picture = preview.querySelector("img");
    if (picture) URL.revokeObjectURL(picture.src);
    preview.replaceChildren();
    image = null;
  }
  function byText() {
    repeat = byText;
    const question = { text: text.value.trim(), ...scope() };
    remember("similar", question);
    if (question.text) look((signal) => ask("similar", question, { signal }));
    else { status.replaceChildren(); results.replaceChildren(state(el("p", {}, "Say what you look for, or give an image."))); }
  }
  function byImage(upload) {
    forget();
    image = upload;
    preview.append(el("img", { src: URL.createObjectURL(upload), alt: "the image to look for" }),
      el("button", { type: "button", class: "quiet", "aria-label": "Remove the image", onclick: () => { forget(); byText(); } }, "×"));
    text.value = "";
    remember("similar", scope());
    repeat = () => look((signal) => ask("similar/image", scope(), { method: "POST", body: image, signal, headers: { "Content-Type": "application/octet-stream" } }));
    repeat();
  }
  function byRow() {
    repeat = byRow;
    const question = { uid: query.get("uid"), by: query.get("by") || "image", ...scope() };
    const caption = query.get("caption") || "";
    remember("similar", { ...question, caption });
    look(async (signal) => {
      try {
        return await ask("similar", question, { signal });
      } catch (error) {
        if (error.status !== 422 || !caption) throw error;
        return ask("similar", { text: caption, ...scope() }, { signal });  // its image isn't embedded
      }
    }, `, near ${question.by === "image" ? "the image of" : "the caption"} “${caption || question.uid}”`);
  }
  // What stands there stays, pale, until the answer comes; an error goes at once, with the question it was of.
  function look(question, origin = "") {
    status.replaceChildren(el("span", { class: "spinner", "aria-hidden": "true" }), modelIsLoaded ? "Looking …" : "Looking … the first question loads the model.");
    if (results.querySelector(".state")) results.replaceChildren();
    run(async (signal) => {
      try {
        return await question(signal);
      } catch (error) {
        if (error.name !== "AbortError") status.replaceChildren();
        throw error;
      }
    }, ({ rows }) => show(rows, origin));
  }
  function show(rows, origin) {
    modelIsLoaded = true;
    const count = `${number(rows.length)} nearest ${rows.length === 1 ? "picture" : "pictures"}${where.value === "captions" ? " by caption" : ""}`;
    status.replaceChildren(rows.length ? `${count}${origin}` : "");
    if (!rows.length) { results.replaceChildren(state(el("p", {}, "Nothing is embedded here."))); return; }
    const facts = (row) => [el("p", { class: "small" }, `score ${row.score.toFixed(4)}`, row.class_name ? ` · ${row.class_name}` : "")];
    results.replaceChildren(el("ol", { class: "grid" }, rows.map((row) => el("li", { class: "card", "data-uid": row.uid },
      pictureOf(row, { open: () => showLarge(rows, row, { facts }) }),
      el("div", { class: "body" },
        el("div", { class: "line spread" }, el("b", {}, row.score.toFixed(4)), row.class_name && el("a", { href: `#classes/${row.class_id}`, title: row.class_name }, el("bdi", {}, row.class_name))),
        captionsOf({ ...row, marks: [] }, row.captions), metaOf({ url: row.url, unsafe: row.unsafe }), moreLike(row))))));
  }

  main.replaceChildren(el("div", { class: "view" }, el("h1", { class: "sr" }, "Similar"), form,
    el("section", { class: "view", "aria-label": "Results" }, el("div", { class: "line spread" }, status, wholePictures()), results)));
  ask("classes").then(({ classes }) => {
    within.append(...classes.map((one) => el("option", { value: one.id, selected: one.id === query.get("class_id") }, one.name)));
    if (query.get("uid")) byRow();
    else byText();
  }).catch((error) => results.replaceChildren(failed(error)));
  return () => document.removeEventListener("paste", onPaste);
}

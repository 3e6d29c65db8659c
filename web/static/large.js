// One picture as large as the window, with the arrows to the next; Esc or a click beside it closes.

import { el, number } from "./dom.js";
import { captionsOf, metaOf, pictureOf } from "./rows.js";

// `rows` in order, beginning at `row`. `actions(row)` gives buttons, `keys(event, row)` may take a key; both may
// call the `again` that the dialog is given. `closed(row)` is called with the last one.
export function showLarge(rows, row, { actions = () => [], keys = () => false, closed = () => {}, facts = () => [] } = {}) {
  let at = Math.max(0, rows.indexOf(row));
  const before = document.activeElement;
  const place = el("p", { class: "soft small", role: "status" });
  const back = el("button", { type: "button", "aria-label": "The picture before", onclick: () => move(-1) }, "←");
  const next = el("button", { type: "button", "aria-label": "The next picture", onclick: () => move(1) }, "→");
  const close = el("button", { type: "button", "aria-label": "Close", onclick: () => dialog.close() }, "✕");
  const stage = el("div", { class: "stage" });
  const text = el("div", { class: "about-picture" });
  const dialog = el("dialog", { class: "large", "aria-label": "The picture, large" },
    el("div", { class: "line spread bar" }, el("div", { class: "line" }, back, next, place), close), stage, text);

  function draw() {
    const shown = rows[at];
    place.replaceChildren(`${number(at + 1)} of ${number(rows.length)}`);
    back.disabled = at === 0;
    next.disabled = at === rows.length - 1;
    stage.replaceChildren(pictureOf(shown, { full: true }) || "no image");
    text.replaceChildren(...[...captionsOf(shown, shown.captions || []), metaOf(shown), ...facts(shown),
      el("div", { class: "acts" }, actions(shown, draw))].filter(Boolean));
  }
  function move(step) {
    if (!rows[at + step]) return;
    at += step;
    draw();
    if (document.activeElement === document.body || document.activeElement.disabled) close.focus();
  }
  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) { event.preventDefault(); move(step); }
    else if (keys(event, rows[at], draw)) event.preventDefault();
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog || event.target === stage) dialog.close(); });
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (!closed(rows[at])) before?.focus?.();
  });
  document.body.append(dialog);
  draw();
  dialog.showModal();
  close.focus();
}

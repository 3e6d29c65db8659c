// Which view is shown, and the two switches of the page.

import { ask, el, failed, number, remember, route, session } from "./dom.js";
import { captionsView } from "./captions.js";
import { classesView } from "./classes.js";
import { similarView } from "./similar.js";
import { remoteWanted } from "./rows.js";

const VIEWS = { captions: captionsView, similar: similarView, classes: classesView };
const main = document.getElementById("main");
let leave = null;
let turn = 0;

async function show() {
  const { view, rest, query } = route();
  const name = Object.hasOwn(VIEWS, view) ? view : "captions";
  for (const link of document.querySelectorAll("nav [data-view]")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${name} · captrawl`;
  leave?.();
  leave = null;
  const mine = ++turn;
  const within = main.contains(document.activeElement);
  try {
    const left = await VIEWS[name](main, query, rest);
    if (mine === turn) leave = left || null;
    else left?.();
  } catch (error) {
    main.replaceChildren(failed(error));
  }
  if (within && mine === turn && document.activeElement === document.body) toTheTitle();
}

// What had the focus is gone with the view before: the keyboard goes on at the title of what came.
function toTheTitle() {
  const title = main.querySelector("h2.title") || main.querySelector("h1") || main;
  title.tabIndex = -1;
  title.focus();
}

function switches() {
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
  const remote = document.getElementById("remote");
  remote.checked = remoteWanted();
  document.getElementById("strip").hidden = !remote.checked;
  remote.addEventListener("change", () => {
    // The page is loaded anew, since its policy says whether it may ask other hosts at all.
    if (remote.checked) sessionStorage.setItem("remote", "1");
    else sessionStorage.removeItem("remote");
    location.replace(`/${remote.checked ? "?remote=1" : ""}${location.hash}`);
    if (location.search === (remote.checked ? "?remote=1" : "")) location.reload();
  });
  document.documentElement.dataset.fit = localStorage.getItem("fit") || "square";
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark"
      || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", document.documentElement.dataset.theme);
  });
}

async function start() {
  switches();
  try {
    Object.assign(session, await ask("session"));
  } catch (error) {
    main.replaceChildren(failed(error), el("p", { class: "state" }, el("button", { type: "button", onclick: () => location.reload() }, "Try again")));
    return;
  }
  const place = session.workspace ? session.workspace.split("/").at(-1) : session.index;
  document.getElementById("about").textContent = `${place} · ${number(session.rows)} captions in ${number(session.files)} ${session.files === 1 ? "file" : "files"}`;
  document.getElementById("about").title = [session.workspace, session.index].filter(Boolean).join(" · ");
  if (!location.hash) remember("captions", {});
  addEventListener("hashchange", show);
  await show();
}

start();

// Elements, requests and the address bar: what every view uses. Text only ever becomes text nodes.

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const number = (value) => value.toLocaleString("en");

export class Problem extends Error {
  constructor(text, status) { super(text); this.status = status; }
}

export const session = { token: "", scores: [] };

export async function ask(path, parameters = {}, options = {}) {
  const headers = { ...(options.headers || {}) };
  if (options.method) headers["X-Captrawl-Token"] = session.token;
  let answer;
  try {
    answer = await fetch(address(path, parameters), { ...options, headers, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server doesn't answer. Is captrawl serve still running?", 0);
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(told.error || `The server answered ${answer.status}.`, answer.status);
  return told;
}

export function address(path, parameters) {
  const query = toQuery(parameters);
  return `/api/${path}${query ? `?${query}` : ""}`;
}

export function toQuery(parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== "" && one !== null && one !== undefined && one !== false) query.append(name, one);
    }
  }
  return query.toString();
}

// #view/part?query
export function route() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  const [view, ...rest] = path.split("/");
  return { view: view || "captions", rest, query: new URLSearchParams(query) };
}

export function remember(path, parameters, replace = true) {
  const query = toQuery(parameters);
  const hash = `#${path}${query ? `?${query}` : ""}`;
  if (hash === location.hash) return;
  if (replace) history.replaceState(null, "", hash);
  else history.pushState(null, "", hash);
}

// One request at a time: a newer one ends the older.
export function latest(box) {
  let current = null;
  return async (question, show) => {
    current?.abort();
    const mine = (current = new AbortController());
    box.classList.add("busy");
    box.setAttribute("aria-busy", "true");
    try {
      const answer = await question(mine.signal);
      if (mine === current) show(answer);
    } catch (error) {
      if (error.name !== "AbortError" && mine === current) box.replaceChildren(failed(error));
    } finally {
      if (mine === current) {
        box.classList.remove("busy");
        box.removeAttribute("aria-busy");
      }
    }
  };
}

export function failed(error) {
  if (!(error instanceof Problem)) console.error(error);
  return el("div", { class: "state bad", role: "alert" }, el("p", {}, error.message || "Something went wrong."));
}

export const state = (...children) => el("div", { class: "state", role: "status" }, ...children);

export function later(milliseconds, act) {
  let timer = 0;
  return () => { clearTimeout(timer); timer = setTimeout(act, milliseconds); };
}

export const field = (text, control) => el("label", { class: "field" }, text, control);

export function choice(name, options, value) {
  return el("select", { name }, options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)));
}

// One tab stop for all children of a box; arrow keys, Home and End move it.
export function oneStop(box, wanted) {
  const all = [...box.children];
  const stop = wanted || all.find((one) => one.tabIndex === 0) || all[0];
  for (const one of all) one.tabIndex = one === stop ? 0 : -1;
}

export function arrows(box) {
  box.addEventListener("keydown", (event) => {
    const all = [...box.children];
    const at = all.findIndex((one) => one.contains(event.target));
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const across = Math.max(1, all.filter((one) => one.offsetTop === all[0].offsetTop).length);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + across, ArrowUp: at - across, Home: 0, End: all.length - 1 }[event.key];
    if (!all[to]) return;
    event.preventDefault();
    oneStop(box, all[to]);
    all[to].focus();
  });
}

// Several phrases in one box: Enter, a comma or a semicolon ends a phrase.
export function chips({ label, values, placeholder, big, changed, id }) {
  const held = [...values];
  const input = el("input", { type: "text", "aria-label": label, placeholder, maxlength: "300", autocomplete: "off", spellcheck: "false", id });
  const box = el("div", { class: big ? "chips big" : "chips", onclick: (event) => { if (event.target === box) input.focus(); } });
  const draw = () => {
    const shown = held.map((text, at) => el("span", { class: "chip" }, el("bdi", {}, text),
      el("button", { type: "button", "aria-label": `Remove ${text}`, onclick: () => { held.splice(at, 1); draw(); input.focus(); changed(); } }, "×")));
    const focused = document.activeElement === input;
    box.replaceChildren(...shown, input);
    if (focused) input.focus();
    input.placeholder = held.length ? "" : placeholder;
  };
  const take = () => {
    const texts = input.value.split(/[,;\n]/).map((text) => text.trim()).filter(Boolean);
    input.value = "";
    for (const text of texts) if (!held.includes(text)) held.push(text);
    draw();
  };
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); take(); changed(); }
    else if (event.key === "Backspace" && !input.value && held.length) { held.pop(); draw(); changed(); }
  });
  input.addEventListener("input", () => { if (/[,;]/.test(input.value)) take(); changed(); });
  draw();
  const current = () => [...new Set([...held, input.value.trim()].filter(Boolean))];
  return { box, input, current, commit: take };
}

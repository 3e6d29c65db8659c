// Elements, requests and the address bar: what every view uses. Text only ever becomes text nodes.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const number = (value) => value.toLocaleString("en");

export class Problem extends Error {
  constructor(text, status) { super(text); this.status = status; }
}

export const session = { token: "", scores: [], examples: [] };

// A server that was started again has another token: the page takes it and asks once more.
export async function ask(path, parameters = {}, options = {}) {
  try {
    return await request(path, parameters, options);
  } catch (error) {
    if (error.status !== 403 || !options.method) throw error;
    const { token } = await request("session");
    if (token === session.token) throw error;
    session.token = token;
    return request(path, parameters, options);
  }
}

async function request(path, parameters = {}, options = {}) {
  const headers = { ...(options.headers || {}) };
  if (options.method) headers["X-Captrawl-Token"] = session.token;
  let answer;
  try {
    answer = await fetch(address(path, parameters), { ...options, headers, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server doesn't answer. Is captrawl serve still running?", 0);
  }
  const value = await answer.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    if (answer.ok) throw new Problem("The server's answer was cut off; ask again.", 0);
    return {};
  });
  if (!answer.ok) throw new Problem(value.error || `The server answered ${answer.status}.`, answer.status);
  return value;
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

// A command to run in a terminal, with a button that copies it.
export function commandBox(label) {
  const code = el("code", { class: "command", tabindex: "0", "aria-label": label });
  const button = el("button", { type: "button", class: "copy", onclick: () => copy(code, button) }, "Copy");
  const box = el("div", { class: "commands" }, code, button);
  return { box, set: (text) => { if (code.textContent !== text) code.textContent = text; } };
}

async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {  // no clipboard on a page of plain http from another machine
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }
  button.replaceChildren("Copied");
  setTimeout(() => button.replaceChildren("Copy"), 1500);
}

// `captrawl -C WORKSPACE …` as a shell takes it.
export function commandLine(...words) {
  const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\"'\"'")}'`);
  return ["captrawl", "-C", session.workspace, ...words].map(quoted).join(" ");
}

export const field = (text, control) => el("label", { class: "field" }, text, control);

export function choice(name, options, value) {
  return el("select", { name }, options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)));
}

// One tab stop for all children of a box; arrow keys, Home and End move it.
export function oneStop(box, chosen) {
  const all = [...box.children];
  const stop = chosen || all.find((one) => one.tabIndex === 0) || all[0];
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
  const phrases = [...values];
  const input = el("input", { type: "text", "aria-label": label, placeholder, maxlength: "300", autocomplete: "off", spellcheck: "false", id });
  const box = el("div", { class: big ? "chips big" : "chips", onclick: (event) => { if (event.target === box) input.focus(); } });
  const draw = () => {
    const chips = phrases.map((text, at) => el("span", { class: "chip" }, el("bdi", {}, text),
      el("button", { type: "button", "aria-label": `Remove ${text}`, onclick: () => { phrases.splice(at, 1); draw(); input.focus(); changed(); } }, "×")));
    const focused = document.activeElement === input;
    box.replaceChildren(...chips, input);
    if (focused) input.focus();
    input.placeholder = phrases.length ? "" : placeholder;
  };
  const take = () => {
    const texts = input.value.split(/[,;\n]/).map((text) => text.trim()).filter(Boolean);
    input.value = "";
    for (const text of texts) if (!phrases.includes(text)) phrases.push(text);
    draw();
  };
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); take(); changed(); }
    else if (event.key === "Backspace" && !input.value && phrases.length) { phrases.pop(); draw(); changed(); }
  });
  input.addEventListener("input", () => { if (/[,;]/.test(input.value)) take(); changed(); });
  draw();
  const current = () => [...new Set([...phrases, input.value.trim()].filter(Boolean))];
  const put = (texts) => { phrases.splice(0, phrases.length, ...texts); input.value = ""; draw(); changed(); };
  return { box, input, current, commit: take, put };
}

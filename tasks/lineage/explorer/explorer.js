"use strict";

// Everything in the page's data is untrusted text: it is inserted only as textContent.

const PAGE = 50;
const byId = (id) => document.getElementById(id);
const sides = JSON.parse(byId("data").textContent).sides;
const paths = JSON.parse(byId("paths").textContent);
const [now, before] = [sides[sides.length - 1], sides.length > 1 ? sides[0] : null];

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

// The graph

const boxes = new Map([...document.querySelectorAll(".box")].map((box) => [box.dataset.name, box]));
const lines = [...document.querySelectorAll(".line")];

function neighbour(name, key) {
  const boxOf = (other) => boxes.get(other).getBoundingClientRect();
  const here = boxOf(name);
  const away = (other) => 1e4 * Math.abs(boxOf(other).y - here.y) + Math.abs(boxOf(other).x - here.x);
  const nearest = (names) => names.sort((a, b) => away(a) - away(b))[0];
  const beside = () => [...boxes.keys()].filter((other) => other !== name && Math.abs(boxOf(other).y - here.y) < 2);
  const found = {
    ArrowUp: () => nearest(lines.filter((line) => line.dataset.reader === name).map((line) => line.dataset.writer)),
    ArrowDown: () => nearest(lines.filter((line) => line.dataset.writer === name).map((line) => line.dataset.reader)),
    ArrowLeft: () => nearest(beside().filter((other) => boxOf(other).x < here.x)),
    ArrowRight: () => nearest(beside().filter((other) => boxOf(other).x > here.x)),
  }[key];
  return found && boxes.get(found()); // undefined if there is no box
}

function light(name) {
  for (const line of lines) line.classList.toggle("near", line.dataset.writer === name || line.dataset.reader === name);
}

for (const [name, box] of boxes) {
  box.addEventListener("click", () => openRecord(name, box));
  box.addEventListener("focus", () => light(name));
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      openRecord(name, box);
    } else if (event.key.startsWith("Arrow")) {
      event.preventDefault();
      const next = neighbour(name, event.key);
      if (next) next.focus();
    }
  });
}
for (const button of document.querySelectorAll("button.plain[data-name]")) {
  button.addEventListener("click", () => openRecord(button.dataset.name, button));
}

// The record

let opener = null;
let onlyDifferent = before !== null;

function choose(name, from) {
  opener = from;
  for (const box of boxes.values()) box.removeAttribute("aria-current");
  boxes.get(name).setAttribute("aria-current", "true");
  light(name);
  show(name);
  byId("record").scrollTop = 0;
}

function openRecord(name, from) {
  choose(name, from);
  byId("record-title").focus();
}

byId("record").addEventListener("keydown", (event) => {
  if (event.key === "Escape" && opener) opener.focus();
});

function flat(value, above, into) {
  if (value !== null && typeof value === "object" && Object.keys(value).length) {
    for (const [key, below] of Object.entries(value)) flat(below, above ? `${above}.${key}` : key, into);
  } else {
    into[above] = typeof value === "string" ? value : JSON.stringify(value);
  }
  return into;
}

const OPEN = new Set(["Outputs", "Inputs", "Times", "Metrics", "Written by people"]);

function sections(side, name) {
  if (side === null) return {};
  if (name in side.sources) return sourceSections(side, name);
  const node = side.nodes[name];
  if (!node) return {};
  const { outputs, inputs, files, parameters, seeds, rules, code, git, function: called, packages, installed, machine, gpus, gpu_seconds, started, ended, seconds, metrics, parents, ...rest } = node.record;
  const times = { started, ended, seconds };
  if (gpu_seconds !== undefined) times["GPU-seconds"] = gpu_seconds;
  const of = {
    Outputs: outputs,
    Files: Object.fromEntries(Object.entries(files || {}).flatMap(([path, each]) => Object.entries(each).map(([file, sha256]) => [`${path}/${file}`, sha256]))),
    Inputs: inputs,
    Times: times,
    Metrics: metrics || {},
    Parameters: parameters || {},
    Seeds: seeds || {},
    Rules: rules ? rules.rules : {},
    Code: { ...git, ...code, function: called },
    Packages: installed === undefined ? packages || {} : { installed, ...packages },
    Machine: gpus === undefined ? machine || {} : { ...machine, GPUs: gpus.join(", ") || "none" },
    Parents: parents || {},
    Record: { "SHA-256 of its file": node.sha256, ...(rules ? { "digest of its rules": rules.digest } : {}), ...rest },
  };
  return Object.fromEntries(Object.entries(of).map(([title, values]) => [title, inPieces(title, values)]));
}

const inPieces = (title, values) => (["Outputs", "Files", "Inputs", "Rules", "Packages", "Parents"].includes(title) ? asText(values) : flat(values, "", {}));
const asText = (values) => Object.fromEntries(Object.entries(values).filter(([key]) => key).map(([key, value]) => [key, String(value)]));

function sourceSections(side, name) {
  const readers = Object.entries(side.nodes).filter(([, node]) => node.edges.some((edge) => edge.path === name && edge.producer === null));
  const sha256 = Object.fromEntries(side.sources[name].map((one, number, all) => [all.length > 1 ? `SHA-256, version ${number + 1}` : "SHA-256", one]));
  return { "Written by people": { path: name, ...sha256, "read by": readers.map(([reader]) => reader).join(", ") } };
}

function show(name) {
  const node = now.nodes[name] || (before && before.nodes[name]);
  byId("record-title").textContent = name;
  const all = sides.map((side) => sections(side, name));
  const body = [node ? make("p", { class: "note" }, node.summary) : null];
  if (before) {
    const box = make("input", { type: "checkbox" });
    box.checked = onlyDifferent;
    box.addEventListener("change", () => {
      onlyDifferent = box.checked;
      show(name);
      byId("record-body").querySelector("input").focus();
    });
    body.push(make("p", {}, make("label", {}, box, " only what differs")));
  }
  const titles = [...new Set(all.flatMap((one) => Object.keys(one)))];
  const shown = titles.map((title) => section(title, all.map((one) => one[title] || {}), name)).filter((one) => one !== null);
  if (!shown.length) shown.push(make("p", { class: "note" }, "Nothing differs."));
  byId("record").classList.toggle("two", before !== null);
  byId("record-body").replaceChildren(...body.filter((one) => one !== null), ...shown);
}

function section(title, values, name) {
  const keys = [...new Set(values.flatMap((one) => Object.keys(one)))];
  const different = (key) => before !== null && values[0][key] !== values[1][key];
  const shown = keys.filter((key) => !before || !onlyDifferent || different(key));
  if (!shown.length) return null;
  const rows = shown.map((key) =>
    make("tr", { class: different(key) ? "differs" : null }, make("th", { scope: "row" }, key), ...values.map((one, number) => cell(title, key, one[key], sides[number], name))),
  );
  const head = before ? make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "field"), make("th", { scope: "col" }, "before"), make("th", { scope: "col" }, "now"))) : null;
  const isOpen = before ? onlyDifferent || OPEN.has(title) : OPEN.has(title);
  return make(
    "details",
    isOpen ? { open: "" } : {},
    make("summary", {}, make("h4", {}, title), ` ${shown.length}`),
    make("table", { "aria-label": `${title} of ${name}` }, head, make("tbody", {}, ...rows)),
  );
}

function cell(title, key, value, side, name) {
  if (value === undefined) return make("td", { class: "nodata" }, "none");
  const found = make("td", {}, make("code", {}, value));
  const edge = title === "Inputs" && side.nodes[name].edges.find((one) => one.path === key);
  if (edge && !edge.holds) found.append(" ", make("span", { class: "tag no" }, "✗ is not what was written there"));
  if (edge) {
    const other = edge.producer || edge.path;
    const button = make("button", { type: "button", class: "plain" }, edge.producer ? `by ${other}` : "written by people");
    button.addEventListener("click", () => openRecord(other, boxes.get(other)));
    found.append(" ", button);
  }
  return found;
}

// Packed data: base64 of gzip of JSON

const bytesOf = (text) => (Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));

async function unpack(element) {
  const stream = new Blob([bytesOf(element.textContent)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

const written = (number) => number.toLocaleString("en");
const pause = () => new Promise((resolve) => setTimeout(resolve));

// Rows

function matching(rows, text, rule) {
  const having = (column, test) => new Set(rows[column].values.flatMap((value, code) => (value !== null && test(value) ? [code] : [])));
  const source = having("source", (value) => value.toLowerCase().includes(text));
  const rules = rule ? having("rules", (value) => value.split(" ").includes(rule)) : null;
  const includes = (column, at) => rows[column] !== null && rows[column][at] !== null && rows[column][at].toLowerCase().includes(text);
  return (at) =>
    (rules === null || rules.has(rows.rules.codes[at])) &&
    (text === "" || source.has(rows.source.codes[at]) || ["row_id", "prompt_id", "text"].some((column) => includes(column, at)));
}

async function* searchRows(text, rule, set, onProgress) {
  if (document.readyState === "loading") await new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve));
  const chunks = [...document.querySelectorAll("script.rows")].filter((chunk) => set === "" || chunk.dataset.set === set);
  const total = chunks.reduce((sum, chunk) => sum + Number(chunk.dataset.rows), 0);
  let done = 0;
  for (const chunk of chunks) {
    const rows = await unpack(chunk);
    const matches = matching(rows, text, rule);
    for (let at = 0; at < rows.row_id.length; at += 1) {
      if (matches(at)) {
        onProgress(done + at + 1, total);
        yield { rows, at, set: Number(chunk.dataset.set) };
      }
    }
    done += rows.row_id.length;
    if (!onProgress(done, total)) return; // a newer search has started
    await pause();
  }
}

function rowFound({ rows, at, set }) {
  const of = (column) => rows[column].values[rows[column].codes[at]] ?? null;
  const prompt = rows.prompt_id && rows.prompt_id[at];
  const seed = of("seed") === null ? "" : `, seed ${of("seed")}`;
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, make("code", {}, rows.row_id[at]), prompt ? make("small", {}, `of prompt ${prompt}`) : null),
    make("td", { class: "text" }, (rows.text && rows.text[at]) || "", make("small", {}, `kept: ${of("kept")}`)),
    make("td", {}, of("rules") || "none", of("rules") ? make("small", {}, of("rules_are")) : null),
    make("td", {}, of("source"), make("small", {}, of("licence")), of("generator") ? make("small", {}, `${of("generator")}${seed}`) : null),
    make("td", {}, paths[set], of("split") ? make("small", {}, `split ${of("split")}`) : null),
  );
}

class Results {
  // Pages of what an iterator finds; a new search ends the one before.
  constructor(kind, row, what) {
    Object.assign(this, { kind, row, what, found: null, count: 0 });
    byId(`${kind}-more`).addEventListener("click", () => this.more());
  }

  async start(found, filled) {
    Object.assign(this, { found, count: 0, filled });
    byId(`${this.kind}-found`).replaceChildren();
    await this.more();
  }

  async more() {
    const { found, kind } = this;
    const button = byId(`${kind}-more`);
    button.hidden = true;
    byId(`${kind}-status`).textContent = "Searching …";
    const first = this.count;
    let ended = false;
    while (this.count < first + PAGE && !ended) {
      const next = await found.next();
      if (this.found !== found) return;
      ended = next.done;
      if (!ended) {
        byId(`${kind}-found`).append(this.row(next.value));
        byId(`${kind}-results`).hidden = false;
        this.count += 1;
      }
    }
    button.hidden = ended;
    byId(`${kind}-results`).hidden = this.count === 0;
    byId(`${kind}-status`).textContent = this.filled(ended, this.count);
    if (first) byId(`${kind}-found`).children[first]?.querySelector("button")?.focus();
  }
}

let rowsOfRule = null;

if (byId("row-search")) {
  const results = new Results("row", rowFound);
  const progress = byId("row-progress");
  let latest = null;
  const search = () => {
    let [done, total] = [0, 1];
    const mine = (latest = {});
    const onProgress = (rows, all) => {
      if (latest !== mine) return false;
      [done, total] = [rows, all];
      Object.assign(progress, { hidden: false, max: Math.max(all, 1), value: rows });
      return true;
    };
    const found = searchRows(byId("row-text").value.trim().toLowerCase(), byId("row-rule").value.trim().toUpperCase(), byId("row-set").value, onProgress);
    results.start(found, (ended, count) => {
      progress.hidden = true;
      return ended ? `${written(count)} rows found; all ${written(done)} looked through.` : `The first ${written(count)} rows found; ${written(done)} of ${written(total)} looked through.`;
    });
  };
  byId("row-search").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  rowsOfRule = (rule) => {
    byId("row-text").value = "";
    byId("row-set").value = "";
    byId("row-rule").value = rule;
    search();
    byId("row-rule").focus();
  };
}

// Rules

async function* searchRules(text) {
  for (const rule of await unpack(byId("packed-rules"))) {
    if ([rule.id, rule.title, rule.text].some((value) => value.toLowerCase().includes(text))) yield rule;
  }
}

function ruleFound(rule) {
  const counted = rule.rows.map((rows, set) => (rows ? make("small", {}, `${written(rows)} in ${paths[set]}`) : null));
  let rows = null;
  if (rowsOfRule && rule.rows.some((count) => count)) {
    rows = make("button", { type: "button", class: "plain", "aria-label": `Show the rows of ${rule.id}` }, "show them");
    rows.addEventListener("click", () => rowsOfRule(rule.id));
  }
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, rule.id, make("small", {}, `version ${rule.version}, ${rule.status}`), make("small", { title: rule.sha256 }, rule.sha256.slice(0, 12))),
    make("td", { class: "text" }, make("b", {}, rule.title), " ", make("span", { class: "tag" }, rule.policy.replaceAll("_", " ")), make("small", {}, rule.text)),
    make("td", {}, rule.used.join(", ")),
    make("td", {}, ...counted, rows || (rule.rows.some((count) => count) ? null : "none")),
  );
}

if (byId("rule-search")) {
  const results = new Results("rule", ruleFound);
  byId("rule-search").addEventListener("submit", (event) => {
    event.preventDefault();
    const found = searchRules(byId("rule-text").value.trim().toLowerCase());
    results.start(found, (ended, count) => (ended ? `${written(count)} found.` : `The first ${written(count)} found.`));
  });
}

// At the start: the record of what was asked for

choose(now.stage, boxes.get(now.stage));

// Elements that every section uses. Texts from data become text nodes, never markup.
"use strict";

const MARKS = {
  matches: ["✓", "good"], supported: ["✓", "good"], differs: ["≠", "bad"], contradicted: ["✗", "bad"],
  inconclusive: ["?", "doubt"], incomplete: ["⚠", "doubt"], "not comparable": ["∦", "none"], "not run": ["–", "none"],
};

/** An element with attributes (functions are listeners) and children: elements, texts, or null for nothing. */
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(key, value);
    else if (value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter(child => child !== null));
  return node;
}

const byId = id => document.getElementById(id);
const missing = (text, command) => el("p", { class: "missing" }, text, command ? el("code", {}, command) : null);

function plural(count, one, many = `${one}s`) { return `${count} ${count === 1 ? one : many}`; }

/** What stands above numbers; notices of what they rest on are marked. */
function lines(texts) {
  return texts.map(line => el("p", { class: "soft" }, REPORT.notices.includes(line) ? `⚠ ${line}` : line));
}

/** A labelled choice; `options` are [value, text]. */
function choice(label, options, value, change) {
  const select = el("select", { change: event => change(event.target.value) },
    options.map(([key, text]) => el("option", { value: key, selected: String(key) === String(value) }, text)));
  return el("label", {}, label, select);
}

const label = run => [run.method, run.r && `r = ${run.r}`, run.variant].filter(Boolean);
const named = run => label(run).join(", ");

/** The place of a run in the list by its folder, which the address names. */
const runOf = folder => REPORT.runs.findIndex(run => run.folder === folder);

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

function cellContent(cell) {
  if (typeof cell !== "object") return [String(cell)];
  const [sign, kind] = MARKS[cell.mark] || ["", "none"];
  const mark = cell.mark && cell.mark !== "incomplete" ? ` ${cell.mark}` : "";
  return [
    cell.text,
    ...(cell.lines || []).map(line => el("small", {}, line)),
    cell.mark ? el("span", { class: `mark ${kind}` }, sign + mark) : null,
    cell.note ? el("small", {}, `note ${cell.note}`) : null,
  ].filter(part => part !== null);
}

const NUMBER = /^[-+]?\d*\.?\d+(e[-+]?\d+)?(?!\w)/; // and no hash that begins with digits

/** Numbers by value, other texts by letter, what is empty last in both directions. */
function compare(a, b, up) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const order = NUMBER.test(a) && NUMBER.test(b) ? parseFloat(a) - parseFloat(b) : a.localeCompare(b);
  return up ? order : -order;
}

function sortBy(head, column) {
  const up = head.getAttribute("aria-sort") !== "ascending", body = head.closest("table").tBodies[0];
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = row => row.children[column].dataset.key;
  body.append(...[...body.rows].sort((a, b) => compare(key(a), key(b), up)));
}

/** A sortable table in a box that scrolls by itself. A row with a run has a button that opens its edits: `open(run)`. */
function tableBox(table, name, open) {
  const heads = table.columns.map((title, i) =>
    el("th", { scope: "col" }, el("button", { click: event => sortBy(event.target.parentNode, i) }, title)));
  const rows = table.rows.map(row => el("tr", {}, row.cells.map((cell, i) => {
    const key = String(cell.key ?? cell.text ?? cell), text = cellContent(cell);
    const attributes = { "data-key": key, class: key.length > 40 && key.includes(" ") ? "long" : null };
    return i === 0 ? el("th", { scope: "row", ...attributes }, runButton(row, text, open)) : el("td", attributes, text);
  })));
  return el("div", { class: "box", tabindex: 0, role: "region", "aria-label": `table: ${name}` },
    el("table", {}, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows)));
}

function runButton(row, text, open) {
  if (row.run === undefined || row.run === null || !open) return text;
  return el("button", { class: "link", title: "show its edits", click: () => open(row.run) }, text);
}

/** Title, what must be said above, the table, what has to be known below. */
function tableSection(table, open, name = table.title) {
  if (!table.rows.length) return [];
  return [
    table.title ? el("h3", {}, table.title) : null,
    (table.lead || []).map(line => el("p", { class: "soft" }, REPORT.notices.includes(line) ? `⚠ ${line}` : line)),
    tableBox(table, name, open),
    remarks(table.remarks || []),
  ].flat().filter(part => part !== null);
}

function remarks(lines) {
  const paragraphs = lines.map(line => el("p", { class: "soft" }, line));
  if (lines.join().length < 800) return paragraphs;
  return el("details", {}, el("summary", {}, `Notes (${lines.length})`), paragraphs);
}

/** A labelled choice; `options` are [value, text]. */
function choice(label, options, value, change) {
  const select = el("select", { change: event => change(event.target.value) },
    options.map(([key, text]) => el("option", { value: key, selected: String(key) === String(value) }, text)));
  return el("label", {}, label, select);
}

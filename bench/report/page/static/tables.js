// Tables: sortable, and to be taken along as CSV or LaTeX.
"use strict";

const NUMBER = /^[-+]?\d*\.?\d+(e[-+]?\d+)?(?!\w)/; // and no hash that begins with digits

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

const cellKey = cell => String(cell.key ?? cell.text ?? cell);

/** Numbers by value, other texts by letter, what is empty last in both directions. */
function compare(a, b, up) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const order = NUMBER.test(a) && NUMBER.test(b) ? parseFloat(a) - parseFloat(b) : a.localeCompare(b);
  return up ? order : -order;
}

/** The rows in the order that the address names for this table, `3` up or `-3` down by the third column. */
function inOrder(table, name) {
  const column = Number(chosen(`order ${name}`, "0"));
  if (!column) return table.rows;
  const key = row => cellKey(row.cells[Math.abs(column) - 1] ?? "");
  return [...table.rows].sort((a, b) => compare(key(a), key(b), column > 0));
}

/** A table in a box that scrolls by itself. A row with a run has a button that opens its edits: `open(row)`. */
function tableBox(table, name, open) {
  const body = el("tbody"), heads = table.columns.map((title, i) => el("th", { scope: "col" }, el("button", { click: () => {
    choose({ [`order ${name}`]: String(Number(chosen(`order ${name}`)) === i + 1 ? -i - 1 : i + 1) });
    show();
  } }, title)));
  const rows = new Map(table.rows.map(row => [row, tableRow(row, open)]));
  const show = () => {
    const column = Number(chosen(`order ${name}`, "0"));
    heads.forEach((head, i) => {
      head.removeAttribute("aria-sort");
      if (Math.abs(column) === i + 1) head.setAttribute("aria-sort", column > 0 ? "ascending" : "descending");
    });
    body.replaceChildren(...inOrder(table, name).map(row => rows.get(row)));
  };
  follow(body, show);
  return el("div", { class: "box", tabindex: 0, role: "region", "aria-label": `table: ${name}` },
    el("table", {}, el("thead", {}, el("tr", {}, heads)), body));
}

function tableRow(row, open) {
  return el("tr", {}, row.cells.map((cell, i) => {
    const key = cellKey(cell), content = cellContent(cell);
    const attributes = { "data-key": key, class: key.length > 40 && key.includes(" ") ? "long" : null };
    return i === 0 ? el("th", { scope: "row", ...attributes }, rowButton(row, content, open)) : el("td", attributes, content);
  }));
}

function rowButton(row, content, open) {
  if (row.run === undefined || row.run === null || !open) return content;
  return el("button", { class: "link", title: "show its edits", click: () => open(row) }, content);
}

/** Title, what must be said above, the table with its downloads, what has to be known below. */
function tableSection(table, open, name = table.title, heading = "h3") {
  if (!table.rows.length) return [];
  return [
    table.title ? el(heading, {}, table.title) : null,
    lines(table.lead || []),
    tableBox(table, name, open),
    el("p", { class: "downloads" },
      el("button", { class: "link", click: () => download(`${fileName(name)}.csv`, asCsv(table, name)) }, "CSV"),
      el("button", { class: "link", click: () => download(`${fileName(name)}.tex`, asLatex(table, name)) }, "LaTeX")),
    remarks(table.remarks || []),
  ].flat().filter(part => part !== null);
}

function remarks(texts) {
  const paragraphs = texts.map(line => el("p", { class: "soft" }, line));
  if (texts.join().length < 800) return paragraphs;
  return el("details", {}, el("summary", {}, `Notes (${texts.length})`), paragraphs);
}

/** A cell as one text. */
function cellText(cell) {
  if (typeof cell !== "object") return String(cell);
  const more = [...(cell.lines || []), cell.mark, cell.note && `note ${cell.note}`].filter(Boolean);
  return [cell.text, ...more].filter(text => text !== "").join("; ");
}

const noticesOf = table => (table.lead || []).filter(line => REPORT.notices.includes(line));

/** As it is sorted now; what its numbers rest on is a column of its own. */
function asCsv(table, name) {
  const quoted = text => /[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  const notice = noticesOf(table).join("; ");
  const cells = inOrder(table, name).map(row => [...row.cells.map(cellText), ...(notice ? [notice] : [])]);
  return [[...table.columns, ...(notice ? ["notice"] : [])], ...cells].map(line => line.map(quoted).join(",") + "\n").join("");
}

/** As it is sorted now, for the package booktabs; what has to be known beside it stands below. */
function asLatex(table, name) {
  const tex = text => [...text].map(letter => REPORT.tex[letter] ?? letter).join("");
  const row = texts => `${texts.map(tex).join(" & ")} \\\\`;
  const said = [...(table.lead || []), ...(table.remarks || [])].map(line => `${line.replace(/\.$/, "")}.`).join(" ");
  return [
    "% \\usepackage{booktabs}", "\\begin{table*}", "\\centering", "\\footnotesize", "\\setlength{\\tabcolsep}{3pt}",
    `\\caption{${tex(name)}}`, `\\label{tab:${fileName(name)}}`,
    `\\begin{tabular}{l${"r".repeat(table.columns.length - 1)}}`, "\\toprule", row(table.columns), "\\midrule",
    ...inOrder(table, name).map(line => row(line.cells.map(cellText))), "\\bottomrule", "\\end{tabular}",
    ...(said ? ["\\par\\medskip", `\\parbox{\\textwidth}{\\scriptsize ${tex(said)}}`] : []), "\\end{table*}", "",
  ].join("\n");
}

const fileName = name => name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "table";

function download(name, text) {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

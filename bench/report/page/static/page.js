// The sections beside the gallery.
"use strict";

// as many symbols as share no factor with the colours, so that curves differ in both
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x", "star", "triangle-down"];
const COLOURS = ["#3b82c4", "#e07b28", "#3f9c52", "#cf4446", "#8f6cc2", "#a0714f", "#d96bb5", "#8a8a8a", "#a8a52b", "#21a8b8"];
const DASHES = ["solid", "dash", "dot", "dashdot"];

function plural(count, one, many = `${one}s`) { return `${count} ${count === 1 ? one : many}`; }

function overview() {
  const { runs, sets, made } = REPORT, section = byId("overview");
  const methods = new Set(runs.map(run => run.method)).size;
  const names = sets.map(set => `${set.name} (${plural(set.samples.length, "sample")})`).join(", ");
  section.append(
    el("p", {}, `${plural(runs.length, "scored run")} of ${plural(methods, "method")} on ${names}.`),
    el("p", { class: "soft" }, `Page made on ${made.when} by commit ${made.commit}. A run's name opens its edits.`));
  for (const table of REPORT.overview) section.append(...tableSection(table, openRun));
}

function tables() {
  for (const table of REPORT.tables) byId("tables").append(...tableSection(table, openRun));
}

function items() {
  const section = byId("items");
  if (!REPORT.items.length)
    section.append(missing("No table or figure of a paper reproduced yet: ", "python -m bench.reproduce <item>"));
  for (const item of REPORT.items) {
    section.append(el("h3", {}, item.title));
    if (item.problem) section.append(missing(item.problem));
    if (item.table) section.append(...tableSection(item.table, openRun, item.title));
    if (item.plot) section.append(plotBox(item.plot));
    else if (item.figure)
      section.append(el("figure", {}, el("img", { src: path(item.figure), alt: `figure of ${item.title}`, loading: "lazy" })));
  }
}

function claims() {
  const section = byId("claims");
  if (!REPORT.claims) section.append(missing("No claims evaluated yet: ", "python -m bench.claims"));
  else section.append(...tableSection(REPORT.claims, null, "claims"));
}

function failures() {
  const section = byId("failures"), failed = REPORT.runs.filter(run => run.failures.length);
  if (!failed.length) section.append(el("p", {}, "No run recorded a failure."));
  for (const run of failed)
    section.append(...tableSection({
      title: `${run.folder}: ${plural(run.failures.length, "sample")} failed`,
      columns: ["id", "why"], rows: run.failures.map(cells => ({ cells })),
    }));
}

/** Plotly reads some markup in texts; ours has none. */
const plain = text => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** A plot whose axes can be chosen, drawn when it comes into view. */
function plotBox(plot) {
  const names = Object.entries(plot.axes), box = el("div", { class: "plot" });
  const draw = el("div", { class: "draw", role: "img" }), state = { x: plot.x, y: plot.y };
  const absent = el("p", { class: "soft" });
  const redraw = () => { absent.textContent = without(plot, state); drawPlot(draw, plot, state); };
  const axis = which => choice(which, names, state[which], value => { state[which] = value; redraw(); });
  box.append(draw);
  new IntersectionObserver((entries, observer) => {
    if (!entries.some(entry => entry.isIntersecting)) return;
    observer.disconnect();
    whenReady(() => {
      if (!window.Plotly) return draw.replaceWith(missing("plotly.min.js is not beside this page; the tables have its numbers."));
      redraw();
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    });
  }, { rootMargin: "300px" }).observe(box);
  const notices = plot.notices.map(line => el("p", { class: "soft" }, `⚠ ${line}`));
  return el("div", {}, el("div", { class: "controls" }, axis("x"), axis("y")), notices, box,
    el("p", { class: "soft" }, "Bars: 95 % intervals. Click a point for its edits, a curve's name to hide it."), absent);
}

/** Curves that a plot cannot show, in a sentence. */
function without(plot, { x, y }) {
  const has = new Set(plot.points.filter(point => point.values[x] && point.values[y]).map(point => point.curve));
  const lacking = [...new Set(plot.points.map(point => point.curve))].filter(curve => !has.has(curve));
  return lacking.length ? `Not shown, without ${x} or ${y}: ${lacking.join(", ")}.` : "";
}

/** Deferred scripts have all run when the document's content is loaded. */
function whenReady(work) {
  if (document.readyState !== "complete" && !window.Plotly) addEventListener("load", work, { once: true });
  else work();
}

function drawPlot(draw, plot, { x, y }) {
  const shown = plot.points.filter(point => point.values[x] && point.values[y]);
  const all = [...new Set(plot.points.map(point => point.curve))];
  const curves = all.filter(curve => shown.some(point => point.curve === curve));
  // the legend goes below where it would take the plot's room
  const narrow = draw.clientWidth < 700 || curves.some(curve => 7 * curve.length > draw.clientWidth / 3);
  draw.setAttribute("aria-label", `${plot.title}: ${plot.axes[y]} against ${plot.axes[x]}, ${plural(shown.length, "point")}; its numbers are in the table`);
  const style = getComputedStyle(document.documentElement), colour = name => style.getPropertyValue(name).trim();
  const traces = curves.map(curve => {
    const points = shown.filter(point => point.curve === curve).sort((a, b) => a.order - b.order), i = all.indexOf(curve);
    const bars = name => ({
      type: "data", symmetric: false, thickness: 1, width: 0, color: `${COLOURS[i % COLOURS.length]}66`,
      array: points.map(point => (point.values[name][2] ?? point.values[name][0]) - point.values[name][0]),
      arrayminus: points.map(point => point.values[name][0] - (point.values[name][1] ?? point.values[name][0])),
    });
    return {
      name: plain(curve), mode: "lines+markers+text", type: "scatter",
      x: points.map(point => point.values[x][0]), y: points.map(point => point.values[y][0]),
      error_x: bars(x), error_y: bars(y), customdata: points.map(point => point.run),
      text: points.map(point => plain(point.label.split(" = ").pop())), textposition: "top right", textfont: { size: 10 },
      hovertext: points.map(point => hover(point, plot.axes, [x, y])), hoverinfo: "text",
      line: { color: COLOURS[i % COLOURS.length], dash: DASHES[Math.floor(i / COLOURS.length) % DASHES.length] },
      marker: { symbol: SYMBOLS[i % SYMBOLS.length] + (curve.endsWith("(published)") ? "-open" : ""), size: 9 },
    };
  });
  const below = narrow ? 19 * curves.length + 20 : 0; // pixels for the legend under the plot
  draw.style.height = `${(narrow ? 380 : 540) + below}px`;
  const look = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--line"), automargin: true };
  Plotly.react(draw, traces, {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--ink"), size: 12 },
    xaxis: { ...look, title: { text: plain(plot.axes[x]) } }, yaxis: { ...look, title: { text: plain(plot.axes[y]) } },
    margin: { l: 60, r: 20, t: 20, b: 60 + below }, hovermode: "closest", showlegend: true,
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    legend: narrow ? { yref: "container", y: 0, yanchor: "bottom", x: 0, font: { size: 11 } } : { font: { size: 12 } },
    annotations: shown.length ? [] : [{ text: "no run has both", showarrow: false, font: { size: 16 } }],
  }, { displayModeBar: false, responsive: true });
  draw.removeAllListeners("plotly_click");
  draw.on("plotly_click", event => {
    const run = event.points[0].customdata;
    if (run !== null && run !== undefined) openRun(run);
  });
}

function hover(point, axes, names) {
  const number = value => Number(value.toPrecision(4)).toString();
  const lines = names.map(name => {
    const [value, low, high] = point.values[name];
    return `${axes[name]}: ${number(value)}` + (low === null ? "" : ` [${number(low)}, ${number(high)}]`);
  });
  const head = [point.curve, point.label, point.n === null ? "" : `n = ${point.n}`].filter(Boolean).join(", ");
  return [head, ...lines, ...(point.run === null ? [] : ["click: its edits"])].map(plain).join("<br>");
}

function plots() {
  for (const plot of REPORT.plots) byId("plots").append(el("h3", {}, plot.title), plotBox(plot));
}

byId("notices").append(...REPORT.notices.map(line => el("p", {}, `⚠ ${line}`)));
overview();
tables();
plots();
items();
buildGallery();
failures();
claims();

// Trade-off plots: any two metrics, up to twelve curves at once, no two of a colour or a symbol.
"use strict";

const COLOURS = ["#3b82c4", "#e07b28", "#3f9c52", "#cf4446", "#8f6cc2", "#a0714f", "#d96bb5", "#8a8a8a", "#a8a52b",
  "#21a8b8", "#1f3f8f", "#7ac943"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x", "star", "triangle-down", "cross", "pentagon",
  "hourglass", "hexagram", "triangle-left"];
const PUBLISHED = " (published)"; // hollow, in the colour of the row that it is of

const curveOf = point => point.curve.endsWith(PUBLISHED) ? point.curve.slice(0, -PUBLISHED.length) : point.curve;

/** Plotly reads some markup in texts; ours has none. */
const plain = text => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** A plot whose axes and curves can be chosen, drawn when it comes into view. */
function plotBox(plot) {
  const draw = el("div", { class: "draw", role: "img" }), absent = el("p", { class: "soft" });
  const axes = el("div", { class: "controls" }), curves = el("fieldset", { class: "curves" });
  const all = plot.curves || [...new Set(plot.points.map(curveOf))], many = all.length > COLOURS.length;
  const count = el("summary"), chooser = el("details", { open: many }, count, curves);
  const read = () => {
    const axis = which => plot.axes[chosen(`${which} ${plot.title}`)] ? chosen(`${which} ${plot.title}`) : plot[which];
    const named = allChosen(`curves ${plot.title}`).filter(name => all.includes(name)).slice(0, COLOURS.length);
    const asked = address.values.has(`curves ${plot.title}`);
    return { x: axis("x"), y: axis("y"), curves: asked ? named : all.slice(0, COLOURS.length), all, many };
  };
  const set = changes => {
    choose(Object.fromEntries(Object.entries(changes).map(([key, value]) => [`${key} ${plot.title}`, value])));
    show();
  };
  let seen = false;
  const show = () => {
    const state = read();
    axes.replaceChildren(...["x", "y"].map(which =>
      choice(which, Object.entries(plot.axes), state[which], value => set({ [which]: value }))));
    count.textContent = `Curves (${state.curves.length} of ${all.length}${many ? `, ${COLOURS.length} at most` : ""})`;
    curves.replaceChildren(...all.map(name => curveToggle(name, state, set)));
    absent.textContent = without(plot, state);
    if (seen && window.Plotly) drawPlot(draw, plot, state, set);
  };
  follow(draw, show);
  new IntersectionObserver((entries, observer) => {
    if (!entries.some(entry => entry.isIntersecting)) return;
    observer.disconnect();
    whenReady(() => {
      if (!window.Plotly) return draw.replaceWith(missing("plotly.min.js is not beside this page; the tables have its numbers."));
      seen = true;
      show();
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
    });
  }, { rootMargin: "300px" }).observe(draw);
  return el("div", {}, plot.notices.map(line => el("p", { class: "soft" }, `⚠ ${line}`)), axes,
    all.length > 1 ? chooser : null, el("div", { class: "plot" }, draw),
    el("p", { class: "soft" }, "Bars: 95 % intervals. Click a point for its edits."), absent);
}

function curveToggle(name, state, set) {
  const on = state.curves.includes(name), full = state.curves.length >= COLOURS.length;
  return el("button", { "aria-pressed": String(on), disabled: !on && full, title: !on && full ? "take one away first" : null,
    click: () => set({ curves: on ? listed(state.curves.filter(other => other !== name)) : [...state.curves, name] }) }, name);
}

const listed = names => names.length ? names : [""]; // an empty choice is one, too

/** Curves that a plot cannot show, in a sentence. */
function without(plot, { x, y, curves }) {
  const has = new Set(plot.points.filter(point => point.values[x] && point.values[y]).map(curveOf));
  const lacking = curves.filter(curve => !has.has(curve));
  return lacking.length ? `Not shown, without ${x} or ${y}: ${lacking.join(", ")}.` : "";
}

/** Deferred scripts have all run when the document's content is loaded. */
function whenReady(work) {
  if (document.readyState !== "complete" && !window.Plotly) addEventListener("load", work, { once: true });
  else work();
}

/** Colour and symbol of a curve: by its place among all, and where those are too many among those chosen. */
function look(curve, { all, curves, many }) {
  const i = (many ? curves : all).indexOf(curve);
  return { color: COLOURS[i], symbol: SYMBOLS[i] };
}

function drawPlot(draw, plot, state, set) {
  const { x, y } = state;
  const shown = plot.points.filter(point => point.values[x] && point.values[y] && state.curves.includes(curveOf(point)));
  const names = [...new Set(shown.map(point => point.curve))];
  // the legend goes below where it would take the plot's room
  const narrow = draw.clientWidth < 700 || names.some(name => 7 * name.length > draw.clientWidth / 3);
  draw.setAttribute("aria-label", `${plot.title}: ${plot.axes[y]} against ${plot.axes[x]}, ${plural(shown.length, "point")}; its numbers are in the table`);
  const style = getComputedStyle(document.documentElement), colour = name => style.getPropertyValue(name).trim();
  const below = narrow ? 19 * names.length + 20 : 0; // pixels for the legend under the plot
  draw.style.height = `${(narrow ? 380 : 540) + below}px`;
  const grid = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--line"), automargin: true };
  Plotly.react(draw, names.map(name => trace(name, shown.filter(point => point.curve === name), state, plot)), {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--ink"), size: 12 },
    xaxis: { ...grid, title: { text: plain(plot.axes[x]) } }, yaxis: { ...grid, title: { text: plain(plot.axes[y]) } },
    margin: { l: 60, r: 20, t: 20, b: 60 + below }, hovermode: "closest", showlegend: true,
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    legend: narrow ? { yref: "container", y: 0, yanchor: "bottom", x: 0, font: { size: 11 } } : { font: { size: 12 } },
    annotations: shown.length ? [] : [{ text: "no run has both", showarrow: false, font: { size: 16 } }],
  }, { displayModeBar: false, responsive: true });
  for (const event of ["plotly_click", "plotly_legendclick"]) draw.removeAllListeners(event);
  draw.on("plotly_click", event => {
    const run = event.points[0].customdata;
    if (run !== null && run !== undefined) openRun(run);
  });
  draw.on("plotly_legendclick", event => {
    const gone = curveOf({ curve: names[event.curveNumber] });
    set({ curves: listed(state.curves.filter(name => name !== gone)) });
    return false; // the address has it, not Plotly
  });
}

function trace(name, points, state, plot) {
  const { x, y } = state, { color, symbol } = look(curveOf({ curve: name }), state);
  points.sort((a, b) => a.order - b.order);
  const bars = axis => ({
    type: "data", symmetric: false, thickness: 1, width: 0, color: `${color}66`,
    array: points.map(point => (point.values[axis][2] ?? point.values[axis][0]) - point.values[axis][0]),
    arrayminus: points.map(point => point.values[axis][0] - (point.values[axis][1] ?? point.values[axis][0])),
  });
  const published = name.endsWith(PUBLISHED);
  return {
    name: plain(name), mode: published ? "markers+text" : "lines+markers+text", type: "scatter",
    x: points.map(point => point.values[x][0]), y: points.map(point => point.values[y][0]),
    error_x: bars(x), error_y: bars(y), customdata: points.map(point => point.run),
    text: points.map(point => plain(point.label.split(" = ").pop())), textposition: "top right", textfont: { size: 10 },
    hovertext: points.map(point => hover(point, plot.axes, [x, y])), hoverinfo: "text",
    line: { color }, marker: { color, symbol: symbol + (published ? "-open" : ""), size: 9 },
  };
}

function hover(point, axes, names) {
  const number = value => Number(value.toPrecision(4)).toString();
  const texts = names.map(name => {
    const [value, low, high] = point.values[name];
    return `${axes[name]}: ${number(value)}` + (low === null ? "" : ` [${number(low)}, ${number(high)}]`);
  });
  const head = [point.curve, point.label, point.n === null ? "" : `n = ${point.n}`].filter(Boolean).join(", ");
  return [head, ...texts, ...(point.run === null ? [] : ["click: its edits"])].map(plain).join("<br>");
}

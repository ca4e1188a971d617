// The gallery: samples of one data set, source | truth | edits of the runs that the filters leave.
"use strict";

const PAGE = 12; // samples at once: what is further down is rendered when it is asked for
const FACETS = ["method", "r", "variant"];
const noFacets = () => Object.fromEntries(FACETS.map(name => [name, new Set()]));
const state = { set: 0, type: "", ...noFacets(), page: 0, at: null };
let samples = [], runs = []; // what the filters leave: indices into the set's samples, and runs

/** Address of a file beside the page, given by its path. */
const path = text => text.split("/").map(encodeURIComponent).join("/");
const picture = (folder, kind, sample, ending) => `${path(folder)}/${kind}/${encodeURIComponent(sample.file || sample.id)}.${ending}`;
const set = () => REPORT.sets[state.set];
const ofSet = () => REPORT.runs.filter(run => run.set === state.set);
const label = run => [run.method, run.r && `r = ${run.r}`, run.variant].filter(Boolean);

/** Runs that the facets leave, all of them or all but one: what that one can still be. */
const left = except => ofSet().filter(run =>
  FACETS.every(name => name === except || !state[name].size || state[name].has(run[name])));

function buildGallery() {
  byId("gallery").append(
    el("details", { open: innerWidth > 600 }, el("summary", {}, "Filters"), el("div", { id: "filters" }),
      el("button", { click: () => filter({ type: "", ...noFacets() }) }, "Show all")),
    el("div", { class: "controls" }, maskToggles()),
    el("p", { class: "soft" }, "Keys: j and k go to the next and previous sample; Enter or a click enlarges; then ← → change the sample, ↑ ↓ the edit, Esc closes."),
    el("p", { id: "shown", role: "status" }), el("div", { id: "samples" }), el("div", { class: "controls", id: "pages" }));
  document.addEventListener("keydown", onKey);
  byId("large").addEventListener("close", () => focusOn(state.at));
  filter({});
}

/** Buttons that lay masks over every picture. */
function maskToggles() {
  return [["true", "true mask"], ["own", "the method's mask"]].map(([name, text]) => el("button", {
    class: `toggle-${name}`, "aria-pressed": String(document.body.classList.contains(`show-${name}`)), click: () => {
      const on = document.body.classList.toggle(`show-${name}`);
      for (const button of document.querySelectorAll(`.toggle-${name}`)) button.setAttribute("aria-pressed", on);
    },
  }, el("span", { class: `key ${name}` }, text)));
}

/** Shows one run's edits: the filters become its values. */
function openRun(index) {
  const run = REPORT.runs[index];
  filter({ set: run.set, type: "", ...Object.fromEntries(FACETS.map(name => [name, new Set([run[name]])])) });
  location.hash = "gallery"; // so that the browser's way back leads to where the reader was
  byId("gallery").scrollIntoView();
  focusOn(null);
}

function filter(change) {
  if ("set" in change && change.set !== state.set) Object.assign(state, noFacets(), { type: "" });
  Object.assign(state, change, { page: 0, at: null });
  runs = left(null);
  samples = set().samples.map((_, i) => i).filter(i =>
    (!state.type || set().samples[i].type === state.type) && runs.some(run => run.status[i] !== "-"));
  renderFilters();
  renderPage();
}

function renderFilters() {
  const types = [...new Set(set().samples.map(sample => sample.type).filter(Boolean))].sort();
  const choices = [];
  if (REPORT.sets.length > 1)
    choices.push(choice("data", REPORT.sets.map((one, i) => [i, one.name]), state.set, value => filter({ set: Number(value) })));
  if (types.length)
    choices.push(choice("edit type", [["", "all"], ...types.map(type => [type, type])], state.type, type => filter({ type })));
  const focused = document.activeElement?.dataset?.facet;
  byId("filters").replaceChildren(el("div", { class: "controls" }, choices), ...FACETS.map(facet));
  if (focused) document.querySelector(`[data-facet="${CSS.escape(focused)}"]`)?.focus();
}

/** Buttons for the values of one facet; none pressed means all. */
function facet(name) {
  const values = [...new Set([...left(name).map(run => run[name]), ...state[name]])];
  if (new Set(ofSet().map(run => run[name])).size < 2) return "";
  return el("fieldset", {}, el("legend", {}, name), values.map(value => el("button", {
    "aria-pressed": String(state[name].has(value)), "data-facet": `${name} ${value}`, click: () => {
      const chosen = new Set(state[name]);
      if (!chosen.delete(value)) chosen.add(value);
      filter({ [name]: chosen });
    },
  }, value || "none")));
}

function renderPage() {
  const pages = Math.ceil(samples.length / PAGE), start = state.page * PAGE;
  const turn = by => () => { state.page += by; renderPage(); byId("shown").scrollIntoView(); };
  const facts = [`${samples.length} of ${set().samples.length} samples, ${runs.length} of ${ofSet().length} runs`];
  if (set().left_out) facts.push(`${set().left_out} more samples were left out by limit=`);
  byId("shown").replaceChildren(...facts.map(fact => el("span", {}, `${fact}. `)),
    set().why ? missing(`Edits without their sources, which can no longer be read: ${set().why}`) : "",
    samples.length ? "" : missing("No edit is left by these filters."));
  byId("samples").className = set().side <= 128 ? "pixels" : "";
  byId("samples").replaceChildren(...samples.slice(start, start + PAGE).map((index, i) => sampleRow(index, start + i)));
  byId("pages").replaceChildren(
    el("button", { disabled: state.page === 0, click: turn(-1) }, "← Previous samples"),
    el("span", {}, pages ? `page ${state.page + 1} of ${pages}` : ""),
    el("button", { disabled: state.page >= pages - 1, click: turn(1) }, "Next samples →"));
}

function sampleRow(index, place) {
  const sample = set().samples[index];
  const known = knownPictures(sample).map(([name, content]) => el("figure", { class: "known" }, content, el("figcaption", {}, name)));
  const edits = runs.map((run, column) => el("figure", {},
    edit(run, index, { click: () => enlarge(place, column), "data-place": `${place} ${column}` }),
    el("figcaption", {}, run.method, label(run).slice(1).map(text => el("span", {}, text)))));
  return el("article", { class: "sample" }, sampleHead(sample, "h3"), el("div", { class: known.length + edits.length > 5 ? "strip" : "strip few" }, known, edits));
}

function sampleHead(sample, heading) {
  const arrow = sample.source && sample.target ? el("span", {}, " → ") : null;
  const words = [sample.source || null, arrow, sample.target || null];
  return el("div", {}, el(heading, { id: heading === "h2" ? "h-large" : null }, sample.type ? `${sample.id} · ${sample.type}` : sample.id),
    el("p", { class: "words" }, words, sample.instruction ? el("span", {}, ` (${sample.instruction})`) : null));
}

/** Source and truth, each with its name, as far as they are known. */
function knownPictures(sample) {
  const { thumbs, ending } = set();
  if (!sample.seen) return set().why ? [] : [["source", el("div", { class: "pic none" }, "cannot be read")]];
  const mask = () => sample.mask ? image(picture(thumbs, "masks", sample, "png"), "", "mask true") : null;
  const shown = (kind, text) => el("div", { class: "pic" }, image(picture(thumbs, kind, sample, ending), text), mask());
  const found = [["source", shown("sources", `source: ${sample.source || sample.id}`)]];
  return sample.truth ? [...found, ["true edit", shown("truths", `true edit: ${sample.target || sample.id}`)]] : found;
}

const image = (src, alt, kind = null) => el("img", { src, alt, class: kind, loading: "lazy", decoding: "async" });

/** A run's edit with both masks over it, or why there is none. */
function edit(run, index, attributes) {
  const sample = set().samples[index], status = run.status[index];
  const why = { "-": "not run", f: "failed" }[status];
  if (why) return el("div", { class: "pic none", title: why === "failed" ? failure(run, sample) : null }, why);
  return el(attributes ? "button" : "div", { class: "pic", ...attributes },
    image(picture(run.thumbs, "edits", sample, set().ending), `${label(run).join(", ")}: ${sample.target || sample.id}`),
    sample.mask ? image(picture(set().thumbs, "masks", sample, "png"), "", "mask true") : null,
    status === "m" ? image(picture(run.thumbs, "masks", sample, "png"), "", "mask own") : null);
}

const failure = (run, sample) => run.failures.find(([id]) => id === sample.id)[1];

/** One edit large, beside source and truth, with its scores. */
function enlarge(place, column) {
  state.at = { place, column };
  const run = runs[column], index = samples[place], sample = set().samples[index], dialog = byId("large");
  const button = (text, key, step, possible) => el("button", { disabled: !possible, "aria-keyshortcuts": key, click: step }, text);
  const figures = [...knownPictures(sample), [label(run).join(", "), edit(run, index)]];
  dialog.className = byId("samples").className;
  dialog.replaceChildren(
    el("div", { class: "controls" },
      button("← sample", "ArrowLeft", () => step(-1, 0), place > 0), button("sample →", "ArrowRight", () => step(1, 0), place < samples.length - 1),
      button("↑ edit", "ArrowUp", () => step(0, -1), column > 0), button("edit ↓", "ArrowDown", () => step(0, 1), column < runs.length - 1),
      maskToggles(),
      el("span", { class: "soft" }, `sample ${place + 1} of ${samples.length}, edit ${column + 1} of ${runs.length}`),
      el("button", { class: "close", click: () => dialog.close(), autofocus: true }, "Close")),
    sampleHead(sample, "h2"),
    el("div", { class: "strip" }, figures.map(([name, content]) => el("figure", {}, content, el("figcaption", {}, name)))),
    run.status[index] === "f" ? missing(failure(run, sample)) : "",
    ...Object.entries(run.scores).map(([profile, columns]) => scores(profile, columns, index)));
  if (!dialog.open) dialog.showModal();
}

function scores(profile, columns, index) {
  const known = Object.entries(columns).filter(([, values]) => values[index] !== null);
  if (!known.length) return "";
  return el("dl", { class: "scores", "aria-label": `scores, ${profile}` }, el("div", {}, el("dt", {}, profile)),
    known.map(([name, values]) => el("div", {}, el("dt", {}, name), el("dd", {}, values[index] === "inf" ? "∞ (identical)" : String(values[index])))));
}

function step(bySample, byEdit) {
  const { place, column } = state.at, [p, c] = [place + bySample, column + byEdit];
  if (p >= 0 && p < samples.length && c >= 0 && c < runs.length) enlarge(p, c);
}

/** Moves to a picture of the gallery, turning the page if need be; without a place, to the first. */
function focusOn(at) {
  const { place, column } = at || { place: 0, column: 0 };
  state.at = { place, column };
  if (state.page !== Math.floor(place / PAGE) || !document.querySelector("[data-place]")) {
    state.page = Math.floor(place / PAGE);
    renderPage();
  }
  const row = document.querySelectorAll(".sample")[place % PAGE];
  const target = document.querySelector(`[data-place="${place} ${column}"]`) || row?.querySelector("button");
  target?.focus({ preventScroll: true });
  row?.scrollIntoView({ block: "nearest" });
}

function onKey(event) {
  if (event.target.closest("select, .box") || event.ctrlKey || event.metaKey || event.altKey) return;
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (byId("large").open) {
    if (!moves[event.key]) return;
    event.preventDefault();
    step(...moves[event.key]);
  } else if ((event.key === "j" || event.key === "k") && samples.length) {
    const place = state.at ? state.at.place + (event.key === "j" ? 1 : -1) : 0;
    focusOn({ place: Math.min(Math.max(place, 0), samples.length - 1), column: state.at ? state.at.column : 0 });
  }
}

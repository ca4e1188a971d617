// The gallery: samples of one data set, source | truth | edits of the runs that the filters leave.
"use strict";

const PAGE = 12; // samples at once: what is further down is rendered when it is asked for
const FACETS = ["method", "r", "variant"];
const none = { type: null, method: null, r: null, variant: null, words: null, page: null };
const ORDER = { sort: null, of: null, minus: null, first: null };
const state = { set: 0, type: "", words: "", page: 0, at: null }; // as the address has it
let samples = [], runs = []; // what the filters leave: indices into the set's samples, and runs

/** Address of a file beside the page, given by its path. */
const path = text => text.split("/").map(encodeURIComponent).join("/");
const picture = (folder, kind, sample, ending) => `${path(folder)}/${kind}/${encodeURIComponent(sample.file || sample.id)}.${ending}`;
const set = () => REPORT.sets[state.set];
const ofSet = () => REPORT.runs.filter(run => run.set === state.set);

/** Runs that the facets leave, all of them or all but one: what that one can still be. */
const left = except => ofSet().filter(run =>
  FACETS.every(name => name === except || !state[name].size || state[name].has(run[name])));

/** A run's score of a sample, null where it has none. */
function scored(run, profile, heading, index) {
  const value = run.scores[profile]?.[heading]?.[index] ?? null;
  return value === null ? null : Number(String(value).replace("inf", "Infinity"));
}

/** The same by what its data set calls the metric. */
function score(run, metric, index) {
  const { profile, heading } = REPORT.sets[run.set].metrics[metric];
  return scored(run, profile, heading, index);
}

const scoreText = value => Number.isFinite(value) ? String(Number(value.toPrecision(4))) : value > 0 ? "∞ (identical)" : "-∞";

function buildGallery() {
  byId("gallery").append(
    el("details", { open: innerWidth > 600 }, el("summary", {}, "Filters"), el("div", { id: "filters" }),
      el("button", { click: () => filter(none) }, "Show all")),
    el("div", { class: "controls", id: "order" }),
    el("div", { class: "controls" }, maskToggles()),
    el("p", { class: "soft" }, "Keys: j and k go to the next and previous sample; Enter or a click enlarges; then ← → change the sample, ↑ ↓ the edit, Esc closes."),
    el("p", { id: "shown", role: "status" }), el("div", { id: "samples" }), el("div", { class: "controls", id: "pages" }));
  document.addEventListener("keydown", onKey);
  byId("large").addEventListener("close", closed);
  follow(byId("gallery"), () => {
    readState();
    render();
    enlargeAsAddressed();
  });
}

function readState() {
  state.set = Math.max(0, REPORT.sets.findIndex(one => one.name === chosen("set")));
  for (const name of FACETS) state[name] = new Set(allChosen(name));
  for (const name of ["type", "words"]) state[name] = chosen(name);
  state.sort = chosen("sort") in set().metrics ? chosen("sort") : "";
  for (const name of ["of", "minus"]) state[name] = ofSet().find(run => run.folder === chosen(name)) || null;
  state.page = Math.max(0, Number(chosen("page", "1")) - 1 || 0);
  const masks = chosen("masks").split(" ");
  for (const name of ["true", "own"]) document.body.classList.toggle(`show-${name}`, masks.includes(name));
}

/** Buttons that lay masks over every picture. */
function maskToggles() {
  return [["true", "true mask"], ["own", "the method's mask"]].map(([name, text]) => el("button", {
    class: `toggle-${name}`, "aria-pressed": String(document.body.classList.contains(`show-${name}`)), click: () => {
      document.body.classList.toggle(`show-${name}`);
      const on = ["true", "own"].filter(one => document.body.classList.contains(`show-${one}`));
      choose({ masks: on.length ? on.join(" ") : null });
      pressMasks();
    },
  }, el("span", { class: `key ${name}` }, text)));
}

function pressMasks() {
  for (const name of ["true", "own"])
    for (const button of document.querySelectorAll(`.toggle-${name}`)) button.setAttribute("aria-pressed", document.body.classList.contains(`show-${name}`));
}

/** Shows one run's edits: the filters become its values. */
function openRun(index) {
  const run = REPORT.runs[index];
  filter({ ...none, ...ORDER, ...facetsOf([run]), set: REPORT.sets[run.set].name }, "gallery");
  byId("gallery").scrollIntoView();
  focusOn(null);
}

const facetsOf = chosen_ => Object.fromEntries(FACETS.map(name => [name, [...new Set(chosen_.map(run => run[name]))]]));

/** Two runs' edits, the samples first where they differ most by the first metric. */
function showDifference(a, b) {
  const pair = [REPORT.runs[a], REPORT.runs[b]], metric = Object.keys(REPORT.sets[pair[0].set].metrics)[0];
  filter({ ...none, ...facetsOf(pair), set: REPORT.sets[pair[0].set].name, sort: metric, of: pair[1].folder, minus: pair[0].folder, first: "far" }, "gallery");
  byId("gallery").scrollIntoView();
}

/** One run's edit of one sample, enlarged. */
function openSample(index, id) {
  const run = REPORT.runs[index];
  filter({ ...none, set: REPORT.sets[run.set].name, sample: id, run: run.folder }, "gallery");
  enlargeAsAddressed();
}

function filter(change, section = null) {
  if ("set" in change && change.set !== set().name) change = { ...none, ...ORDER, ...change };
  choose({ page: null, ...change }, section);
  state.at = null;
  readState();
  render();
}

function render() {
  runs = left(null);
  const wanted = state.words.toLowerCase().split(/\s+/).filter(Boolean);
  samples = set().samples.map((_, i) => i).filter(i => {
    const sample = set().samples[i], said = [sample.id, sample.type, sample.source, sample.target, sample.instruction].join(" ").toLowerCase();
    return (!state.type || sample.type === state.type) && wanted.every(word => said.includes(word)) && runs.some(run => run.status[i] !== "-");
  });
  sortSamples();
  renderFilters();
  renderOrder();
  renderPage();
  pressMasks();
}

function renderPage() {
  const pages = Math.ceil(samples.length / PAGE);
  state.page = Math.min(state.page, Math.max(0, pages - 1));
  const start = state.page * PAGE;
  const turn = by => () => { turnTo(state.page + by); byId("shown").scrollIntoView(); };
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

function turnTo(page) {
  state.page = page;
  choose({ page: page ? String(page + 1) : null });
  renderPage();
}

function sampleRow(index, place) {
  const sample = set().samples[index];
  const known = knownPictures(sample).map(([name, content]) => el("figure", { class: "known" }, content, el("figcaption", {}, name)));
  const edits = runs.map((run, column) => el("figure", {},
    edit(run, index, { click: () => enlarge(place, column), "data-place": `${place} ${column}` }),
    el("figcaption", {}, run.method, label(run).slice(1).map(text => el("span", {}, text)))));
  return el("article", { class: "sample" }, sampleHead(sample, "h3"), sortedBy(index),
    el("div", { class: known.length + edits.length > 5 ? "strip" : "strip few" }, known, edits));
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

/** A run's edit with both masks over it, or why there is none. `over` lies on it, below the masks. */
function edit(run, index, attributes, over = null) {
  const sample = set().samples[index], status = run.status[index];
  const why = { "-": "not run", f: "failed" }[status];
  if (why) return el("div", { class: "pic none", title: why === "failed" ? failure(run, sample) : null }, why);
  return el(attributes ? "button" : "div", { class: "pic", ...attributes },
    image(picture(run.thumbs, "edits", sample, set().ending), `${named(run)}: ${sample.target || sample.id}`), over,
    sample.mask ? image(picture(set().thumbs, "masks", sample, "png"), "", "mask true") : null,
    status === "m" ? image(picture(run.thumbs, "masks", sample, "png"), "", "mask own") : null);
}

const failure = (run, sample) => run.failures.find(([id]) => id === sample.id)[1];

/** Moves to a picture of the gallery, turning the page if need be; without a place, to the first. */
function focusOn(at) {
  const { place, column } = at || { place: 0, column: 0 };
  state.at = { place, column };
  if (state.page !== Math.floor(place / PAGE) || !document.querySelector("[data-place]")) turnTo(Math.floor(place / PAGE));
  const row = document.querySelectorAll(".sample")[place % PAGE];
  const target = document.querySelector(`[data-place="${place} ${column}"]`) || row?.querySelector("button");
  target?.focus({ preventScroll: true });
  row?.scrollIntoView({ block: "nearest" });
}

function onKey(event) {
  if (event.target.closest("select, input, .box") || event.ctrlKey || event.metaKey || event.altKey) return;
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

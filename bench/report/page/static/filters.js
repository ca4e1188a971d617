// What the gallery leaves and in which order it shows it.
"use strict";

function renderFilters() {
  const types = [...new Set(set().samples.map(sample => sample.type).filter(Boolean))].sort();
  const choices = [];
  if (REPORT.sets.length > 1)
    choices.push(choice("data", REPORT.sets.map(one => [one.name, one.name]), set().name, name => filter({ set: name })));
  if (types.length)
    choices.push(choice("edit type", [["", "all"], ...types.map(type => [type, type])], state.type, type => filter({ type: type || null })));
  choices.push(el("label", {}, "words", el("input", { type: "search", id: "words", value: state.words,
    placeholder: "in ids and prompts", input: event => filter({ words: event.target.value || null }) })));
  const active = document.activeElement, focused = active?.dataset?.facet, typing = active?.id === "words" ? active.selectionStart : null;
  byId("filters").replaceChildren(el("div", { class: "controls" }, choices), ...FACETS.map(facet));
  if (focused) document.querySelector(`[data-facet="${CSS.escape(focused)}"]`)?.focus();
  if (typing === null) return;
  byId("words").focus();
  byId("words").setSelectionRange(typing, typing);
}

/** Buttons for the values of one facet; none pressed means all. */
function facet(name) {
  const values = [...new Set([...left(name).map(run => run[name]), ...state[name]])];
  if (new Set(ofSet().map(run => run[name])).size < 2) return "";
  return el("fieldset", {}, el("legend", {}, name), values.map(value => el("button", {
    "aria-pressed": String(state[name].has(value)), "data-facet": `${name} ${value}`, click: () => {
      const now = new Set(state[name]);
      if (!now.delete(value)) now.add(value);
      filter({ [name]: now.size ? [...now] : null });
    },
  }, value || "none")));
}

/** By which metric samples are sorted: of one run, of all that are shown, or by what one run has more than another. */
function renderOrder() {
  const metrics = Object.keys(set().metrics), folders = ofSet().map(run => [run.folder, named(run)]);
  const controls = [choice("sort by", [["", "order of the data"], ...metrics.map(name => [name, name])], state.sort, sort => filter(sort ? { sort } : ORDER))];
  if (state.sort) {
    controls.push(
      choice("of", [["", "all shown, on average"], ...folders], state.of?.folder || "", of => filter({ of: of || null })),
      choice("minus", [["", "nothing"], ...folders], state.minus?.folder || "", minus => filter({ minus: minus || null })),
      choice("first", [["", "lowest"], ["high", "highest"], ["far", "largest size"]], chosen("first"), first => filter({ first: first || null })));
  }
  const focused = [...byId("order").querySelectorAll("select")].indexOf(document.activeElement);
  byId("order").replaceChildren(...controls);
  if (focused >= 0) byId("order").querySelectorAll("select")[focused]?.focus();
}

/** What a sample is sorted by; null for one that has no such value, which is last. */
function orderOf(index) {
  const means = state.of ? [state.of] : runs;
  const values = means.map(run => score(run, state.sort, index)).filter(value => value !== null);
  if (!values.length) return null;
  const value = values.reduce((sum, one) => sum + one, 0) / values.length;
  if (!state.minus) return value;
  const other = score(state.minus, state.sort, index);
  return other === null || Number.isNaN(value - other) ? null : value - other;
}

function sortSamples() {
  if (!state.sort) return;
  const keys = new Map(samples.map(index => [index, orderOf(index)])), first = chosen("first");
  const key = index => ({ high: -keys.get(index), far: -Math.abs(keys.get(index)) })[first] ?? keys.get(index);
  samples.sort((a, b) => (keys.get(a) === null) - (keys.get(b) === null) || key(a) - key(b) || a - b);
}

/** What a sample is sorted by, as text. */
function sortedBy(index) {
  if (!state.sort) return null;
  const value = orderOf(index), of = state.of ? named(state.of) : "all shown, on average";
  const said = state.minus ? `${of} minus ${named(state.minus)}` : of;
  return el("p", { class: "soft" }, `${state.sort}: ${value === null ? "no value" : scoreText(value)} (${said})`);
}

// One edit large, beside source and truth and, if one likes, another run's edit; a slider lays the source over both.
"use strict";

function enlarge(place, column) {
  const sample = set().samples[samples[place]];
  choose({ sample: sample.id, run: runs[column].folder });
  state.at = { place, column };
  renderLarge();
}

/** What a link names is opened where the filters leave it. */
function enlargeAsAddressed() {
  const dialog = byId("large"), place = samples.findIndex(index => set().samples[index].id === chosen("sample"));
  const column = runs.findIndex(run => run.folder === chosen("run"));
  if (place >= 0 && column >= 0) {
    state.at = { place, column };
    renderLarge();
  } else if (dialog.open) dialog.close();
}

function closed() {
  choose({ sample: null, run: null });
  focusOn(state.at);
}

function renderLarge() {
  const { place, column } = state.at, run = runs[column], index = samples[place], sample = set().samples[index];
  const other = ofSet().find(one => one.folder === chosen("beside") && one !== run), dialog = byId("large");
  const edits = [run, other].filter(Boolean), profiles = [...new Set(edits.flatMap(one => Object.keys(one.scores)))];
  const button = (text, key, by, possible) => el("button", { disabled: !possible, "aria-keyshortcuts": key, click: () => step(...by) }, text);
  dialog.className = byId("samples").className;
  dialog.style.setProperty("--cut", `${cut()}%`);
  dialog.replaceChildren(
    el("div", { class: "controls" },
      button("← sample", "ArrowLeft", [-1, 0], place > 0), button("sample →", "ArrowRight", [1, 0], place < samples.length - 1),
      button("↑ edit", "ArrowUp", [0, -1], column > 0), button("edit ↓", "ArrowDown", [0, 1], column < runs.length - 1),
      maskToggles(),
      el("span", { class: "soft" }, `sample ${place + 1} of ${samples.length}, edit ${column + 1} of ${runs.length}`),
      el("button", { class: "close", click: () => dialog.close(), autofocus: true }, "Close")),
    sampleHead(sample, "h2"),
    el("div", { class: "controls" },
      choice("beside", [["", "no other edit"], ...ofSet().filter(one => one !== run).map(one => [one.folder, named(one)])], other?.folder || "",
        folder => { choose({ beside: folder || null }); renderLarge(); }),
      sample.seen ? slider(dialog) : null),
    el("div", { class: "strip pair" }, edits.map(one => el("figure", {},
      edit(one, index, null, sample.seen ? sourceOver(sample) : null), el("figcaption", {}, named(one)),
      one.status[index] === "f" ? missing(failure(one, sample)) : ""))),
    ...profiles.map(profile => scores(profile, edits, index)),
    el("div", { class: "strip aside" }, knownPictures(sample).map(([name, content]) => el("figure", {}, content, el("figcaption", {}, name)))),
    ...lines([...new Set(edits.flatMap(one => one.notices))]));
  if (!dialog.open) dialog.showModal();
}

const cut = () => Math.min(100, Math.max(0, Number(chosen("cut", "0")) || 0)); // percent of the width that is the source's

function slider(dialog) {
  const move = event => {
    dialog.style.setProperty("--cut", `${event.target.value}%`);
    choose({ cut: event.target.value === "0" ? null : event.target.value });
  };
  return el("label", { class: "slide" }, "edit", el("input", { type: "range", min: 0, max: 100, value: String(cut()), "aria-label": "how much of the source lies over the edits", input: move }), "source");
}

function sourceOver(sample) {
  return image(picture(set().thumbs, "sources", sample, set().ending), "", "over");
}

/** What one profile says of the edits; nothing where it has no score of this sample. */
function scores(profile, edits, index) {
  const names = [...new Set(edits.flatMap(run => Object.keys(run.scores[profile] || {})))].filter(name => edits.some(run => scored(run, profile, name, index) !== null));
  if (!names.length) return "";
  const texts = name => edits.map(run => scored(run, profile, name, index)).map(value => value === null ? "" : scoreText(value));
  return el("div", { class: "box", tabindex: 0, role: "region", "aria-label": `scores, ${profile}` }, el("table", {},
    el("thead", {}, el("tr", {}, [profile, ...edits.map(named)].map(text => el("th", { scope: "col", class: "plain" }, text)))),
    el("tbody", {}, names.map(name => el("tr", {}, el("th", { scope: "row" }, name), texts(name).map(text => el("td", {}, text)))))));
}

function step(bySample, byEdit) {
  const { place, column } = state.at, [p, c] = [place + bySample, column + byEdit];
  if (p >= 0 && p < samples.length && c >= 0 && c < runs.length) enlarge(p, c);
}

// The sections beside the gallery, and the page put together.
"use strict";

const openRow = row => openRun(row.run);

function answers() {
  for (const answer of REPORT.answers)
    byId("answers").append(
      el("h3", {}, answer.title), el("p", { class: "soft" }, answer.about), ...lines(answer.notices),
      el("p", { class: "main-answer" }, answer.main), el("ul", {}, answer.more.map(line => el("li", {}, sentence(line)))),
      ...answer.tables.flatMap(table => tableSection(table, openRow, `${answer.title}: ${table.title}`, "h4")));
}

/** What a sentence is about stands before its colon. */
function sentence(line) {
  const end = line.indexOf(": ") + 1;
  return [el("strong", {}, line.slice(0, end)), line.slice(end)];
}

function tables() {
  for (const table of REPORT.tables) byId("tables").append(...tableSection(table, openRow));
}

function types() {
  if (!REPORT.types.length) byId("types").append(el("p", {}, "No sample has an edit type."));
  for (const { title, choices } of REPORT.types)
    byId("types").append(el("h3", {}, title), panel(set => {
      const key = `type ${title}`, names = Object.keys(choices), name = choices[chosen(key)] ? chosen(key) : names[0];
      return [
        el("div", { class: "controls" }, choice("metric", names.map(one => [one, one]), name, value => set({ [key]: value }))),
        ...tableSection(choices[name], openRow, `${title}, ${name}, by edit type`).filter(part => part.tagName !== "H3"),
      ];
    }));
}

/** Any two runs against each other, as `python -m bench.compare` says it. */
function pairs() {
  const section = byId("pairs");
  if (!REPORT.pairs.length) section.append(el("p", {}, "No two runs of one data set and profile to compare."));
  for (const group of REPORT.pairs) section.append(el("h3", {}, group.title), panel(set => pairOf(group, set)));
}

function pairOf(group, set) {
  const options = group.runs.map(index => [REPORT.runs[index].folder, named(REPORT.runs[index])]);
  const leaders = REPORT.answers.find(answer => answer.title === group.title).tables[0]?.rows.map(row => row.run) || [];
  const first = [...new Set([...leaders, ...group.runs])].filter(run => group.runs.includes(run));
  const ends = ["a", "b"].map((end, i) => {
    const asked = runOf(chosen(`${end} ${group.title}`));
    return group.runs.includes(asked) ? asked : first[i];
  });
  const select = (end, i) => choice(end, options, REPORT.runs[ends[i]].folder, folder => set({ [`${end.toLowerCase()} ${group.title}`]: folder }));
  const table = comparison(group, ...ends), title = `${group.title}: two runs`;
  return [
    el("div", { class: "controls" }, select("A", 0), select("B", 1),
      el("button", { click: () => set({ [`a ${group.title}`]: REPORT.runs[ends[1]].folder, [`b ${group.title}`]: REPORT.runs[ends[0]].folder }) }, "Swap"),
      el("button", { click: () => showDifference(...ends) }, "See their pictures, largest difference first")),
    ...(table.why ? [missing(table.why)] : tableSection(table, null, title)),
    group.left_out ? el("p", { class: "soft" }, `${plural(group.left_out, "more run")} not offered here; compare them with: `,
      el("code", {}, `python -m bench.compare <run folder A> <run folder B> profile=${group.profile}`)) : "",
  ];
}

/** The table of two runs. Only one order is stored; the other is the same with A and B exchanged. */
function comparison(group, a, b) {
  if (a === b) return { why: "A and B are one run; choose another." };
  const stored = group.pairs[`${a} ${b}`], found = stored || group.pairs[`${b} ${a}`];
  if (found.why) return found;
  const rows = found.lines.map(line => {
    const cells = line.map(number => group.texts[number]);
    return { cells: stored ? cells : exchanged(cells) };
  });
  const folders = [a, b].map((run, i) => `${"AB"[i]}: ${REPORT.runs[run].folder}`);
  const notices = [...new Set([a, b].flatMap(run => REPORT.runs[run].notices))];
  return { lead: [...folders, `${plural(found.n, "sample")} of both, profile ${group.profile}`, ...notices], columns: group.columns, rows,
    remarks: found.remarks.map(number => group.texts[number]) };
}

function exchanged([metric, first, second, difference, n, effect, ...rest]) {
  const turned = text => text.replace(/[+-](?=[\d.]*[1-9])/g, sign => sign === "+" ? "-" : "+"); // but no -0.00
  const verdict = rest.pop().replace(/^[AB](?= is better)/, side => side === "A" ? "B" : "A");
  return [metric, second, first, turned(difference).replace(/\[(.*), (.*)\]/, "[$2, $1]"), n, turned(effect), ...rest, verdict];
}

function items() {
  const section = byId("items");
  if (!REPORT.items.length)
    section.append(missing("No table or figure of a paper reproduced yet: ", "python -m bench.reproduce <item>"));
  for (const item of REPORT.items) {
    section.append(el("h3", {}, item.title));
    if (item.problem) section.append(missing(item.problem));
    if (item.table) section.append(...tableSection(item.table, openRow, item.title));
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
  section.append(el("h3", {}, "What could not be edited"));
  if (!failed.length) section.append(el("p", {}, "No run recorded a failure."));
  for (const run of failed)
    section.append(...tableSection({
      title: `${run.folder}: ${plural(run.failures.length, "sample")} failed`, lead: run.notices,
      columns: ["id", "why"], rows: run.failures.map(cells => ({ cells })),
    }, null, undefined, "h4"));
  REPORT.sets.forEach((set, index) => {
    if (Object.keys(set.metrics).length) section.append(el("h3", {}, `Lowest scores, ${set.name}`), panel(change => lowest(set, index, change)));
  });
}

const WORST = 12; // samples in the table of the lowest scores

/** The samples with the lowest scores, by a metric and of a run that can be chosen; of all runs, those that edit. */
function lowest(set, index, change) {
  const key = `lowest ${set.name}`, names = Object.keys(set.metrics), own = REPORT.runs.filter(run => run.set === index);
  const metric = names.includes(chosen(key)) ? chosen(key) : names[0], sign = set.metrics[metric].better === false ? -1 : 1;
  const only = own.find(run => run.folder === chosen(`of ${key}`)), looked = only ? [only] : own.filter(run => !run.control);
  const every = looked.flatMap(run => set.samples.map((_, i) => ({ run, i, value: score(run, metric, i) }))).filter(({ value }) => value !== null);
  const found = every.sort((a, b) => sign * (a.value - b.value)).slice(0, WORST), last = found.at(-1)?.value;
  const rows = found.map(({ run, i, value }) => {
    const sample = set.samples[i], words = [sample.source, sample.target].filter(Boolean).join(" → ") || sample.instruction || "";
    return { cells: [sample.id, sample.type || "", named(run), scoreText(value), words], run: REPORT.runs.indexOf(run), sample: sample.id };
  });
  const ties = every.filter(({ value }) => value === last).length - found.filter(({ value }) => value === last).length;
  return [
    el("div", { class: "controls" },
      choice("metric", names.map(name => [name, name]), metric, value => change({ [key]: value })),
      choice("of", [["", "all methods"], ...own.map(run => [run.folder, named(run)])], only?.folder || "", folder => change({ [`of ${key}`]: folder || null }))),
    ...tableSection({
      lead: [...new Set(found.flatMap(({ run }) => run.notices))], columns: ["sample", "edit type", "edited by", metric, "words"], rows,
      remarks: [...(ties ? [`${plural(ties, "more edit")} with the same score as the last one`] : []),
        ...(set.left_out ? [`${plural(set.left_out, "more sample")} left out by limit=`] : [])],
    }, row => openSample(row.run, row.sample), `${set.name}: lowest by ${metric}`),
    rows.length ? "" : el("p", {}, "No edit has a score."),
  ];
}

function overview() {
  const { runs, sets, made } = REPORT, section = byId("overview");
  const methods = new Set(runs.map(run => run.method)).size;
  const names = sets.map(set => `${set.name} (${plural(set.samples.length, "sample")})`).join(", ");
  section.append(
    el("p", {}, `${plural(runs.length, "scored run")} of ${plural(methods, "method")} on ${names}.`),
    el("p", { class: "soft" }, `Page made on ${made.when} by commit ${made.commit}. A run's name opens its edits.`));
  for (const table of REPORT.overview) section.append(...tableSection(table, openRow));
}

function plots() {
  for (const plot of REPORT.plots) byId("plots").append(el("h3", {}, plot.title), plotBox(plot));
}

byId("notices").append(...REPORT.notices.map(line => el("p", {}, `⚠ ${line}`)));
for (const section of [answers, tables, types, pairs, plots, buildGallery, failures, items, claims, overview]) section();
byId(address.section)?.scrollIntoView();

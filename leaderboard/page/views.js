// The parts of the page: each function takes plain data and returns elements.

function controls(data, state, change) {
  const section = state.section, tasks = tasksOf(section);
  const set = key => value => change({[key]: value});
  return [
    choice("Model and protocol", "section", data.sections.map((item, index) => [String(index), item.title]), String(data.sections.indexOf(section)), set("section")),
    choice("Task", "task", [["all", "all tasks"], ...tasks.map(task => [task.key, task.label])], state.task, set("task")),
    choice("Training data", "fraction", [["all", "all shares"], ...fractionsOf(section).map(fraction => [String(fraction), percent(fraction)])], state.fraction, set("fraction")),
    choice("Technique", "technique", [["all", "all techniques"], ...techniquesOf(section).map(name => [name, name])], state.technique, set("technique")),
  ];
}

function facts(section, data) {
  const protocol = section.protocol, kept = Object.entries(section.versions);
  const text = [
    `Model ${section.model}, protocol ${protocol.name}: ${protocol.selection === "best_dev" ? "best epoch on dev" : "last epoch"}, ${protocol.precision}, ${protocol.data} data.`,
    section.baseline ? `Baseline: ${section.baseline}.` : "No baseline.",
    kept.length ? `Differing software: ${kept.map(([name, value]) => `${name} ${value}`).join("; ")}.` : "",
    data.problems ? `${plural(data.problems, "file")} could not be used.` : "",
    section.cells.some(cell => cell.synthetic) ? "Tasks named pocket-* are synthetic, not GLUE." : "",
  ];
  return text.filter(Boolean).join(" ");
}

// --- the answer: best, by how much, distinguishable, failures, cost

function answer(cell, section, data, pick) {
  const ranked = cell.rows.filter(row => row.complete), title = element("h2", {id: "answer-title"}, `Best on ${nameOf(cell)}`);
  if (!ranked.length) return [title, element("p", {}, "No strategy is complete here, so nothing can be ranked yet.")];
  const top = Math.max(...ranked.map(row => row.mean)), winners = ranked.filter(row => row.mean === top), best = winners[0];
  const tiles = [
    tile("Best mean", [pick(best.strategy), winners.length > 1 ? ` (tied with ${winners.length - 1})` : ""],
      `${cell.metric} ${points(best.mean)} ${interval(best.mean_low, best.mean_high)}, ${plural(best.restarts, "restart")}, best run ${points(best.max)}`),
    ...(best.strategy === section.baseline ? overNext(ranked, best, section, data) : [tile("Over the baseline", ...gain(best, section)), tile("Distinguishable?", ...verdict(best, section, data))]),
    tile("Fails", `${best.failed} of ${best.restarts}`, `95 % interval ${interval(best.failure_low, best.failure_high, percentWhole)}${failures(cell, section)}`),
  ];
  if (isNumber(best.seconds)) tiles.push(tile("Costs", ...cost(best, section)));
  return [title, element("dl", {class: "tiles"}, tiles)];
}

const percentWhole = share => `${Math.round(100 * share)} %`;
const tile = (name, value, detail) => element("div", {}, element("dt", {}, name), element("dd", {}, element("strong", {}, value), element("span", {}, detail)));

function cost(row, section) {
  const peak = `peak ${megabytes(row.peak_memory)}`;
  if (row.strategy === section.baseline || !isNumber(row.relative_seconds)) return [`${seconds(row.seconds)} a trial`, peak];
  return [`${times(row.relative_seconds)} the baseline`, `${seconds(row.seconds)} a trial, ${peak}`];
}

function gain(row, section) {
  const found = row.comparison;
  return found ? [`${signed(found.difference)} points`, `${interval(found.low, found.high, signed)} against ${section.baseline}, same restarts`] : ["–", "the baseline is not complete here"];
}

function verdict(row, section, data) {
  const found = row.comparison;
  if (!found) return ["–", "the baseline is not complete here"];
  if (found.too_few) return ["too few to test", `${plural(found.restarts, "restart")}; a test needs ${data.minimum_restarts}`];
  const text = `from the baseline; p = ${pValue(found.p_holm)} corrected for the whole table (${pValue(found.p)} alone)`;
  return [found.p_holm < data.alpha ? "yes" : "no", text];
}

// The baseline is best: what is told is how far the next one lies behind it.
function overNext(ranked, best, section, data) {
  const others = ranked.filter(row => row !== best);
  if (!others.length) return [tile("Over the others", "–", "it is the baseline, and nothing else is complete here")];
  const next = others.reduce((a, b) => b.mean > a.mean ? b : a), found = next.comparison;
  return [tile("Over the next", `${signed(-found.difference)} points`, `${interval(-found.high, -found.low, signed)} against ${next.strategy}, same restarts; the best is the baseline itself`),
    tile("Distinguishable?", ...verdict(next, section, data).map(text => text.replace("from the baseline", "from the next one")))];
}

function failures(cell, section) {
  const base = cell.rows.find(row => row.strategy === section.baseline);
  return base ? `; baseline ${base.failed} of ${base.restarts}` : "";
}

// --- the table

function strategyTable(cells, keep, section, data, state, pick, styleOf) {
  const rows = cells.flatMap(cell => cell.rows.filter(row => keep(row.strategy)).map(row => ({cell, row})));
  const several = cells.length > 1, number = {number: true, falling: true};
  const tested = rows.some(({row}) => isNumber(row.tier));
  const cost = rows.some(({row}) => isNumber(row.seconds));
  const columns = [
    {title: "Strategy", value: ({row}) => row.strategy, cell: ({row}) => element("span", {class: "named"}, swatch(styleOf(row.strategy)), pick(row.strategy))},
    several && {title: "Task", value: ({cell}) => cell.task, cell: ({cell}) => cell.task},
    several && {title: "Data", value: ({cell}) => cell.fraction, cell: ({cell}) => percent(cell.fraction), ...number},
    {title: "Mean", value: ({row}) => row.mean, cell: ({row}) => [element("b", {}, points(row.mean)), " ", small(interval(row.mean_low, row.mean_high))], ...number},
    {title: "vs baseline", value: ({row}) => row.comparison?.difference ?? null, cell: ({row}) => versus(row, section), ...number},
    {title: "Told apart?", value: ({row}) => row.comparison?.p_holm ?? null, cell: ({row}) => told(row, section, data), number: true},
    tested && {title: "Tier", value: ({row}) => row.tier, cell: ({row}) => isNumber(row.tier) ? String(row.tier) : "–", number: true},
    {title: "Max", value: ({row}) => row.max, cell: ({row}) => points(row.max), ...number},
    {title: "Std", value: ({row}) => row.std, cell: ({row}) => points(row.std), number: true},
    {title: "Failed", value: ({row}) => row.failure_rate, cell: ({row}) => row.restarts ? `${row.failed}/${row.restarts}` : "–", number: true},
    cost && {title: "Time", value: ({row}) => row.seconds ?? null, cell: ({row}) => isNumber(row.relative_seconds) ? times(row.relative_seconds) : seconds(row.seconds), number: true},
  ].filter(Boolean);
  const caption = `${several ? plural(cells.length, "cell") : nameOf(cells[0])}: ${plural(rows.length, "row")}`;
  return sortableTable(caption, columns, rows, state.sorting, ({row}) => row.complete ? null : "incomplete");
}

const small = text => element("small", {}, text);
const swatch = style => svg("svg", {class: "swatch", viewBox: "0 0 14 14", width: 14, height: 14, "aria-hidden": "true"}, mark(7, 7, style, "", 4.5));

function versus(row, section) {
  if (row.strategy === section.baseline) return "baseline";
  return row.comparison ? [signed(row.comparison.difference), " ", small(interval(row.comparison.low, row.comparison.high, signed))] : "–";
}

function told(row, section, data) {
  const found = row.comparison;
  if (!row.complete) return `${row.restarts} of ${row.expected} restarts`;
  if (!found || row.strategy === section.baseline) return "–";
  if (found.too_few) return "too few";
  return `${found.p_holm < data.alpha ? "yes" : "no"}, p ${pValue(found.p_holm)}`;
}

function notes(cells, keep) {
  const lines = cells.flatMap(cell => cell.rows.filter(row => keep(row.strategy)).flatMap(row => row.notes.map(note => `${cell.task} ${percent(cell.fraction)}, ${row.strategy}: ${note}`)));
  return lines.length ? [element("h3", {}, "Errors and deviations"), element("ul", {}, lines.map(line => element("li", {}, line)))] : [];
}

// --- any two strategies

function comparison(cells, a, b, section, data, tails, set) {
  const names = section.strategies.map(item => [item.label, item.label]);
  const lines = cells.map(cell => {
    const [first, second] = [a, b].map(name => cell.rows.find(row => row.strategy === name));
    return first && second ? {cell, found: pairRows(first, second, tails, data.minimum_restarts)} : null;
  }).filter(line => line?.found);
  const form = element("form", {class: "pair"}, choice("This", "first", names, a, set("a")), choice("minus that", "second", names, b, set("b")));
  if (a === b) return [form, element("p", {}, "Choose two different strategies.")];
  if (!lines.length) return [form, element("p", {}, "The two share no restart with results here.")];
  const columns = [
    {title: "Cell", value: line => nameOf(line.cell), cell: line => nameOf(line.cell)},
    {title: "Restarts", value: line => line.found.pairs.length, cell: line => String(line.found.pairs.length), number: true, falling: true},
    {title: "Difference", value: line => line.found.difference, cell: line => `${signed(line.found.difference)} ${line.found.interval ? interval(...line.found.interval, signed) : ""}`, number: true, falling: true},
    {title: "Better on", value: line => share(line), cell: line => `${line.found.differences.filter(value => value > 0).length} of ${line.found.pairs.length}`, number: true, falling: true},
    {title: "p, uncorrected", value: line => line.found.p, cell: line => line.found.p === null ? "too few" : pValue(line.found.p), number: true},
  ];
  const text = "One ring per restart, the diamond is their mean, the line its 95 % interval (paired bootstrap). Right of 0 the first one is better.";
  const plot = differencePlot(lines.map(({cell, found}) => ({name: nameOf(cell), found})), `${a} minus ${b}`, text);
  const table = sortableTable(`${a} minus ${b}, paired by restart`, columns, lines, {});
  return [form, element("p", {class: "result", role: "status"}, sentence(a, b, lines[0])), plot, table];
}

const share = line => line.found.differences.filter(value => value > 0).length / line.found.pairs.length;

function sentence(a, b, {cell, found}) {
  const range = found.interval ? `, 95 % interval ${interval(...found.interval, signed)}` : "";
  const outside = found.interval && (found.interval[0] > 0 || found.interval[1] < 0);
  const reading = !found.interval ? "" : outside ? " The interval leaves out 0; p-values of pairs you choose are not corrected." : " The interval includes 0: not distinguishable.";
  return `On ${nameOf(cell)}, ${a} scores ${signed(found.difference)} points against ${b} over ${plural(found.pairs.length, "shared restart")}${range}.${reading}`;
}

// --- over all tasks

function overall(section, data, pick, styleOf) {
  const {places, unranked, cells, critical_difference: critical} = section.ranking;
  const lines = unranked.map(({strategy, reason}) => element("li", {}, `Not ranked: ${strategy} (${reason})`));
  if (!places.length) return [element("p", {}, "No strategy is complete in all cells."), element("ul", {}, lines)];
  const columns = [
    {title: "Strategy", value: row => row.strategy, cell: row => element("span", {class: "named"}, swatch(styleOf(row.strategy)), pick(row.strategy))},
    {title: "Mean rank", value: row => row.mean_rank, cell: row => row.mean_rank.toFixed(2), number: true},
    {title: "Best in", value: row => row.wins, cell: row => `${row.wins} of ${cells}`, number: true, falling: true},
    {title: "vs baseline", value: row => row.difference, cell: row => row.strategy === section.baseline ? "baseline" : [signed(row.difference), " ", small(interval(row.low, row.high, signed))], number: true, falling: true},
    {title: "p, Holm", value: row => row.p_holm, cell: row => row.strategy === section.baseline ? "–" : isNumber(row.p_holm) ? pValue(row.p_holm) : "too few", number: true},
    {title: "Failed", value: row => row.failed / row.restarts, cell: row => `${row.failed}/${row.restarts}`, number: true},
    "relative_seconds" in places[0] && {title: "Time", value: row => row.relative_seconds, cell: row => times(row.relative_seconds), number: true},
  ].filter(Boolean);
  const reading = isNumber(critical) ? `Mean ranks that differ by less than ${critical.toFixed(2)} (Nemenyi, ${section.ranking.tasks} tasks) cannot be told apart.` : "";
  return [element("p", {class: "hint"}, `Mean rank over ${plural(cells, "cell")} of task and share of the data, 1 is best. ${reading}`),
    sortableTable(`All ${plural(cells, "cell")} together`, columns, places, {column: "Mean rank", falling: false}), lines.length ? element("ul", {}, lines) : null].filter(Boolean);
}

// --- one strategy

function strategyView(label, section, methods, records, select) {
  const about = section.strategies.find(item => item.label === label), terms = methods[about.strategy];
  const names = section.strategies.map(item => [item.label, item.label]);
  return [element("form", {class: "pair"}, choice("Strategy", "strategy", names, label, select)),
    ...(terms ? terms.map(termView) : [element("p", {class: "hint"}, "No description lies beside these records (methods.json).")]),
    ...touchedView(about.touched),
    about.fisher ? element("p", {}, `Fisher scores: ${JSON.stringify(about.fisher)}`) : null,
    trialsView(label, section, records)].filter(Boolean);
}

function termView(term) {
  const lines = [["Settings", Object.entries(term.settings).map(([name, value]) => `${name} = ${value}`).join(", ") || "none"], ["Paper", term.paper || "–"],
    ["Deviations", term.deviations || "none"], ["Passes per step", `${term.cost} (forward + backward)`]];
  return element("article", {}, element("h3", {}, term.term), element("p", {}, term.summary), term.equation ? element("p", {class: "equation"}, term.equation) : null,
    element("dl", {}, lines.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])));
}

function touchedView(touched) {
  return Object.entries(touched ?? {}).map(([term, names]) => element("details", {},
    element("summary", {}, `${term} touches ${names.length} modules or parameters`),
    element("p", {class: "modules"}, names.join(", ") || "none")));
}

function trialsView(label, section, records) {
  const rows = section.cells.flatMap(cell => cell.rows.filter(row => row.strategy === label).flatMap(row => row.trials.map(trial => ({cell, trial}))));
  const columns = [
    {title: "Record", value: ({trial}) => trial.id, cell: ({trial}) => records === null ? element("code", {}, trial.id) : element("a", {href: `${records}${encodeURIComponent(trial.id)}.json`}, trial.id)},
    {title: "Task", value: ({cell}) => cell.task, cell: ({cell}) => cell.task},
    {title: "Data", value: ({cell}) => cell.fraction, cell: ({cell}) => percent(cell.fraction), number: true},
    {title: "Restart", value: ({trial}) => trial.restart, cell: ({trial}) => String(trial.restart), number: true},
    {title: "Split", value: ({trial}) => trial.split_seed, cell: ({trial}) => String(trial.split_seed), number: true},
    {title: "Score", value: ({trial}) => trial.score, cell: ({trial}) => points(trial.score), number: true, falling: true},
    {title: "Ended", value: ({trial}) => ended(trial), cell: ({trial}) => ended(trial)},
    {title: "‖w − w_pre‖²", value: ({trial}) => trial.deviation, cell: ({trial}) => isNumber(trial.deviation) ? trial.deviation.toPrecision(3) : "–", number: true},
    {title: "Time", value: ({trial}) => trial.seconds ?? null, cell: ({trial}) => seconds(trial.seconds), number: true},
  ];
  return element("details", {class: "trials"}, element("summary", {}, `All ${plural(rows.length, "trial")}`), sortableTable(`Trials of ${label}`, columns, rows, {}));
}

const ended = trial => trial.status === "failed" ? `failed (${trial.failed_by})` : trial.reason ? `${trial.status}: ${trial.reason}` : trial.status;

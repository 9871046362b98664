// The chosen cells: the best strategy of one, how sure that is, what it costs; and the table of all strategies.

function answer(cells) {
  if (cells.length !== 1) return bestOfEach(cells);
  const [cell] = cells;
  const [best] = bestOf(cell);
  const title = html.h2({id: "answer-title"}, `Best on ${headingOf(cell)}`);
  const state = html.p({class: "state"}, cell.reach);
  if (!best) return [title, state];
  const tiles = [bestTile(cell), gainTiles(cell, best), tuningTile(best), failureTile(cell, best), costTile(best)];
  return [title, html.dl({class: "tiles"}, tiles), state];
}

const tile = (name, value, detail) => html.div(html.dt(name), html.dd(html.strong(value), html.span(detail)));

function bestTile(cell) {
  const [best, ...others] = bestOf(cell);
  const tied = others.length ? ` (tied with ${others.length})` : "";
  const mean = `${cell.measure} ${points(best.mean)} ${interval(best.mean_low, best.mean_high)}`;
  const detail = `${mean}, ${plural(best.restarts, "restart")}, best run ${points(best.max)}`;
  return tile("Best mean", [pick(best.strategy), tied], detail);
}

// Where the baseline is best, what is said is how far the next one is behind it.
function gainTiles(cell, best) {
  const base = rowOf(cell, chosen.section.baseline);
  const other = best === base ? rankedOf(cell).find(row => row !== base) : base;
  const title = best === base ? "Against the next" : "Against the baseline";
  const found = other && (best.comparison ?? pairOf(cell, best.strategy, other.strategy));
  if (!found) return tile(title, "–", "nothing to compare with is complete here");
  const detail = `${interval(found.low, found.high, bound)} against ${other.strategy}, same restarts`;
  const told = isSignificant(found) ? "yes" : "no";
  const sure = isNumber(found.p)
    ? [told, `p = ${pValue(found.p_holm)} (Holm), ${pValue(found.p)} uncorrected`]
    : ["too few restarts", `${board.minimum_units}, each on its own split, are needed`];
  return [tile(title, `${signed(found.difference)} points`, detail), tile("Significantly different?", ...sure)];
}

function failureTile(cell, best) {
  const base = rowOf(cell, chosen.section.baseline);
  const ofBase = base && base !== best ? `; baseline ${base.failed} of ${base.restarts}` : "";
  const detail = `95 % interval ${interval(best.failure_low, best.failure_high, percent)}${ofBase}`;
  return tile("Failed runs", `${best.failed} of ${best.restarts}`, detail);
}

function tuningTile({mean, tuning}) {
  if (!tuning || !isNumber(tuning.default)) return null;
  return tile("Tuning gained", `${signed(mean - tuning.default)} points`, `${points(tuning.default)} by default`);
}

function costTile(best) {
  if (!isNumber(best.seconds)) return null;
  const peak = orDash(bytes => `${(bytes / 1e6).toFixed(0)} MB`)(best.peak_memory);
  const cost = isNumber(best.relative_seconds) ? `${times(best.relative_seconds)} the baseline` : "–";
  const of = chosen.section.budget ? `for ${chosen.section.budget} configurations` : "a trial";
  return tile("Cost", cost, `${seconds(best.seconds)} ${of}, wall-clock; peak ${peak}`);
}

function bestOfEach(cells) {
  const lines = cells.map(cell => {
    const [best] = bestOf(cell);
    const found = best?.comparison;
    const sure = found ? `, against the baseline ${signed(found.difference)}` : "";
    return [`${headingOf(cell)}: `, best && [pick(best.strategy), ` ${points(best.mean)}${sure}. `], cell.reach];
  });
  const title = html.h2({id: "answer-title"}, `Best in each of ${plural(cells.length, "cell")}`);
  return [title, bullets(lines, {class: "winners"})];
}

const holm = found =>
  isNumber(found.p_holm) ? `${pValue(found.p_holm)}${isSignificant(found) ? " *" : ""}` : "too few";

// --- the table

const FOLDED = 40; // rows from which on a table shows the headings of its cells alone

// Means of two tasks have no order, so every cell has parts of its own.
function partsOf(cells, count) {
  return cells.flatMap(cell =>
    board.groups.map((group, at) => {
      const named = at ? `${headingOf(cell)}: ${group}` : headingOf(cell);
      const rows = chosenRows(cell).filter(row => row.group === at);
      return {title: cells.length > 1 ? named : group, rows, folds: count > FOLDED && cells.length > 1};
    }),
  );
}

function strategyTable(cells) {
  const {section} = chosen;
  const rows = cells.flatMap(chosenRows);
  const mean = section.budget ? `Tuned (${section.budget})` : "Mean";
  const columns = [
    strategyColumn,
    numberColumn("n", row => row.restarts, (_, row) => countOf(row), FALLING),
    rows.some(r => isNumber(r.tuning?.default)) && numberColumn("Default", r => r.tuning?.default, points, FALLING),
    numberColumn(mean, row => row.mean, (_, row) => meanOf(row), FALLING),
    numberColumn("vs baseline", row => row.comparison?.difference, (_, row) => versusBaseline(row), FALLING),
    numberColumn("p (Holm)", row => row.comparison?.p_holm, (_, row) => orDash(holm)(row.comparison)),
    has(rows, "tier") && numberColumn("Tier", row => row.tier, orDash(String)),
    numberColumn("Max", row => row.max, points, FALLING),
    !section.budget && numberColumn("Std", row => row.std, points),
    numberColumn("Failed", row => row.failure_rate, (rate, row) => orDash(() => failureOf(row))(rate)),
    has(rows, "forgetting") && numberColumn("Forgetting", row => row.forgetting, rank, FALLING),
    costColumn(rows),
  ].filter(Boolean);
  return sortableTable({
    name: mean,
    caption: `${cells.length > 1 ? plural(cells.length, "cell") : headingOf(cells[0])}: ${plural(rows.length, "row")}`,
    columns,
    parts: partsOf(cells, rows.length),
    sorting: {title: mean, falling: true},
  });
}

const strategyColumn = textColumn("Strategy", row => row.strategy, row => namedStrategy(row.strategy));
const costColumn = rows =>
  (has(rows, "passes") && numberColumn("Passes", row => row.passes, orDash(quantity))) ||
  (has(rows, "seconds") && numberColumn("Time", row => row.relative_seconds ?? row.seconds, (_, row) => timeOf(row)));
const withInterval = (value, low, high, print) =>
  isNumber(low) ? [value, " ", html.small(interval(low, high, print))] : value;
const countOf = row => (row.complete ? String(row.restarts) : `${row.restarts} of ${row.expected}`);
const meanOf = row => withInterval(html.b(points(row.mean)), row.mean_low, row.mean_high);
const failedOf = row => `${row.failed}/${row.restarts}`;
const failureOf = row => withInterval(failedOf(row), row.failure_low, row.failure_high, share);
const timeOf = row => (isNumber(row.relative_seconds) ? times(row.relative_seconds) : seconds(row.seconds));

const differenceOf = found => withInterval(signed(found.difference), found.low, found.high, bound);

function versusBaseline(row) {
  if (row.strategy === chosen.section.baseline) return "baseline";
  if (row.same_as) return `as ${row.same_as}`;
  return row.comparison ? differenceOf(row.comparison) : "–";
}

function notes(cells) {
  const lines = cells.flatMap(cell =>
    chosenRows(cell).flatMap(row => row.notes.map(note => `${nameOf(cell)}, ${row.strategy}: ${note}`)),
  );
  return lines.length ? [html.h3("Errors and deviations"), bullets(lines)] : [];
}

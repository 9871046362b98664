// The chosen cells: the best strategy of one, how sure that is, what it costs; and the table of all strategies.

function answer(cells) {
  if (cells.length !== 1) return bestOfEach(cells);
  const [cell] = cells;
  const [best] = bestOf(cell);
  const title = html.h2({id: "answer-title"}, `Best on ${headingOf(cell)}`);
  const state = text => html.p({class: "state"}, text);
  if (!cell.learned) return [title, state(cell.reach)];
  if (!best) return [title, state("No strategy is complete here, so nothing can be ranked yet.")];
  const tiles = [bestTile(cell), gainTiles(cell, best), failureTile(cell, best), costTile(best)];
  return [title, html.dl({class: "tiles"}, tiles), state(certainty(cell, best)), cell.reach && hint(cell.reach)];
}

const tile = (name, value, detail) => html.div(html.dt(name), html.dd(html.strong(value), html.span(detail)));

function bestTile(cell) {
  const winners = bestOf(cell);
  const [best] = winners;
  const tied = winners.length > 1 ? ` (tied with ${winners.length - 1})` : "";
  const mean = `${cell.metric} ${points(best.mean)} ${interval(best.mean_low, best.mean_high)}`;
  const detail = `${mean}, ${plural(best.restarts, "restart")}, best run ${points(best.max)}`;
  return tile("Best mean", [pick(labelOf(chosen.section, best)), tied], detail);
}

// Where the baseline is best, what is said is how far the next one is behind it.
function gainTiles(cell, best) {
  const {section} = chosen;
  const base = rowOf(section, cell, section.baseline);
  const other = best === base ? rankedOf(cell).find(row => row !== base) : base;
  const title = best === base ? "Against the next" : "Against the baseline";
  const found = other && (best.comparison ?? pairOf(section, cell, labelOf(section, best), labelOf(section, other)));
  if (!found) return tile(title, "–", "nothing to compare with is complete here");
  const detail = `${interval(found.low, found.high, bound)} against ${labelOf(section, other)}, same restarts`;
  return [tile(title, `${signed(found.difference)} points`, detail), significanceTile(found)];
}

function significanceTile(found) {
  const [title, needed] = ["Significantly different?", `${board.minimum_units}, each on its own split, are needed`];
  if (!isNumber(found.p)) return tile(title, "too few restarts", needed);
  const detail = `p = ${pValue(found.p_holm)} (Holm), ${pValue(found.p)} uncorrected`;
  return tile(title, found.significant ? "yes" : "no", detail);
}

function failureTile(cell, best) {
  const base = rowOf(chosen.section, cell, chosen.section.baseline);
  const ofBase = base && base !== best ? `; baseline ${base.failed} of ${base.restarts}` : "";
  const detail = `95 % interval ${interval(best.failure_low, best.failure_high, percent)}${ofBase}`;
  return tile("Failed runs", `${best.failed} of ${best.restarts}`, detail);
}

function costTile(best) {
  if (!isNumber(best.seconds)) return null;
  const peak = `${seconds(best.seconds)} a trial, wall-clock; peak ${orDash(String)(best.peak_memory)} MB`;
  return tile("Cost", isNumber(best.relative_seconds) ? `${times(best.relative_seconds)} the baseline` : "–", peak);
}

// The best mean is chosen after the fact; what is not significantly different from it is in its tier.
function certainty(cell, best) {
  const others = rankedOf(cell).filter(row => row !== best);
  if (!others.length) return "Cannot be decided: nothing else is ranked here.";
  if (!isNumber(best.tier)) return "Cannot be decided: pairs of strategies were not tested.";
  const near = others.filter(row => row.tier === best.tier).map(row => labelOf(chosen.section, row));
  if (near.length === others.length) return "Cannot be decided: no other is significantly different from the best.";
  if (near.length) return `Not significantly different from the best: ${listed(near)}.`;
  return `All other ranked strategies (${others.length}) are significantly different from the best.`;
}

function bestOfEach(cells) {
  const lines = cells.map(cell => {
    const [best] = bestOf(cell);
    if (!best) return [`${headingOf(cell)}: `, cell.learned ? "nothing complete" : "every run failed"];
    const found = best.comparison;
    const sure = found ? `; against the baseline ${signed(found.difference)}, p (Holm) ${holm(found)}` : "";
    return [`${headingOf(cell)}: `, pick(labelOf(chosen.section, best)), ` ${points(best.mean)}${sure}`];
  });
  const title = html.h2({id: "answer-title"}, `Best in each of ${plural(cells.length, "cell")}`);
  return [title, bullets(lines, {class: "winners"})];
}

const holm = ({p_holm: p, significant}) => (isNumber(p) ? `${pValue(p)}${significant ? " *" : ""}` : "too few");

// --- the table

const FOLDED = 40; // rows from which on a table shows the headings of its cells alone

const isSame = row => isNumber(row.same_as);
const SHORT = "planned with fewer restarts: shown, not ranked; compared with the baseline on the restarts of both";
const FLOOR = "floors that fine-tuning has to beat: shown, not ranked";
const GROUPS = [
  {title: "ranked", has: row => row.ranked},
  {title: SHORT, has: row => row.complete && row.short && !isSame(row)},
  {title: FLOOR, has: row => row.floor},
  {title: "same predictions as another strategy, and ranked as it", has: isSame},
  {title: "restarts missing: shown, neither ranked nor compared", has: row => !row.complete && !isSame(row)},
];

// Means of two tasks have no order, so every cell has parts of its own.
function partsOf(cells, count) {
  return cells.flatMap(cell =>
    GROUPS.map((group, at) => {
      const named = at ? `${headingOf(cell)}: ${group.title}` : headingOf(cell);
      const rows = chosenRows(cell).filter(group.has);
      return {title: cells.length > 1 ? named : group.title, rows, folds: count > FOLDED && cells.length > 1};
    }),
  );
}

function strategyTable(cells) {
  const {section} = chosen;
  const rows = cells.flatMap(chosenRows);
  const mean = section.budget ? `Tuned (${section.budget})` : "Mean";
  const columns = [
    textColumn("Strategy", row => labelOf(section, row), row => namedStrategy(row.strategy)),
    numberColumn("n", row => row.restarts, (_, row) => countOf(row), FALLING),
    section.budget && numberColumn("Default", row => row.default, points, FALLING),
    numberColumn(mean, row => row.mean, (_, row) => meanOf(row), FALLING),
    numberColumn("vs baseline", row => row.comparison?.difference, (_, row) => versusBaseline(row), FALLING),
    numberColumn("p (Holm)", row => row.comparison?.p_holm, (_, row) => orDash(holm)(row.comparison)),
    has(rows, "tier") && numberColumn("Tier", row => row.tier, orDash(String)),
    numberColumn("Max", row => row.max, points, FALLING),
    !section.budget && numberColumn("Std", row => row.std, points),
    numberColumn("Failed", row => row.failure_rate, (rate, row) => orDash(() => failedOf(row))(rate)),
    costColumn(rows),
  ].filter(Boolean);
  return sortableTable({
    name: mean,
    caption: `${cells.length > 1 ? plural(cells.length, "cell") : headingOf(cells[0])}: ${plural(rows.length, "row")}`,
    columns,
    parts: partsOf(cells, rows.length),
    sorting: {title: mean, falling: true},
    indexOf: row => row.strategy,
  });
}

const costColumn = rows =>
  (has(rows, "passes") && numberColumn("Passes", row => row.passes, orDash(quantity))) ||
  (has(rows, "seconds") && numberColumn("Time", row => row.relative_seconds ?? row.seconds, (_, row) => timeOf(row)));
const withInterval = (value, low, high, print) =>
  isNumber(low) ? [value, " ", html.small(interval(low, high, print))] : value;
const countOf = row => (row.complete ? String(row.restarts) : `${row.restarts} of ${row.expected}`);
const meanOf = row => withInterval(html.b(points(row.mean)), row.mean_low, row.mean_high);
const failedOf = row => `${row.failed}/${row.restarts}`;
const timeOf = row => (isNumber(row.relative_seconds) ? times(row.relative_seconds) : seconds(row.seconds));

const differenceOf = found => withInterval(signed(found.difference), found.low, found.high, bound);

function versusBaseline(row) {
  if (labelOf(chosen.section, row) === chosen.section.baseline) return "baseline";
  if (isSame(row)) return `as ${chosen.section.strategies[row.same_as].label}`;
  return row.comparison ? differenceOf(row.comparison) : "–";
}

function notes(cells) {
  const lines = cells.flatMap(cell =>
    chosenRows(cell).flatMap(row => row.notes.map(note => `${nameOf(cell)}, ${labelOf(chosen.section, row)}: ${note}`)),
  );
  return lines.length ? [html.h3("Errors and deviations"), bullets(lines)] : [];
}

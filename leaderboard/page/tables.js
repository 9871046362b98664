// The tables of a cell and over all tasks, and what is noted below them.

const RANKED = {title: "ranked", has: row => row.ranked};
const SHORT = {
  title: "planned with fewer restarts: shown, not ranked; compared with the baseline on the restarts of both",
  has: row => row.complete && !row.ranked,
};
const MISSING = {title: "restarts missing: shown, neither ranked nor compared", has: row => !row.complete};

// Means of two tasks have no order, so every cell has groups of its own.
function groupsOf(cells) {
  const titleOf = (cell, group) =>
    cells.length === 1 ? group.title : [nameOf(cell), ...(group === RANKED ? [] : [group.title])].join(": ");
  return cells.flatMap(cell =>
    [RANKED, SHORT, MISSING].map(group => ({
      title: titleOf(cell, group),
      has: line => line.cell === cell && group.has(line.row),
    })),
  );
}

function strategyTable(cells, keep, section, data, state, pick, styleOf) {
  const rows = cells.flatMap(cell => cell.rows.filter(row => keep(row.strategy)).map(row => ({cell, row})));
  const number = {number: true, falling: true};
  const tested = rows.some(({row}) => isNumber(row.tier));
  const cost = rows.some(({row}) => isNumber(row.seconds));
  const columns = [
    {
      title: "Strategy",
      value: ({row}) => row.strategy,
      cell: ({row}) => element("span", {class: "named"}, swatch(styleOf(row.strategy)), pick(row.strategy)),
    },
    {title: "n", value: ({row}) => row.restarts, cell: ({row}) => countOf(row), ...number},
    {
      title: "Mean",
      value: ({row}) => row.mean,
      cell: ({row}) => [element("b", {}, points(row.mean)), " ", small(interval(row.mean_low, row.mean_high))],
      ...number,
    },
    {
      title: "vs baseline",
      value: ({row}) => row.comparison?.difference ?? null,
      cell: ({row}) => versus(row, section),
      ...number,
    },
    {
      title: "Told apart?",
      value: ({row}) => row.comparison?.p_holm ?? null,
      cell: ({row}) => told(row, section, data),
      number: true,
    },
    tested && {
      title: "Tier",
      value: ({row}) => row.tier,
      cell: ({row}) => (isNumber(row.tier) ? String(row.tier) : "–"),
      number: true,
    },
    {title: "Max", value: ({row}) => row.max, cell: ({row}) => points(row.max), ...number},
    {title: "Std", value: ({row}) => row.std, cell: ({row}) => points(row.std), number: true},
    {
      title: "Failed",
      value: ({row}) => row.failure_rate,
      cell: ({row}) => (row.restarts ? `${row.failed}/${row.restarts}` : "–"),
      number: true,
    },
    cost && {
      title: "Time",
      value: ({row}) => row.seconds ?? null,
      cell: ({row}) => (isNumber(row.relative_seconds) ? times(row.relative_seconds) : seconds(row.seconds)),
      number: true,
    },
  ].filter(Boolean);
  const caption = `${cells.length > 1 ? plural(cells.length, "cell") : nameOf(cells[0])}: ${plural(rows.length, "row")}`;
  return sortableTable(caption, columns, rows, state.sorting, groupsOf(cells));
}

const countOf = row => (row.complete ? String(row.restarts) : `${row.restarts} of ${row.expected}`);

const small = text => element("small", {}, text);
const swatch = style =>
  svg(
    "svg",
    {class: "swatch", viewBox: "0 0 14 14", width: 14, height: 14, "aria-hidden": "true"},
    mark(7, 7, style, "", 4.5),
  );

function versus(row, section) {
  if (row.strategy === section.baseline) return "baseline";
  return row.comparison
    ? [signed(row.comparison.difference), " ", small(interval(row.comparison.low, row.comparison.high, bound))]
    : "–";
}

function told(row, section, data) {
  const found = row.comparison;
  if (!found || row.strategy === section.baseline) return "–";
  if (found.too_few) return "too few";
  return element("span", {class: "whole"}, `${found.p_holm < data.alpha ? "yes" : "no"}, p ${pValue(found.p_holm)}`);
}

function notes(cells, keep) {
  const lines = cells.flatMap(cell =>
    cell.rows
      .filter(row => keep(row.strategy))
      .flatMap(row => row.notes.map(note => `${cell.task} ${percent(cell.fraction)}, ${row.strategy}: ${note}`)),
  );
  return lines.length
    ? [
        element("h3", {}, "Errors and deviations"),
        element(
          "ul",
          {},
          lines.map(line => element("li", {}, line)),
        ),
      ]
    : [];
}

function overall(section, data, pick, styleOf) {
  const {strategies: places, short: beside, unranked, cells} = section.ranking;
  const named = new Set(beside.map(row => row.strategy));
  const lines = unranked
    .filter(({strategy}) => !named.has(strategy))
    .map(({strategy, reason}) => element("li", {}, `Not ranked: ${strategy} (${reason})`));
  if (!places.length) return [element("p", {}, "No strategy is ranked in all cells."), element("ul", {}, lines)];
  const columns = [
    {
      title: "Strategy",
      value: row => row.strategy,
      cell: row => element("span", {class: "named"}, swatch(styleOf(row.strategy)), pick(row.strategy)),
    },
    {
      title: "Mean rank",
      value: row => row.mean_rank,
      cell: row => (isNumber(row.mean_rank) ? row.mean_rank.toFixed(2) : "–"),
      number: true,
    },
    {
      title: "Best in",
      value: row => row.wins,
      cell: row => (isNumber(row.rank) ? `${row.wins} of ${cells}` : "–"),
      number: true,
      falling: true,
    },
    {
      title: "Beats baseline",
      value: row => row.improvement,
      cell: row =>
        row.strategy === section.baseline
          ? "baseline"
          : [`${percentWhole(row.improvement)} `, small(interval(row.low, row.high, percentWhole))],
      number: true,
      falling: true,
    },
    {
      title: "p, Holm",
      value: row => row.p_holm,
      cell: row => (row.strategy === section.baseline ? "–" : isNumber(row.p_holm) ? pValue(row.p_holm) : "too few"),
      number: true,
    },
    {
      title: "Failed",
      value: row => row.failed / row.restarts,
      cell: row => `${row.failed}/${row.restarts}`,
      number: true,
    },
    "relative_seconds" in places[0] && {
      title: "Time",
      value: row => row.relative_seconds,
      cell: row => times(row.relative_seconds),
      number: true,
    },
  ].filter(Boolean);
  const groups = [
    {title: RANKED.title, has: row => isNumber(row.rank)},
    {title: SHORT.title, has: row => !isNumber(row.rank)},
  ];
  const by = {column: "Mean rank", falling: false};
  return [
    element("p", {class: "hint"}, `Mean rank over ${plural(cells, "cell")} of task and share of the data, 1 is best.`),
    sortableTable(`All ${plural(cells, "cell")} together`, columns, [...places, ...beside], by, groups),
    lines.length ? element("ul", {}, lines) : null,
    rankPlot(section.ranking, styleOf),
  ].filter(Boolean);
}

// How families were tuned in the chosen cells: score against budget, what was chosen, and holdout against dev.

function tuningView(cells, {budget} = chosen.section) {
  document.getElementById("tuning").hidden = !budget;
  if (!budget) return null;
  const parts = cells.map(cell => ({title: headingOf(cell), rows: chosenRows(cell).filter(row => row.tuning)}));
  return [tuningTable(parts, budget), html.div({class: "charts"}, cells.length === 1 && tuningPlots(cells[0]))];
}

const ENSEMBLE = numberColumn("Ensemble", row => row.tuning.ensemble, points, FALLING);
const gainOf = ({gain, gain_low: low, gain_high: high}) =>
  isNumber(gain) ? withInterval(signed(gain), low, high, bound) : "–";

function tuningTable(parts, budget) {
  const sizes = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].filter(size => size < budget).concat(budget);
  const columns = [
    strategyColumn,
    numberColumn("Tuned − default", row => row.tuning.gain, (_, row) => gainOf(row.tuning), FALLING),
    ...sizes.map(size => numberColumn(String(size), row => row.tuning.curve[size - 1], points, FALLING)),
    ...(parts.some(({rows}) => rows.some(row => isNumber(row.tuning.ensemble))) ? [ENSEMBLE] : []),
    numberColumn("Oracle", row => row.tuning.oracle.at(-1), points, FALLING),
    numberColumn("Agreement", row => row.tuning.agreement, rank, FALLING),
    numberColumn("Found best", row => row.tuning.found_best, percent, FALLING),
    textColumn("Chosen", row => row.tuning.said),
  ];
  const caption = `Expected score by number of configurations, chosen by holdout; oracle, at ${budget}: chosen by dev`;
  return sortableTable({name: "tuning", caption, columns, parts});
}

function tuningPlots(cell) {
  const rows = shownRows(cell).filter(row => row.tuning?.curve.length && row.group !== FLOORS);
  if (!rows.length) return null;
  const picked = rows.find(row => row.strategy === chosen.strategy) ?? rows[0];
  const ofAxes = rows[0].tuning.axes.map(axis => axisPlot(cell, axis, rows));
  return [budgetPlot(cell, rows), ofAxes, holdoutPlot(cell, picked)];
}

function budgetPlot(cell, rows) {
  const dotOf = strategy => (up, at) => ({strategy, across: at + 1, up, title: `at ${at + 1}: ${points(up)}`});
  const dots = rows.flatMap(({strategy, tuning}) => tuning.curve.map(dotOf(strategy))).filter(dot => isNumber(dot.up));
  return planeChart({
    title: `Score vs. budget: ${headingOf(cell)}`,
    text: `Expected ${cell.measure} on dev of what the holdout chooses, mean over restarts.`,
    dots,
    axis: "configurations",
    print: at => (Number.isInteger(at) ? String(at) : ""),
    joined: curvesOf(dots),
  });
}

function axisPlot(cell, axis, rows) {
  const runsOf = row => row.tuning.chosen.map(one => ({value: Math.log10(one[axis]), title: String(one[axis])}));
  const items = rows.map(row => ({strategy: row.strategy, name: row.strategy, runs: runsOf(row)}));
  return intervalChart({
    title: `Chosen ${axis}: ${headingOf(cell)}`,
    text: "A mark per restart: what its holdout chose.",
    items,
    axis: `${axis} (logarithmic)`,
    print: power => String(Number((10 ** power).toPrecision(2))),
  });
}

function holdoutPlot(cell, {strategy, tuning}) {
  const dots = tuning.chosen.flatMap((one, at) =>
    tuning.configurations[at].map(([across, up], draw) => {
      const title = `restart ${one.restart}, draw ${draw}: holdout ${points(across)}, dev ${points(up)}`;
      return {strategy, across, up, title, hollow: draw !== one.draw};
    }),
  );
  return planeChart({
    title: `Holdout vs. dev: ${strategy}, ${headingOf(cell)}`,
    text: "A mark per configuration and restart, filled where it was chosen; pick another strategy to see its own.",
    dots: dots.filter(dot => isNumber(dot.across)),
    axis: `${cell.measure} on the holdout × 100`,
  });
}

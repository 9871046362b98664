// How families were tuned in the chosen cells: score against budget, what was chosen, and holdout against dev.

function tuningView(cells, {budget} = chosen.section) {
  document.getElementById("tuning").hidden = !budget;
  if (!budget) return null;
  const parts = cells.map(cell => ({title: headingOf(cell), rows: chosenRows(cell).filter(row => row.tuning)}));
  return [tuningTable(parts, budget), html.div({class: "charts"}, cells.length === 1 && tuningPlots(cells[0]))];
}

function tuningTable(parts, budget) {
  const sizes = [...[1, 2, 4, 8, 16, 32, 64, 128, 256, 512].filter(size => size < budget), budget];
  const columns = [
    textColumn("Strategy", row => labelOf(chosen.section, row), row => namedStrategy(row.strategy)),
    ...sizes.map(size => numberColumn(String(size), row => row.tuning.curve[size - 1], points, FALLING)),
    numberColumn("Oracle", row => row.tuning.oracle, points, FALLING),
    numberColumn("Agreement", row => row.tuning.agreement, rank, FALLING),
    numberColumn("Found best", row => row.tuning.found_best, percent, FALLING),
    textColumn("Chosen", row => row.tuning.chosen),
  ];
  const caption = `Expected score by number of configurations, chosen by holdout; oracle, at ${budget}: chosen by dev`;
  return sortableTable({name: "tuning", caption, columns, parts, indexOf: row => row.strategy});
}

function tuningPlots(cell) {
  const rows = shownRows(cell).filter(row => row.tuning?.curve.length && !row.floor);
  if (!rows.length) return null;
  const axes = Object.keys(rows[0].tuning.axes);
  const picked = rows.find(row => labelOf(chosen.section, row) === chosen.strategy) ?? rows[0];
  return [budgetPlot(cell, rows), axes.map(axis => axisPlot(cell, axis, rows)), holdoutPlot(cell, picked)];
}

function budgetPlot(cell, rows) {
  const dotOf = strategy => (up, at) => ({strategy, across: at + 1, up, title: `at ${at + 1}: ${points(up)}`});
  const curves = rows.map(({strategy, tuning}) => tuning.curve.map(dotOf(strategy)));
  return planeChart({
    title: `Score vs. budget: ${headingOf(cell)}`,
    text: `Expected ${cell.metric} on dev of what the holdout chooses, mean over restarts.`,
    dots: curves.flat().filter(dot => isNumber(dot.up)),
    axis: "configurations",
    print: at => (Number.isInteger(at) ? String(at) : ""),
    joined: curves.map(along => ({style: `curve c${styleOf(along[0].strategy).colour}`, along})),
  });
}

function axisPlot(cell, axis, rows) {
  const runsOf = row => row.tuning.axes[axis].map(value => ({value: Math.log10(value), title: String(value)}));
  const items = rows.map(row => ({strategy: row.strategy, name: labelOf(chosen.section, row), runs: runsOf(row)}));
  return intervalChart({
    title: `Chosen ${axis}: ${headingOf(cell)}`,
    text: "A mark per restart: what its holdout chose.",
    items,
    axis: `${axis} (logarithmic)`,
    print: power => String(Number((10 ** power).toPrecision(2))),
  });
}

function holdoutPlot(cell, {strategy, tuning}) {
  const dots = tuning.configurations.map(({restart, draw, chosen: isChosen, held: across, score: up}) => {
    const title = `restart ${restart}, draw ${draw}: holdout ${points(across)}, dev ${points(up)}`;
    return {strategy, across, up, title, hollow: !isChosen};
  });
  return planeChart({
    title: `Holdout vs. dev: ${chosen.section.strategies[strategy].label}, ${headingOf(cell)}`,
    text: "A mark per configuration and restart, filled where it was chosen; pick another strategy to see its own.",
    dots,
    axis: `${cell.metric} on the holdout × 100`,
  });
}

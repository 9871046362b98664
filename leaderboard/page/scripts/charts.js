// The charts of the chosen cells. The tables say the same in numbers.

const SHOWN = 8; // of many strategies a chart shows so many, the baseline and those that the reader picked

function charts(cells) {
  const made = cells.length > SHOWN ? [] : cells.map(cell => stripPlot(cell, shownRows(cell)));
  const [cell] = cells;
  if (cells.length === 1) made.push(costPlot(cell, shownRows(cell)));
  const ofTask = chosen.section.cells.filter(cell => cell.key === chosen.task);
  if (ofTask.length > 1) made.push(sizePlot(ofTask));
  return made.filter(Boolean);
}

function shownRows(cell) {
  const picked = [chosen.section.baseline, chosen.a, chosen.b, chosen.strategy, "none"];
  return chosenRows(cell).filter((row, at) => at < SHOWN || picked.includes(row.strategy));
}

function chartsHint(cells) {
  if (cells.length > SHOWN) return `${cells.length} cells are chosen; choose a task or a size to see charts.`;
  const hidden = cells.some(cell => chosenRows(cell).length > shownRows(cell).length);
  const said = "Point at a strategy, or focus it, to see it in all charts.";
  return hidden ? `${said} Drawn are the best ${SHOWN}, the baseline, none and what you picked.` : said;
}

function stripPlot(cell, rows) {
  const trials = rows.flatMap(row => row.trials.filter(hasScore));
  if (!trials.length) return null;
  const floors = new Set(trials.map(trial => trial.floor)); // pooled dev sets differ by restart and have no single one
  const [floor] = floors;
  const scores = trials.map(trial => trial.score);
  const isNear = floor > Math.min(...scores) - 0.6 * (Math.max(...scores) - Math.min(...scores));
  const isDrawn = floors.size === 1 && (isNear || trials.some(trial => trial.failed_by));
  const constant = `${isDrawn ? "Dashed" : "Far below"}: the best constant prediction (${points(floor)}).`;
  const marks = "Small: a restart each, hollow where the run failed. Large: their mean, with its 95 % interval.";
  return intervalChart({
    title: `All restarts: ${nameOf(cell)}`,
    text: `${marks} ${floors.size > 1 ? "The best constant prediction differs by restart." : constant}`,
    items: rows.map(stripItem),
    axis: `${cell.measure} × 100`,
    print: points,
    line: isDrawn ? {at: floor, style: "floor"} : undefined,
  });
}

function stripItem(row) {
  const {strategy, mean: value, mean_low: low, mean_high: high} = row;
  const runs = row.trials.filter(hasScore).map(trial => ({
    value: trial.score,
    title: `restart ${trial.restart}: ${points(trial.score)}${trial.failed_by ? `, failed (${trial.failed_by})` : ""}`,
    hollow: Boolean(trial.failed_by),
  }));
  const name = row.ranked ? strategy : `${strategy} (n = ${row.restarts})`;
  return {strategy, name, value, low, high, title: `mean ${points(value)} ${interval(low, high)}`, runs};
}

// A line per strategy through its points.
const curvesOf = dots =>
  Array.from(Map.groupBy(dots, dot => dot.strategy), ([strategy, along]) => {
    return {style: `curve c${styleOf(strategy).colour}`, along};
  });

// Points of strategies in a plane: {strategy, across, up, title, hollow} each; `joined` says which lines to draw.
function planeChart({title, text, dots, axis, print = points, values, joined = []}) {
  const [top, bottom, left] = [12, 250, 62];
  const x = scale(dots.map(dot => dot.across), left, chartWidth() - EDGE - 10, 0.1);
  const y = scale(dots.map(dot => dot.up), bottom - 8, top + 8, 0.1);
  const lines = joined.map(({style, along}) => {
    const corners = along.map(({across, up}, at) => `${at ? "L" : "M"}${x(across)} ${y(up)}`);
    return svg.path({class: style, d: corners.join(""), "data-s": indexOf(along[0]?.strategy)});
  });
  const marks = dots.map(({strategy, across, up, title: said, hollow}) =>
    svg.g({"data-s": indexOf(strategy)}, mark(x(across), y(up), styleOf(strategy), said, 5.5, hollow)),
  );
  const drawing = canvas(bottom + AXIS, bottomAxis(x, bottom, axis, print, values), leftAxis(y, points), lines, marks);
  return figure(title, text, drawing, legend([...new Set(dots.map(dot => dot.strategy))]));
}

function costPlot(cell, rows) {
  const counted = has(rows, "passes");
  const cost = counted ? "steps × passes, over all configurations" : "wall-clock time under the load of that moment";
  const [key, print] = counted ? ["passes", value => `${quantity(value)} passes`] : ["relative_seconds", times];
  const dots = rows
    .filter(row => isNumber(row[key]) && isNumber(row.mean))
    .map(({strategy, [key]: across, mean: up, ranked}) => {
      const title = `${strategy}: ${points(up)} at ${print(across)}`;
      return {strategy, across, up, title, hollow: !ranked};
    });
  if (!dots.length) return null;
  const beats = (a, b) => a.across <= b.across && a.up >= b.up && (a.across < b.across || a.up > b.up);
  const ranked = dots.filter(dot => !dot.hollow);
  const front = ranked.filter(dot => !ranked.some(other => beats(other, dot))).toSorted((a, b) => a.across - b.across);
  return planeChart({
    title: `Score vs. cost: ${nameOf(cell)}`,
    text: `Mean ${cell.measure} against ${cost}. Dashed: ranked, not beaten in both by another. Hollow: not ranked.`,
    dots,
    axis: counted ? "forward passes of a batch" : "time of a trial, the baseline's = 1",
    print: String,
    joined: [{style: "front", along: front.map(({across, up}) => ({across, up}))}],
  });
}

function sizePlot(cells) {
  const ordered = bySize(cells);
  const names = new Set(ordered.flatMap(cell => shownRows(cell).map(row => row.strategy)));
  const shown = cell => rankedOf(cell).filter(row => names.has(row.strategy));
  const dots = ordered.flatMap(cell =>
    shown(cell).map(({strategy, mean: up, mean_low: low, mean_high: high}) => {
      const title = `${strategy}, ${cell.amount}: ${points(up)} ${interval(low, high)}`;
      return {strategy, across: Math.log(cell.fraction), up, title};
    }),
  );
  if (!dots.length) return null;
  return planeChart({
    title: `Score vs. training-set size: ${ordered[0].title}`,
    text: `Mean ${ordered[0].measure} of the ranked strategies at each size of the training set.`,
    dots,
    axis: "size of the training set (logarithmic)",
    print: at => ordered.find(cell => Math.log(cell.fraction) === at).amount,
    values: ordered.map(cell => Math.log(cell.fraction)),
    joined: curvesOf(dots),
  });
}

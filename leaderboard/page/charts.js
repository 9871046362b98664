// Charts as SVG. A chart is a figure with a caption; every mark has a title, and the table says the same in numbers.

const COLOURS = 8;
const SHAPES = ["circle", "square", "diamond", "triangle"];
const LEFT = 16, RIGHT = 16;
const narrow = window.matchMedia("(max-width: 820px)"); // there a chart is drawn smaller, so that its texts stay readable
let WIDTH = 520;

function figure(title, text, drawing) {
  drawing.prepend(svg("title", {}, title), svg("desc", {}, text));
  return element("figure", {}, element("figcaption", {}, element("strong", {}, title), " ", element("span", {}, text)), drawing);
}

function canvas(height, ...children) {
  return svg("svg", {viewBox: `0 0 ${WIDTH} ${height}`, role: "img", preserveAspectRatio: "xMidYMid meet"}, children);
}

function scale(values, start, end, share = 0.06) {
  let low = Math.min(...values), high = Math.max(...values);
  if (low === high) [low, high] = [low - 0.01, high + 0.01];
  const room = (high - low) * share;
  [low, high] = [low - room, high + room];
  const at = value => start + (value - low) / (high - low) * (end - start);
  return Object.assign(at, {low, high});
}

function ticks(low, high, count = 5) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= raw);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) found.push(value);
  return found;
}

function bottomAxis(x, top, bottom, label, show) {
  const marks = ticks(x.low, x.high).map(value => svg("g", {},
    svg("line", {class: "grid", x1: x(value), x2: x(value), y1: top, y2: bottom}),
    svg("text", {class: "tick", x: x(value), y: bottom + 18, "text-anchor": "middle"}, show(value))));
  return svg("g", {}, marks, svg("text", {class: "axis", x: WIDTH / 2, y: bottom + 38, "text-anchor": "middle"}, label));
}

function mark(x, y, style, title, size = 4.5, hollow = false) {
  const path = {
    circle: `M${x - size} ${y}a${size} ${size} 0 1 0 ${2 * size} 0a${size} ${size} 0 1 0 ${-2 * size} 0`,
    square: `M${x - size} ${y - size}h${2 * size}v${2 * size}h${-2 * size}z`,
    diamond: `M${x} ${y - 1.3 * size}l${1.3 * size} ${1.3 * size}l${-1.3 * size} ${1.3 * size}l${-1.3 * size} ${-1.3 * size}z`,
    triangle: `M${x} ${y - 1.2 * size}l${1.2 * size} ${2.1 * size}h${-2.4 * size}z`,
  }[style.shape];
  return svg("path", {class: `mark c${style.colour}${hollow ? " hollow" : ""}`, d: path}, svg("title", {}, title));
}

// Rows of a chart with the strategy's name above each strip: nothing is cut off on a phone.
const ROW = 46;
const rowTop = index => 10 + index * ROW;
const strip = index => rowTop(index) + 30;

function rowNames(rows, styleOf) {
  return rows.map((row, index) => svg("g", {},
    mark(LEFT + 5, rowTop(index) + 9, styleOf(row.strategy), row.strategy),
    svg("text", {class: "name", x: LEFT + 18, y: rowTop(index) + 13}, row.strategy)));
}

function stripPlot(cell, rows, styleOf) {
  const scored = rows.map(row => row.trials.filter(hasScore)), all = scored.flat().map(trial => trial.score);
  if (!all.length) return null;
  const floor = scored.flat()[0].floor, bottom = 14 + rows.length * ROW;
  const floorShown = floor > Math.min(...all) - 0.6 * (Math.max(...all) - Math.min(...all)) || scored.flat().some(trial => trial.failed);
  const x = scale([...all, ...(floorShown ? [floor] : []), ...rows.flatMap(row => [row.mean_low, row.mean_high]).filter(isNumber)], LEFT + 8, WIDTH - RIGHT - 8, 0.03);
  const strips = rows.map((row, index) => {
    const y = strip(index), style = styleOf(row.strategy);
    return svg("g", {},
      isNumber(row.mean_low) ? svg("rect", {class: `band c${style.colour}`, x: x(row.mean_low), width: Math.max(1, x(row.mean_high) - x(row.mean_low)), y: y - 9, height: 18, rx: 3},
        svg("title", {}, `mean ${points(row.mean)} ${interval(row.mean_low, row.mean_high)}`)) : null,
      scored[index].map((trial, at) => mark(x(trial.score), y + 3 * (at % 3 - 1), style,
        `restart ${trial.restart}: ${points(trial.score)}${trial.failed ? `, failed (${trial.failed_by})` : ""}`, 4, trial.failed)),
      isNumber(row.mean) ? svg("line", {class: "mean", x1: x(row.mean), x2: x(row.mean), y1: y - 11, y2: y + 11}) : null);
  });
  const text = `One mark per restart, hollow where the run failed; line and band: mean and its 95 % interval. ${floorShown ? "Dashed: the" : "Far below: the"} best constant prediction (${points(floor)}).`;
  return figure(`All restarts: ${nameOf(cell)}`, text, canvas(bottom + 46,
    bottomAxis(x, 6, bottom, cell.metric, value => points(value)),
    floorShown && svg("line", {class: "floor", x1: x(floor), x2: x(floor), y1: 6, y2: bottom}),
    strips, rowNames(rows, styleOf)));
}

function failurePlot(cell, rows, styleOf) {
  const bottom = 14 + rows.length * ROW, x = scale([0, 1], LEFT + 8, WIDTH - RIGHT - 44, 0);
  const bars = rows.filter(row => row.restarts).map(row => {
    const y = strip(rows.indexOf(row)), style = styleOf(row.strategy);
    return svg("g", {},
      svg("line", {class: "track", x1: x(0), x2: x(1), y1: y, y2: y}),
      svg("line", {class: "whisker", x1: x(row.failure_low), x2: x(row.failure_high), y1: y, y2: y}),
      mark(x(row.failure_rate), y, style, `${row.failed} of ${row.restarts} failed ${interval(row.failure_low, row.failure_high, percent)}`, 5.5),
      svg("text", {class: "value", x: WIDTH - RIGHT, y: y + 5, "text-anchor": "end"}, `${row.failed}/${row.restarts}`));
  });
  return figure(`How often it fails: ${nameOf(cell)}`, "Share of failed runs with Wilson's 95 % interval.",
    canvas(bottom + 46, bottomAxis(x, 6, bottom, "failed runs", percent), bars, rowNames(rows, styleOf)));
}

function costPlot(cell, rows, styleOf) {
  const shown = rows.filter(row => isNumber(row.seconds) && isNumber(row.mean));
  if (!shown.length) return null;
  const top = 12, bottom = 250;
  const x = scale(shown.map(row => row.seconds), 62, WIDTH - RIGHT - 10, 0.1), y = scale(shown.map(row => row.mean), bottom - 8, top + 8, 0.1);
  const best = shown.filter(row => !shown.some(other => other.seconds <= row.seconds && other.mean >= row.mean && (other.seconds < row.seconds || other.mean > row.mean)))
    .sort((a, b) => a.seconds - b.seconds);
  const line = best.map((row, index) => `${index ? "L" : "M"}${x(row.seconds)} ${y(row.mean)}`).join("");
  const grid = ticks(y.low, y.high).map(value => svg("g", {}, svg("line", {class: "grid", x1: 54, x2: WIDTH - RIGHT, y1: y(value), y2: y(value)}),
    svg("text", {class: "tick", x: 48, y: y(value) + 4, "text-anchor": "end"}, points(value))));
  const text = `Seconds of a trial on its machine against the mean ${cell.metric}. The line joins those that no other beats in both: ${best.map(row => row.strategy).join("; ")}.`;
  const drawing = canvas(bottom + 46, bottomAxis(x, top, bottom, "seconds per trial", value => String(Number(value.toPrecision(3)))), grid,
    svg("path", {class: "front", d: line}),
    shown.map(row => mark(x(row.seconds), y(row.mean), styleOf(row.strategy), `${row.strategy}: ${points(row.mean)} in ${seconds(row.seconds)}`, 6)));
  const made = figure(`What it costs: ${nameOf(cell)}`, text, drawing);
  made.append(legend(shown.map(row => row.strategy), styleOf));
  return made;
}

function paucityPlot(cells, strategies, styleOf) {
  const top = 12, bottom = 250, ordered = [...cells].sort((a, b) => a.fraction - b.fraction);
  const lines = strategies.map(strategy => [strategy, ordered.map(cell => [cell, cell.rows.find(row => row.strategy === strategy)])
    .filter(([, row]) => row && row.complete)]).filter(([, seen]) => seen.length);
  if (!lines.length) return null;
  const x = scale(ordered.map(cell => Math.log(cell.fraction)), 62, WIDTH - RIGHT - 10), y = scale(lines.flatMap(([, seen]) => seen.map(([, row]) => row.mean)), bottom - 8, top + 8);
  const grid = ticks(y.low, y.high).map(value => svg("g", {}, svg("line", {class: "grid", x1: 54, x2: WIDTH - RIGHT, y1: y(value), y2: y(value)}),
    svg("text", {class: "tick", x: 48, y: y(value) + 4, "text-anchor": "end"}, points(value))));
  const shares = ordered.map(cell => svg("text", {class: "tick", x: x(Math.log(cell.fraction)), y: bottom + 18, "text-anchor": "middle"}, percent(cell.fraction)));
  const curves = lines.map(([strategy, seen]) => svg("g", {},
    svg("path", {class: `curve c${styleOf(strategy).colour}`, d: seen.map(([cell, row], index) => `${index ? "L" : "M"}${x(Math.log(cell.fraction))} ${y(row.mean)}`).join("")}),
    seen.map(([cell, row]) => mark(x(Math.log(cell.fraction)), y(row.mean), styleOf(strategy), `${strategy}, ${percent(cell.fraction)}: ${points(row.mean)} ${interval(row.mean_low, row.mean_high)}`, 5))));
  const made = figure(`With less and less data: ${ordered[0].task}`, `Mean ${ordered[0].metric} against the share of the training data (logarithmic).`,
    canvas(bottom + 46, grid, shares, svg("text", {class: "axis", x: WIDTH / 2, y: bottom + 38, "text-anchor": "middle"}, "share of the training data"), curves));
  made.append(legend(lines.map(([strategy]) => strategy), styleOf));
  return made;
}

// Forest plot of paired differences: `lines` are {name, found} with what pairRows returns.
function differencePlot(lines, title, text, styleOf) {
  const bottom = 14 + lines.length * ROW;
  const x = scale([0, ...lines.flatMap(({found}) => [...found.differences, ...(found.interval ?? [])])], LEFT + 8, WIDTH - RIGHT - 8, 0.03);
  const style = {shape: "circle", colour: 0};
  const rows = lines.map(({name, found}, index) => {
    const y = strip(index);
    return svg("g", {},
      svg("text", {class: "name", x: LEFT, y: rowTop(index) + 13}, name),
      found.interval ? svg("line", {class: "whisker", x1: x(found.interval[0]), x2: x(found.interval[1]), y1: y, y2: y}) : null,
      found.pairs.map(([trial], at) => mark(x(found.differences[at]), y + 3 * (at % 3 - 1), style, `restart ${trial.restart}: ${signed(found.differences[at])}`, 3, true)),
      mark(x(found.difference), y, {shape: "diamond", colour: 0}, `mean ${signed(found.difference)}`, 6));
  });
  return figure(title, text, canvas(bottom + 46, bottomAxis(x, 6, bottom, "difference (points)", signed),
    svg("line", {class: "zero", x1: x(0), x2: x(0), y1: 6, y2: bottom}), rows));
}

function legend(strategies, styleOf) {
  return element("ul", {class: "legend"}, strategies.map(strategy => element("li", {},
    svg("svg", {viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true"}, mark(8, 8, styleOf(strategy), strategy, 5)), strategy)));
}

// What every chart is made of: a figure with a caption, scales, axes and marks, as SVG. Every mark has a title.

const COLOURS = 8;
const SHAPES = ["circle", "square", "diamond", "triangle"];
const LEFT = 16;
const RIGHT = 16;
const narrow = window.matchMedia("(max-width: 820px)"); // there a chart is drawn smaller, so that its texts stay readable
let WIDTH = 520;

function figure(title, text, drawing) {
  drawing.prepend(svg("title", {}, title), svg("desc", {}, text));
  return element(
    "figure",
    {},
    element("figcaption", {}, element("strong", {}, title), " ", element("span", {}, text)),
    drawing,
  );
}

function canvas(height, ...children) {
  return svg("svg", {viewBox: `0 0 ${WIDTH} ${height}`, role: "img", preserveAspectRatio: "xMidYMid meet"}, children);
}

function scale(values, start, end, share = 0.06) {
  let low = Math.min(...values),
    high = Math.max(...values);
  if (low === high) [low, high] = [low - 0.01, high + 0.01];
  const room = (high - low) * share;
  [low, high] = [low - room, high + room];
  const at = value => start + ((value - low) / (high - low)) * (end - start);
  return Object.assign(at, {low, high});
}

function ticks(low, high, count = 5) {
  const raw = (high - low) / count,
    power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= raw);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) found.push(value);
  return found;
}

function bottomAxis(x, top, bottom, label, show) {
  const marks = ticks(x.low, x.high).map(value =>
    svg(
      "g",
      {},
      svg("line", {class: "grid", x1: x(value), x2: x(value), y1: top, y2: bottom}),
      svg("text", {class: "tick", x: x(value), y: bottom + 18, "text-anchor": "middle"}, show(value)),
    ),
  );
  return svg(
    "g",
    {},
    marks,
    svg("text", {class: "axis", x: WIDTH / 2, y: bottom + 38, "text-anchor": "middle"}, label),
  );
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
  return rows.map((row, index) =>
    svg(
      "g",
      {},
      mark(LEFT + 5, rowTop(index) + 9, styleOf(row.strategy), row.strategy),
      svg("text", {class: "name", x: LEFT + 18, y: rowTop(index) + 13}, nameOfRow(row)),
    ),
  );
}

const nameOfRow = row => (row.ranked === false ? `${row.strategy} (n = ${row.restarts})` : row.strategy);

function legend(strategies, styleOf) {
  return element(
    "ul",
    {class: "legend"},
    strategies.map(strategy =>
      element(
        "li",
        {},
        svg(
          "svg",
          {viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true"},
          mark(8, 8, styleOf(strategy), strategy, 5),
        ),
        strategy,
      ),
    ),
  );
}

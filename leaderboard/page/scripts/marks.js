// What every chart is made of: a figure with a caption, scales, axes and marks, as SVG. Every mark has a title.

const COLOURS = 8;
const SHAPES = ["circle", "square", "diamond", "triangle"];
const EDGE = 16; // left and right of a chart's drawing
const GAP = 18; // between two charts
const PADDING = 28; // of a figure's card
const AXIS = 46; // below a chart's drawing

// Charts are drawn at the width that they get, so that their texts keep their size.
function chartWidth() {
  const main = document.querySelector("main");
  const whole = main.clientWidth - 2 * parseFloat(getComputedStyle(main).paddingLeft);
  return Math.max(260, (whole >= 880 ? (whole - GAP) / 2 : whole) - PADDING);
}

function figure(title, text, drawing, ...below) {
  drawing.prepend(svg.title(title), svg.desc(text));
  return html.figure(html.figcaption(html.strong(title), " ", html.span(text)), drawing, below);
}

function canvas(height, ...children) {
  const width = chartWidth();
  return svg.svg({viewBox: `0 0 ${width} ${height}`, width, height, role: "img"}, children);
}

function scale(values, start, end, share = 0.06) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = (most - least) * share || Math.abs(most) / 10 || 1;
  const [low, high] = [least - room, most + room];
  const at = value => start + ((value - low) / (high - low)) * (end - start);
  return Object.assign(at, {low, high});
}

const acrossScale = (values, share = 0.03) => scale(values, EDGE + 8, chartWidth() - EDGE - 18, share);

function ticks({low, high}, count = 5) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= raw);
  const first = Math.ceil(low / step);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({length: last - first + 1}, (_, index) => Number(((first + index) * step).toPrecision(10)));
}

function bottomAxis(x, bottom, label, print, values = ticks(x)) {
  const lines = values.map(value => [
    svg.line({class: "grid", x1: x(value), x2: x(value), y1: 6, y2: bottom}),
    svg.text({class: "tick", x: x(value), y: bottom + 18, "text-anchor": "middle"}, print(value)),
  ]);
  const title = svg.text({class: "axis", x: chartWidth() / 2, y: bottom + 38, "text-anchor": "middle"}, label);
  return svg.g(lines, title);
}

function leftAxis(y, print) {
  return ticks(y).map(value => [
    svg.line({class: "grid", x1: 54, x2: chartWidth() - EDGE, y1: y(value), y2: y(value)}),
    svg.text({class: "tick", x: 48, y: y(value) + 4, "text-anchor": "end"}, print(value)),
  ]);
}

// Colour and shape of a strategy: the same everywhere, different for 32 strategies.
function styleOf(label) {
  const index = indexOf(label) ?? 0;
  return {colour: index % COLOURS, shape: SHAPES[(index + Math.floor(index / COLOURS)) % SHAPES.length]};
}

function mark(x, y, {colour, shape}, title, size = 4.5, hollow = false) {
  const wide = 1.3 * size;
  const path = {
    circle: `M${x - size} ${y}a${size} ${size} 0 1 0 ${2 * size} 0a${size} ${size} 0 1 0 ${-2 * size} 0`,
    square: `M${x - size} ${y - size}h${2 * size}v${2 * size}h${-2 * size}z`,
    diamond: `M${x} ${y - wide}l${wide} ${wide}l${-wide} ${wide}l${-wide} ${-wide}z`,
    triangle: `M${x} ${y - 1.2 * size}l${1.2 * size} ${2.1 * size}h${-2.4 * size}z`,
  }[shape];
  return svg.path({class: `mark c${colour}${hollow ? " hollow" : ""}`, d: path}, svg.title(title));
}

function swatch(label) {
  const attributes = {class: "swatch", viewBox: "0 0 14 14", width: 14, height: 14, "aria-hidden": "true"};
  return svg.svg(attributes, mark(7, 7, styleOf(label), ""));
}

function legend(labels) {
  const items = labels.map(label => html.li({"data-s": indexOf(label)}, swatch(label), label));
  return html.ul({class: "legend"}, items);
}

// --- charts with a row per item, its name above what is drawn of it: nothing is cut off on a phone

const ROW = 46;

// items: {name, strategy (its label), value, low, high, title, hollow, runs: [{value, title, hollow}]}, all but the
// name optional: a mark at the value, a bar over the interval, small marks for runs. line: {at, style}, vertical.
function intervalChart({title, text, items, axis, print, line, x = acrossScale(valuesOf(items, line))}) {
  const bottom = 14 + items.length * ROW;
  const upright = line && svg.line({class: line.style, x1: x(line.at), x2: x(line.at), y1: 6, y2: bottom});
  const rows = items.map((item, index) => intervalRow(item, x, 10 + index * ROW));
  return figure(title, text, canvas(bottom + AXIS, bottomAxis(x, bottom, axis, print), upright, rows));
}

function intervalRow({name, strategy, value, low, high, title, hollow, runs = []}, x, top) {
  const [y, left] = [top + 30, EDGE + (strategy ? 18 : 0)];
  const style = styleOf(strategy);
  return svg.g(
    {"data-s": indexOf(strategy)},
    isNumber(low) && svg.line({class: "whisker", x1: x(low), x2: x(high), y1: y, y2: y}),
    runs.map((run, at) => mark(x(run.value), y + 4 * ((at % 3) - 1), style, run.title, 3.5, run.hollow)),
    isNumber(value) && mark(x(value), y, style, title, 6, hollow),
    strategy && mark(EDGE + 5, top + 9, style, name),
    svg.text({class: "name", x: left, y: top + 13, ...squeezed(name, chartWidth() - left - 4)}, name),
  );
}

// A name that is too long for its chart is set narrower; letters are smaller on a phone (style.css).
const squeezed = (name, room) =>
  name.length * (room < 520 ? 6.6 : 7.6) > room ? {textLength: room, lengthAdjust: "spacingAndGlyphs"} : {};

function valuesOf(items, line) {
  const values = items.flatMap(item => [item.value, item.low, item.high, ...(item.runs ?? []).map(run => run.value)]);
  return [...values, line?.at].filter(isNumber);
}

// --- the strategy under the pointer or the keyboard stands out everywhere

let highlighted;

function highlight(event) {
  const index = event.target.closest?.("[data-s]")?.getAttribute("data-s");
  if (index === highlighted) return;
  highlighted = index;
  document.querySelectorAll(".lit").forEach(node => node.classList.remove("lit"));
  document.querySelectorAll(`[data-s="${index}"]`).forEach(node => node.classList.add("lit"));
  document.body.classList.toggle("highlighting", index !== undefined);
}

document.addEventListener("pointerover", highlight);
document.addEventListener("focusin", highlight);

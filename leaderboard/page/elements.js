// Elements from plain data. Texts become text nodes and attribute values, never markup.

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (value !== null && value !== undefined && value !== false)
      node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return node;
}

function choice(label, name, options, selected, change) {
  const items = options.map(([value, text]) => element("option", {value, selected: value === selected}, text));
  return element(
    "label",
    {},
    label,
    element("select", {name, on: {change: event => change(event.target.value)}}, items),
  );
}

// columns: {title, value(row) for sorting, cell(row) -> node or text, number, falling}; sorting keeps `state`.
// groups: {title, has(row)}: rows of a later one stay below those of an earlier one, however they are sorted.
function sortableTable(caption, columns, rows, state, groups = [{title: "", has: () => true}]) {
  const table = element("table", {}, element("caption", {}, caption));
  const parts = groups
    .map(group => ({title: group.title, rows: rows.filter(group.has)}))
    .filter(part => part.rows.length);
  const bodies = parts.map(() => element("tbody"));
  const heads = columns.map((column, index) => {
    const button = element("button", {type: "button", on: {click: () => sort(index)}}, column.title);
    return element("th", {scope: "col", class: column.number ? "number" : null}, button);
  });
  table.append(element("thead", {}, element("tr", {}, heads)), ...bodies);

  function sort(index) {
    const same = state.column === columns[index].title;
    state.falling = same ? !state.falling : Boolean(columns[index].falling);
    state.column = columns[index].title;
    show();
    state.changed?.();
  }
  function show() {
    const at = columns.findIndex(column => column.title === state.column);
    const ordered = some =>
      at < 0 ? some : [...some].sort((a, b) => inOrder(columns[at].value(a), columns[at].value(b), state.falling));
    heads.forEach((head, index) => {
      head.setAttribute("aria-sort", index !== at ? "none" : state.falling ? "descending" : "ascending");
    });
    parts.forEach((part, number) => {
      const lines = ordered(part.rows).map(row =>
        element(
          "tr",
          {},
          columns.map((column, index) => field(column, index, row)),
        ),
      );
      const named = parts.length > 1 && part.title;
      bodies[number].replaceChildren(
        ...(named
          ? [element("tr", {class: "group"}, element("th", {scope: "rowgroup", colspan: columns.length}, part.title))]
          : []),
        ...lines,
      );
    });
  }
  function field(column, index, row) {
    const attributes = {
      scope: index ? null : "row",
      "data-title": column.title,
      class: column.number ? "number" : null,
    };
    return element(index ? "td" : "th", attributes, column.cell(row));
  }
  show();
  return table;
}

function inOrder(a, b, falling) {
  // what is undefined comes last either way
  if (a === null || b === null) return (a === null) - (b === null);
  const order = typeof a === "string" ? a.localeCompare(b) : a - b;
  return falling ? -order : order;
}

// --- numbers as text

const isNumber = value => value !== null && value !== undefined;
const points = value => (isNumber(value) ? (100 * value).toFixed(1).replace(/^-0\.0$/, "0.0") : "–");
const signed = value =>
  !isNumber(value) ? "–" : (points(value) !== "0.0" && value > 0 ? "+" : "") + points(value).replace("-", "−");
// A bound of a difference: its sign says on which side of 0 it lies, also where it rounds to 0.
const bound = value => (value && points(value) === "0.0" ? (value > 0 ? "+0.0" : "−0.0") : signed(value));
const interval = (low, high, show = points) => (isNumber(low) ? `[${show(low)}, ${show(high)}]` : "");
const percent = fraction => `${Number((100 * fraction).toPrecision(6))} %`;
const pValue = p => (!isNumber(p) ? "–" : p < 0.0001 ? "< 0.0001" : p.toPrecision(2));
const times = ratio => (isNumber(ratio) ? `${ratio.toFixed(2)}×` : "–");
const seconds = value =>
  !isNumber(value)
    ? "–"
    : value < 10
      ? `${value.toFixed(1)} s`
      : value < 6000
        ? `${value.toFixed(0)} s`
        : `${(value / 3600).toFixed(1)} h`;
const megabytes = value => (isNumber(value) ? `${(value / 1e6).toFixed(0)} MB` : "–");
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const nameOf = cell => `${cell.task}${cell.synthetic ? " (synthetic)" : ""}, ${percent(cell.fraction)} of the data`;

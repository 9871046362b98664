// Ours beside the papers: every published figure that a cell of ours meets, and whether directions agree.

function publishedView(cells, section, chosen, select) {
  const tables = section.published;
  if (!tables.length) return [];
  const table = tables.find(item => item.name === chosen) ?? tables[0];
  const shown = new Set(cells.map(keyOfCell));
  const pairs = table.matches.filter(pair => shown.has(keyOfCell(pair)));
  const names = tables.map(item => [item.name, item.name]);
  const meant = pair => !isNumber(pair.published_mean);
  const columns = [
    {title: "Strategy", value: pair => pair.strategy, cell: pair => pair.strategy},
    cells.length > 1 && {title: "Task", value: pair => pair.task, cell: pair => pair.task},
    cells.length > 1 && {
      title: "Data",
      value: pair => pair.fraction,
      cell: pair => element("span", {class: "whole"}, percent(pair.fraction)),
      number: true,
    },
    {
      title: "Ours",
      value: pair => pair.mean,
      cell: pair => [element("b", {}, points(pair.mean)), " ", small(`n ${pair.restarts}`)],
      ...FALLING,
    },
    {title: "Published", value: pair => pair.published_mean, cell: pair => points(pair.published_mean), ...FALLING},
    {
      title: "Ours − published",
      value: pair => pair.gap,
      cell: pair => [signed(pair.gap), " ", small(interval(pair.gap_low, pair.gap_high, bound))],
      ...FALLING,
    },
    {title: "Max", value: pair => pair.max, cell: pair => points(pair.max), ...FALLING},
    {title: "Published max", value: pair => pair.published_max, cell: pair => points(pair.published_max), ...FALLING},
    {
      title: "Gain, published",
      value: pair => pair.direction?.published ?? null,
      cell: pair => (pair.direction ? signed(pair.direction.published) : "–"),
      ...FALLING,
    },
    {
      title: "Gain, ours",
      value: pair => pair.direction?.ours ?? null,
      cell: pair =>
        pair.direction
          ? [signed(pair.direction.ours), " ", small(interval(pair.direction.low, pair.direction.high, bound))]
          : "–",
      ...FALLING,
    },
    {title: "Direction", value: pair => directionOf(pair, table), cell: pair => directionOf(pair, table)},
  ].filter(Boolean);
  const caption = `${table.name}: ${pairs.length} of the ${plural(table.matches.length, "pair")} that were run here; gains are over ${table.first}, ${pairs.some(meant) ? "of maxima where no mean is printed" : "ours on the same restarts"}`;
  return [
    element("h2", {id: "published-title"}, "Beside the papers"),
    element("form", {class: "pair"}, choice("Published table", "published", names, table.name, select)),
    element("p", {}, `${table.citation}; ${table.about}. ${table.summary}`),
    element(
      "p",
      {class: "hint"},
      table.differences.length ? "What differs, beside chance:" : "Model, data and protocol are the published ones.",
    ),
    element(
      "ul",
      {class: "differences"},
      table.differences.map(line => element("li", {}, line)),
    ),
    pairs.length
      ? sortableTable(caption, columns, pairs, {})
      : element("p", {}, "It prints nothing for the task and share that are chosen above."),
    element(
      "p",
      {class: "hint"},
      "The interval of ours − published is from resampling our restarts alone; the published mean is taken as exact. Maxima grow with the number of restarts. Directions: clear = sign flip p < 0.05, not corrected for the number of comparisons.",
    ),
  ];
}

const FALLING = {number: true, falling: true};
const keyOfCell = ({task, metric, data, fraction}) => [task, metric, data, fraction].join(" ");

function directionOf({strategy, direction}, table) {
  if (!direction) return strategy === table.first ? "compared with" : "not complete";
  const sure = {yes: ", significant", no: ", not significant", "too few": ", too few splits"}[direction.significant] ?? "";
  return direction.verdict + (["same", "opposite"].includes(direction.verdict) ? sure : "");
}

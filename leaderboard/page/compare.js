// Any two strategies, restart by restart.

function comparison(cells, a, b, section, data, tails, set) {
  const names = section.strategies.map(item => [item.label, item.label]);
  const lines = cells
    .map(cell => {
      const [first, second] = [a, b].map(name => cell.rows.find(row => row.strategy === name));
      if (!first || !second) return null;
      const found = pairRows(first, second, tails, data.minimum_units);
      return {cell, found: found && {...found, interval: told(first, second, section.baseline) ?? found.interval}};
    })
    .filter(line => line?.found);
  const form = element(
    "form",
    {class: "pair"},
    choice("This", "first", names, a, set("a")),
    choice("minus that", "second", names, b, set("b")),
  );
  if (a === b) return [form, element("p", {}, "Choose two different strategies.")];
  if (!lines.length) return [form, element("p", {}, "The two share no restart with results here.")];
  const columns = [
    {title: "Cell", value: line => nameOf(line.cell), cell: line => nameOf(line.cell)},
    {
      title: "Restarts",
      value: line => line.found.pairs.length,
      cell: line => String(line.found.pairs.length),
      number: true,
      falling: true,
    },
    {
      title: "Difference",
      value: line => line.found.difference,
      cell: line =>
        `${signed(line.found.difference)} ${line.found.interval ? interval(...line.found.interval, bound) : ""}`,
      number: true,
      falling: true,
    },
    {
      title: "Better on",
      value: line => share(line),
      cell: line => `${line.found.differences.filter(value => value > 0).length} of ${line.found.pairs.length}`,
      number: true,
      falling: true,
    },
    {
      title: "p, uncorrected",
      value: line => line.found.p,
      cell: line => (line.found.p === null ? "too few" : pValue(line.found.p)),
      number: true,
    },
  ];
  const text =
    "One ring per restart, the diamond is their mean, the line its 95 % interval (paired bootstrap). Right of 0 the first one is better.";
  const plot = differencePlot(
    lines.map(({cell, found}) => ({name: nameOf(cell), found})),
    `${a} minus ${b}`,
    text,
  );
  const table = sortableTable(`${a} minus ${b}, paired by restart`, columns, lines, {});
  return [form, element("p", {class: "result", role: "status"}, sentence(a, b, lines[0], data)), plot, table];
}

// The interval that the tables have of this difference, where one of the two is the baseline.
function told(first, second, baseline) {
  const made = [first, second].some(row => row.strategy === baseline) ? (first.comparison ?? second.comparison) : null;
  if (!isNumber(made?.low)) return null;
  return first.strategy === baseline ? [-made.high, -made.low] : [made.low, made.high];
}

const share = line => line.found.differences.filter(value => value > 0).length / line.found.pairs.length;

function sentence(a, b, {cell, found}, data) {
  const range = found.interval ? `, 95 % interval ${interval(...found.interval, bound)}` : "";
  const reading =
    found.p === null
      ? ` Too few restarts to test (${data.minimum_units} needed): no finding.`
      : found.p < data.alpha
        ? ` A sign flip tells them apart (p = ${pValue(found.p)}, not corrected for the pairs you choose from).`
        : ` A sign flip does not tell them apart (p = ${pValue(found.p)}).`;
  return `On ${nameOf(cell)}, ${a} scores ${signed(found.difference)} points against ${b} over ${plural(found.pairs.length, "shared restart")}${range}.${reading}`;
}

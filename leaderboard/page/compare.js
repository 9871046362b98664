// Any two strategies, restart by restart.

function comparison(cells, a, b, section, data, tails, set) {
  const names = section.strategies.map(item => [item.label, item.label]);
  const lines = cells
    .map(cell => {
      const [first, second] = [a, b].map(name => cell.rows.find(row => row.strategy === name));
      return first && second ? {cell, found: pairRows(first, second, tails, data.minimum_restarts)} : null;
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
        `${signed(line.found.difference)} ${line.found.interval ? interval(...line.found.interval, signed) : ""}`,
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
  return [form, element("p", {class: "result", role: "status"}, sentence(a, b, lines[0])), plot, table];
}

const share = line => line.found.differences.filter(value => value > 0).length / line.found.pairs.length;

function sentence(a, b, {cell, found}) {
  const range = found.interval ? `, 95 % interval ${interval(...found.interval, signed)}` : "";
  const outside = found.interval && (found.interval[0] > 0 || found.interval[1] < 0);
  const reading = !found.interval
    ? ""
    : outside
      ? " The interval leaves out 0; p-values of pairs you choose are not corrected."
      : " The interval includes 0: not distinguishable.";
  return `On ${nameOf(cell)}, ${a} scores ${signed(found.difference)} points against ${b} over ${plural(found.pairs.length, "shared restart")}${range}.${reading}`;
}

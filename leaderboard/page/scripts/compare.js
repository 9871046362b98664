// Any two strategies, cell by cell. Python compared all pairs; what is drawn per restart is the scores themselves.

function comparison(cells) {
  const {section, a, b} = chosen;
  const form = html.form({class: "pair"}, strategyChooser("This", "a"), strategyChooser("minus that", "b"));
  if (a === b) return [form, html.p("Choose two different strategies.")];
  const found = cells.map(cell => ({cell, pair: pairOf(section, cell, a, b)})).filter(line => line.pair);
  if (!found.length) return [form, html.p("Here the two make the same predictions, or share no restart with results.")];
  const said = html.p({class: "result", role: "status"}, sentence(found[0]));
  return [form, said, html.div({class: "halves"}, differencePlot(found), differenceTable(found))];
}

// The comparison of a with b in a cell; a pair is stored once, in the order of the strategies.
function pairOf(section, cell, a, b) {
  const [first, second] = [a, b].map(label => {
    const row = rowOf(section, cell, label);
    return row && (row.same_as ?? row.strategy);
  });
  const pair = cell.pairs.get(`${first} ${second}`);
  if (pair) return pair;
  const other = cell.pairs.get(`${second} ${first}`);
  if (!other) return null;
  const bounds = isNumber(other.low) ? {low: -other.high, high: -other.low} : {};
  return {...other, ...bounds, difference: -other.difference, wins: other.losses, losses: other.wins};
}

function differenceTable(found) {
  const {a, b} = chosen;
  const columns = [
    textColumn("Cell", ({cell}) => nameOf(cell)),
    numberColumn("n", ({pair}) => pair.restarts, String, FALLING),
    numberColumn("Difference", ({pair}) => pair.difference, (_, {pair}) => differenceOf(pair), FALLING),
    numberColumn("Better on", ({pair}) => pair.wins, (wins, {pair}) => `${wins} of ${pair.restarts}`, FALLING),
    numberColumn("p", ({pair}) => pair.p, p => (isNumber(p) ? pValue(p) : "too few")),
    numberColumn("p (Holm)", ({pair}) => pair.p_holm, (_, {pair}) => holm(pair)),
  ];
  return sortableTable({name: "pairs", caption: `${a} minus ${b}, paired by restart`, columns, parts: [{rows: found}]});
}

function sentence({cell, pair}) {
  const {a, b} = chosen;
  const range = isNumber(pair.low) ? `, 95 % interval ${interval(pair.low, pair.high, bound)}` : "";
  const gain = `${signed(pair.difference)} points against ${b} over ${plural(pair.restarts, "shared restart")}`;
  const lead = `On ${nameOf(cell)}, ${a} scores ${gain}${range}.`;
  if (!isNumber(pair.p)) return `${lead} Too few restarts to test (${board.minimum_units}, each on its own split).`;
  const values = `p = ${pValue(pair.p)}, ${pValue(pair.p_holm)} after Holm over all pairs of the cell`;
  return `${lead} ${pair.significant ? "Significantly different" : "Not significantly different"} (${values}).`;
}

function differencePlot(found) {
  const items = found.map(({cell, pair}) => {
    const {difference: value, low, high} = pair;
    const runs = sharedScores(cell).map(({restart, own, other}) => ({
      value: own - other,
      title: `restart ${restart}: ${points(own)} and ${points(other)}`,
      hollow: true,
    }));
    return {name: nameOf(cell), value, low, high, title: `mean ${signed(value)}`, runs};
  });
  return intervalChart({
    title: `${chosen.a} minus ${chosen.b}`,
    text: "One ring per restart, around their mean and its 95 % interval. Right of 0 the first one is better.",
    items,
    axis: "difference (points)",
    print: signed,
    line: {at: 0, style: "zero"},
  });
}

// The scores of both strategies on each restart that both have a result of.
function sharedScores(cell) {
  const keyOf = trial => `${trial.restart} ${trial.split_seed}`;
  const [own, others] = [chosen.a, chosen.b].map(label => rowOf(chosen.section, cell, label).trials.filter(hasScore));
  const scores = new Map(others.map(trial => [keyOf(trial), trial.score]));
  return own
    .filter(trial => scores.has(keyOf(trial)))
    .map(trial => ({restart: trial.restart, own: trial.score, other: scores.get(keyOf(trial))}));
}

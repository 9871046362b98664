// Any two strategies, cell by cell. Python compared all pairs; what is drawn per restart is the scores themselves.

function comparison(cells) {
  const {a, b} = chosen;
  const form = html.form({class: "pair"}, strategyChooser("This", "a"), strategyChooser("minus that", "b"));
  if (a === b) return [form, html.p("Choose two different strategies.")];
  const found = cells.map(cell => ({cell, pair: pairOf(cell, a, b)})).filter(line => line.pair);
  if (!found.length) return [form, html.p("Here the two make the same predictions, or share no restart with results.")];
  const said = html.p({class: "result", role: "status"}, sentence(found[0]));
  return [form, said, html.div({class: "halves"}, differencePlot(found), differenceTable(found))];
}

// The comparison of a with b in a cell; a pair is stored once, in the order of the strategies.
function pairOf(cell, a, b) {
  const labels = [a, b].map(label => rowOf(cell, label)?.same_as ?? label);
  const pair = cell.pairs.get(JSON.stringify(labels));
  if (pair) return pair;
  const other = cell.pairs.get(JSON.stringify(labels.toReversed()));
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
  return `${lead} ${isSignificant(pair) ? "Significantly different" : "Not significantly different"} (${values}).`;
}

function differencePlot(found) {
  const items = found.map(({cell, pair: {difference: value, low, high}}) => {
    const [own, others] = [chosen.a, chosen.b].map(label => scoresOf(rowOf(cell, label)));
    const runs = [...own.keys()].filter(restart => others.has(restart)).map(restart => {
      const [score, other] = [own.get(restart), others.get(restart)];
      return {value: score - other, title: `restart ${restart}: ${points(score)} and ${points(other)}`, hollow: true};
    });
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

const scoresOf = row =>
  new Map(row.trials.filter(hasScore).map(trial => [`${trial.restart}, split ${trial.split_seed}`, trial.score]));

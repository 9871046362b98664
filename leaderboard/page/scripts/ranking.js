// Strategies over all tasks: their mean ranks, and the critical-difference diagram.

function rankingView() {
  const {ranking, baseline} = chosen.section;
  if (!ranking.strategies.length) return html.p("No strategy is ranked in all cells.");
  return [rankingTable(ranking, baseline), rankPlot(ranking)];
}

function rankingTable({strategies, short, cells, reference, names}, baseline) {
  const rankOf = (value, row) => withInterval(rank(value), row.rank_low, row.rank_high, rank);
  const columns = [
    strategyColumn,
    numberColumn("Rank", row => row.rank, (_, row) => row.place),
    numberColumn("Mean rank", row => row.mean_rank, rankOf),
    chosen.section.budget && numberColumn("Untuned", row => row.untuned?.mean_rank, rank),
    numberColumn("Best in", row => row.wins, (wins, row) => orDash(() => `${wins} of ${cells}`)(row.rank), FALLING),
    beatenColumn(names[0], baseline, "pooled"),
    beatenColumn(names[1], reference, "reference"),
    numberColumn("Failed", row => row.failed / row.restarts, (_, row) => failedOf(row)),
    "relative_seconds" in strategies[0] && numberColumn("Time", row => row.relative_seconds, times),
  ].filter(Boolean);
  return sortableTable({
    name: "ranking",
    caption: `All ${plural(cells, "cell")}`,
    columns,
    parts: [strategies, short].map((rows, at) => ({title: board.groups[at], rows})),
    sorting: {title: "Mean rank", falling: false},
  });
}

// How often a strategy beats one that others are compared with, over all cells, and the corrected p-value of that.
function beatenColumn(name, other, key) {
  const better = ({strategy, [key]: {improvement, low, high, p_holm}}) => {
    if (!isNumber(improvement)) return strategy === other ? "itself" : "–";
    return [percent(improvement), " ", html.small(`${interval(low, high, share)} p ${holm({p_holm})}`)];
  };
  return other && numberColumn(`Beats ${name}`, row => row[key].improvement, (_, row) => better(row), FALLING);
}

// Mean ranks, and bars over strategies of which no two are significantly different.
function rankPlot(ranking) {
  const {strategies, groups, reading} = ranking;
  if (strategies.length < 2) return null;
  const places = strategies.map(({strategy, mean_rank: value, rank_low: low, rank_high: high}) => {
    return {strategy, name: strategy, value, low, high, title: `mean rank ${rank(value)} ${interval(low, high, rank)}`};
  });
  const joined = groups.map((group, at) => {
    const members = strategies.filter(entry => group.includes(entry.strategy));
    const ranks = members.map(entry => entry.mean_rank);
    const runs = members.map(entry => ({value: entry.mean_rank, title: entry.strategy}));
    return {name: `group ${at + 1}`, low: Math.min(...ranks), high: Math.max(...ranks), runs};
  });
  return intervalChart({
    title: "Critical-difference diagram",
    text: reading,
    items: [...places, ...joined],
    axis: "mean rank (1 is best)",
    print: value => (Number.isInteger(value) ? String(value) : ""),
  });
}

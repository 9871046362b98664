// Strategies over all tasks: their mean ranks, and the critical-difference diagram.

function rankingView() {
  const {ranking, baseline} = chosen.section;
  const {strategies, short, unranked} = ranking;
  const inTable = new Set([...strategies, ...short].flatMap(row => [row.strategy, ...row.same]));
  const lines = unranked
    .filter(({strategy}) => !inTable.has(strategy))
    .map(({strategy, reason}) => `Not ranked: ${strategy} (${reason})`);
  if (!strategies.length) return [html.p("No strategy is ranked in all cells."), bullets(lines)];
  return [rankingTable(ranking, baseline), lines.length ? bullets(lines) : null, rankPlot(ranking)];
}

function rankingTable({strategies, short, cells}, baseline) {
  const index = row => indexOf(chosen.section, row.strategy);
  const better = row =>
    row.strategy === baseline ? "baseline" : withInterval(percent(row.improvement), row.low, row.high, String);
  const columns = [
    textColumn("Strategy", row => row.strategy, row => namedStrategy(index(row))),
    numberColumn("Mean rank", row => row.mean_rank, rank),
    numberColumn("Best in", row => row.wins, (wins, row) => orDash(() => `${wins} of ${cells}`)(row.rank), FALLING),
    numberColumn("P(better)", row => row.improvement, (_, row) => better(row), FALLING),
    numberColumn("p (Holm)", row => row.p_holm, (_, row) => orDash(() => holm(row))(row.improvement)),
    numberColumn("Failed", row => row.failed / row.restarts, (_, row) => failedOf(row)),
    "relative_seconds" in strategies[0] && numberColumn("Time", row => row.relative_seconds, times),
  ].filter(Boolean);
  return sortableTable({
    name: "ranking",
    caption: `All ${plural(cells, "cell")}`,
    columns,
    parts: [
      {title: GROUPS[0].title, rows: strategies},
      {title: GROUPS[1].title, rows: short},
    ],
    sorting: {title: "Mean rank", falling: false},
    indexOf: index,
  });
}

// Mean ranks, and bars over strategies of which no two are significantly different.
function rankPlot(ranking) {
  const {strategies, groups, groups_test: test, tasks, critical_difference: critical} = ranking;
  if (strategies.length < 2) return null;
  const places = strategies.map(({strategy: name, mean_rank: value}) => {
    return {strategy: indexOf(chosen.section, name), name, value, title: `mean rank ${rank(value)}`};
  });
  const joined = groups.map((group, at) => {
    const members = strategies.filter(entry => group.includes(entry.strategy));
    const ranks = members.map(entry => entry.mean_rank);
    const runs = members.map(entry => ({value: entry.mean_rank, title: entry.strategy}));
    return {name: `group ${at + 1}`, low: Math.min(...ranks), high: Math.max(...ranks), runs};
  });
  const paired = "paired sign flips over all cells, Holm over all pairs, p < 0.05";
  const ranks = "Nemenyi's test of the mean ranks, p < 0.05, because there are too few restarts for a paired one";
  const alone = `Mean ranks alone, over ${plural(tasks, "task")}, would have to differ by ${rank(critical)} (Nemenyi).`;
  const within = "Within a group no two strategies are significantly different";
  const said = groups.length ? within : "All pairs are significantly different";
  return intervalChart({
    title: "Critical-difference diagram",
    text: `${said} (${test === "sign flip" ? paired : ranks}). ${critical <= strategies.length - 1 ? alone : ""}`,
    items: [...places, ...joined],
    axis: "mean rank (1 is best)",
    print: value => (Number.isInteger(value) ? String(value) : ""),
  });
}

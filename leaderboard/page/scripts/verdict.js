// The first screen: what was run, and what it comes to over all tasks.

function facts() {
  const {section} = chosen;
  const {protocol, ranking, budget} = section;
  const selection = protocol.selection === "best_dev" ? "best epoch on dev" : "last epoch";
  const tasks = tasksOf(section).map(task => task.title);
  const differs = Object.entries(section.differs).map(([key, value]) => `, ${key} ${value}`);
  const text = [
    `${section.model} on ${tasks.join(", ")} at ${[...sizesOf(section).values()].join(", ")} of the training data.`,
    `Protocol ${protocol.name}${differs.join("")}: ${selection}, ${protocol.precision}, ${protocol.data} data.`,
    budget ? `Every family is tuned over ${budget} configurations, chosen by labels held out for it.` : "",
    ranking.units ? `Tests count ${ranking.units} independent restarts or splits.` : "",
    section.baseline ? `Baseline: ${section.baseline}.` : "No baseline.",
    section.cells.some(cell => cell.synthetic) ? "Tasks named pocket-* are synthetic, not GLUE." : "",
    board.problems ? `${plural(board.problems, "file")} could not be used.` : "",
  ];
  return text.filter(Boolean).join(" ");
}

function verdict() {
  const {section} = chosen;
  const [first, ...more] = section.verdict;
  const words = html.div(
    html.h2({id: "verdict-title"}, "Over all tasks"),
    html.p({class: "result"}, first),
    more.map(text => html.p(text)),
    html.p({class: "state"}, undertrained(section)),
  );
  return html.div({class: "halves"}, words, forestPlot(section));
}

function undertrained(section) {
  const weak = section.cells.filter(cell => cell.undertrained).map(nameOf);
  return weak.length ? `Undertrained, so that means rank speed and not generalization: ${listed(weak)}.` : "";
}

// How often every strategy beats the baseline, over all cells.
function forestPlot({ranking, baseline}) {
  const picked = [chosen.a, chosen.b, chosen.strategy, "none"];
  const items = [...ranking.strategies, ...ranking.short]
    .filter(entry => isNumber(entry.improvement) && entry.strategy !== baseline)
    .toSorted((a, b) => isNumber(b.rank) - isNumber(a.rank) || b.improvement - a.improvement)
    .filter((entry, at) => at < SHOWN || picked.includes(entry.strategy))
    .map(forestItem);
  if (!items.length) return null;
  const text =
    `Restarts on which a strategy beats ${baseline}, mean over ${plural(ranking.cells, "cell")} with 95 % interval; ` +
    `right of 50 % is better. Hollow: not ranked, for want of restarts. At most ${SHOWN} and those you picked.`;
  const axis = "P(better than the baseline)";
  const line = {at: 50, style: "zero"};
  return intervalChart({title: "Better than the baseline?", text, items, axis, print: percent, line});
}

function forestItem({strategy: label, rank: place, improvement: value, low, high, significant}) {
  const said = `${percent(value)} ${interval(low, high, percent)}${significant ? ", significant" : ""}`;
  const strategy = indexOf(chosen.section, label);
  return {strategy, name: label, value, low, high, title: said, hollow: !isNumber(place)};
}

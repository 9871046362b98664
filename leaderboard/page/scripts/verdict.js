// The first screen: what was run, and what it comes to over all tasks.

const ALSO = 2; // of many other sections so many are told; the picker has all

function facts() {
  return [`${saidOf(chosen.section.facts)}.`, ...board.notes].join(" ");
}

function verdict() {
  const {section} = chosen;
  const words = html.div(
    html.h2({id: "verdict-title"}, section.heading),
    section.verdict.map((text, at) => html.p({class: at ? null : "result"}, text)),
    bullets(section.notes, {class: "differences"}),
    board.sections.filter(other => other !== section).slice(0, ALSO).map(alsoOnThisBoard),
  );
  return html.div({class: "halves"}, words, forestPlot(section));
}

// What another section comes to, which its heading opens.
function alsoOnThisBoard(section) {
  const click = () => change(firstChoice(section));
  const name = html.button({type: "button", class: "link", click}, section.heading);
  return html.div({class: "also"}, html.h3(name), html.p(section.verdict[0]));
}

// How often every strategy beats the baseline, over all cells.
function forestPlot({ranking, baseline, budget}) {
  const picked = [chosen.a, chosen.b, chosen.strategy, "none"];
  const items = [...ranking.strategies, ...ranking.short]
    .filter(entry => isNumber(entry.pooled.improvement))
    .toSorted((a, b) => isNumber(b.rank) - isNumber(a.rank) || b.pooled.improvement - a.pooled.improvement)
    .filter((entry, at) => at < SHOWN || picked.includes(entry.strategy))
    .map(forestItem);
  if (!items.length) return null;
  const hollow = budget ? "Small and hollow: without tuning." : "Hollow: not ranked, for want of restarts.";
  const text =
    `Restarts on which a strategy beats ${baseline}, mean over ${plural(ranking.cells, "cell")} with 95 % interval; ` +
    `right of 50 % is better. ${hollow} At most ${SHOWN} and those you picked.`;
  const title = `Better than ${ranking.names[0]}?`;
  return intervalChart({title, text, items, axis: "restarts won", print: percent, line: {at: 0.5, style: "zero"}});
}

function forestItem({strategy, rank: place, pooled, untuned}) {
  const {improvement: value, low, high} = pooled;
  const title = `${percent(value)} ${interval(low, high, percent)}${isSignificant(pooled) ? ", significant" : ""}`;
  const plain = untuned?.pooled.improvement;
  const runs = isNumber(plain) ? [{value: plain, title: `without tuning ${percent(plain)}`, hollow: true}] : [];
  return {strategy, name: strategy, value, low, high, title, hollow: !isNumber(place), runs};
}

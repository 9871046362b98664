// What a reader wants first: the best strategy, by how much, whether that is distinguishable, failures and cost.

function answer(cell, section, data, pick) {
  const ranked = cell.rows.filter(row => row.ranked),
    title = element("h2", {id: "answer-title"}, `Best on ${nameOf(cell)}`);
  if (!ranked.length) return [title, element("p", {}, "No strategy is complete here, so nothing can be ranked yet.")];
  const top = Math.max(...ranked.map(row => row.mean)),
    winners = ranked.filter(row => row.mean === top),
    best = winners[0];
  const tiles = [
    tile(
      "Best mean",
      [pick(best.strategy), winners.length > 1 ? ` (tied with ${winners.length - 1})` : ""],
      `${cell.metric} ${points(best.mean)} ${interval(best.mean_low, best.mean_high)}, ${plural(best.restarts, "restart")}, best run ${points(best.max)}`,
    ),
    ...(best.strategy === section.baseline
      ? overNext(ranked, best, section, data)
      : [tile("Over the baseline", ...gain(best, section)), tile("Distinguishable?", ...verdict(best, section, data))]),
    tile(
      "Fails",
      `${best.failed} of ${best.restarts}`,
      `95 % interval ${interval(best.failure_low, best.failure_high, percentWhole)}${failures(cell, section)}`,
    ),
  ];
  if (isNumber(best.seconds)) tiles.push(tile("Costs", ...cost(best, section)));
  return [title, element("dl", {class: "tiles"}, tiles), element("p", {class: "rivals"}, rivals(ranked, winners, data))];
}

// The best mean is chosen after the fact; what cannot be told from it stands in its tier.
function rivals(ranked, winners, data) {
  const [best] = winners,
    others = ranked.filter(row => !winners.includes(row));
  if (!others.length) return "";
  if (!isNumber(best.tier))
    return `Whether the others can be told from the best was not tested: ${untested(best, ranked, data)}.`;
  const near = others.filter(row => row.tier === best.tier).map(row => row.strategy);
  return near.length
    ? `Of the other ${others.length} ranked, ${near.length} cannot be told from the best (tier 1): ${near.join("; ")}.`
    : `All other ${others.length} ranked can be told from the best.`;
}

function untested(best, ranked, data) {
  const restarts = plural(best.restarts, "restart");
  return best.units < data.minimum_units
    ? `${restarts}, ${data.minimum_units} are needed`
    : `${ranked.length} strategies make more pairs than ${restarts} can tell apart`;
}

const percentWhole = share => `${Math.round(100 * share)} %`;
const tile = (name, value, detail) =>
  element(
    "div",
    {},
    element("dt", {}, name),
    element("dd", {}, element("strong", {}, value), element("span", {}, detail)),
  );

function cost(row, section) {
  const peak = `peak ${megabytes(row.peak_memory)}`;
  if (row.strategy === section.baseline || !isNumber(row.relative_seconds))
    return [`${seconds(row.seconds)} a trial`, `wall-clock; ${peak}`];
  return [`${times(row.relative_seconds)} the baseline`, `${seconds(row.seconds)} a trial, wall-clock; ${peak}`];
}

function gain(row, section) {
  const found = row.comparison;
  return found
    ? [
        `${signed(found.difference)} points`,
        `${interval(found.low, found.high, bound)} against ${section.baseline}, same restarts`,
      ]
    : ["–", "the baseline is not complete here"];
}

function verdict(row, section, data) {
  const found = row.comparison;
  if (!found) return ["–", "the baseline is not complete here"];
  if (found.too_few)
    return ["too few to test", `${plural(found.restarts, "restart")}; a test needs ${data.minimum_units}`];
  const text = `from the baseline; p = ${pValue(found.p_holm)} corrected for the whole table (${pValue(found.p)} alone)`;
  return [found.p_holm < data.alpha ? "yes" : "no", text];
}

// The baseline is best: what is told is how far the next one lies behind it.
function overNext(ranked, best, section, data) {
  const others = ranked.filter(row => row !== best);
  if (!others.length) return [tile("Over the others", "–", "it is the baseline, and nothing else is complete here")];
  const next = others.reduce((a, b) => (b.mean > a.mean ? b : a)),
    found = next.comparison;
  return [
    tile(
      "Over the next",
      `${signed(-found.difference)} points`,
      `${interval(-found.high, -found.low, bound)} against ${next.strategy}, same restarts; the best is the baseline itself`,
    ),
    tile(
      "Distinguishable?",
      ...verdict(next, section, data).map(text => text.replace("from the baseline", "from the next one")),
    ),
  ];
}

function failures(cell, section) {
  const base = cell.rows.find(row => row.strategy === section.baseline);
  return base ? `; baseline ${base.failed} of ${base.restarts}` : "";
}

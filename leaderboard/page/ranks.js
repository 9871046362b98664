// The critical-difference diagram: mean ranks, and bars over strategies of which no two can be told apart.

const BAR = 16;
const ABOUT_TIERS =
  "Tiers and bars correct over all pairs of strategies, p only over those with the baseline: a strategy can be told from the baseline (p) and still share its tier.";

function rankPlot(ranking, styleOf) {
  const {strategies: places, groups, tasks, critical_difference: critical} = ranking;
  if (places.length < 2) return null;
  const bars = 14 + places.length * ROW,
    bottom = bars + groups.length * BAR + 6;
  const x = scale([1, places.length], LEFT + 12, WIDTH - RIGHT - 12, 0.04);
  const rows = places.map((place, index) => {
    const y = strip(index),
      at = x(place.mean_rank),
      style = styleOf(place.strategy);
    return svg(
      "g",
      {},
      svg("line", {class: "guide", x1: at, x2: at, y1: y, y2: bottom - 4}),
      mark(at, y, style, `${place.strategy}: mean rank ${place.mean_rank.toFixed(2)}`, 6),
      svg("text", {class: "value", ...besideOf(at, y)}, place.mean_rank.toFixed(2)),
    );
  });
  const joined = groups.map((group, number) => {
    const members = places.filter(place => group.includes(place.strategy)).map(place => x(place.mean_rank)),
      y = bars + (number + 0.5) * BAR;
    return svg(
      "g",
      {},
      svg("title", {}, `not told apart: ${group.join("; ")}`),
      svg("line", {class: "group", x1: Math.min(...members), x2: Math.max(...members), y1: y, y2: y}),
      members.map(at => svg("circle", {class: "member", cx: at, cy: y, r: 4})),
    );
  });
  const ruler = critical <= places.length - 1 ? rulerOf(x, critical, bottom + 54) : null;
  const drawing = canvas(
    bottom + (ruler ? 80 : 46),
    bottomAxis(x, 6, bottom, "mean rank (1 is best)", value => (Number.isInteger(value) ? String(value) : "")),
    rowNames(places, styleOf),
    rows,
    joined,
    ruler,
  );
  const made = figure("Which can be told apart, over all tasks", rankText(ranking), drawing);
  made.querySelector("desc").append(` ${rankList(ranking)}`);
  return made;

  function rulerOf(at, length, y) {
    const from = at(1),
      to = at(1 + length);
    return svg(
      "g",
      {},
      svg("line", {class: "mean", x1: from, x2: to, y1: y, y2: y}),
      svg(
        "text",
        {class: "tick", x: from, y: y + 16},
        `critical difference of ranks alone: ${length.toFixed(2)} (${plural(tasks, "task")})`,
      ),
    );
  }
}

// Where a number stands beside a mark: on its right, or on its left where there is no room.
const besideOf = (x, y) =>
  x < 0.8 * WIDTH ? {x: x + 11, y: y + 5, "text-anchor": "start"} : {x: x - 11, y: y + 5, "text-anchor": "end"};

function rankText({strategies: places, groups, groups_test: test, tasks, critical_difference: critical}) {
  const paired = "paired sign flips over all cells, Holm over all pairs, p < 0.05";
  const ranks = "Nemenyi's test of the mean ranks, p < 0.05, because there are too few restarts for a paired one";
  const how = test === "sign flip" ? paired : ranks;
  const said = groups.length
    ? "A bar at the bottom joins strategies of which no two can be told apart"
    : "Every pair can be told apart";
  if (test !== "sign flip") return `${said} (${how}).`;
  const alone =
    critical <= places.length - 1
      ? ` Ranks alone, over ${plural(tasks, "task")}, would need ${critical.toFixed(2)} between two (Nemenyi).`
      : "";
  return `${said} (${how}). ${ABOUT_TIERS}${alone}`;
}

const rankList = ({strategies: places, groups}) =>
  [
    `Mean ranks: ${places.map(place => `${place.strategy} ${place.mean_rank.toFixed(2)}`).join("; ")}.`,
    ...groups.map(group => `Not told apart: ${group.join("; ")}.`),
  ].join(" ");

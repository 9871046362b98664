// The charts. The tables say the same in numbers.

function stripPlot(cell, rows, styleOf) {
  const scored = rows.map(row => row.trials.filter(hasScore)),
    all = scored.flat().map(trial => trial.score);
  if (!all.length) return null;
  const floors = new Set(cell.rows.flatMap(row => row.trials.filter(hasScore).map(trial => trial.floor)));
  const [floor] = floors, // pooled dev sets differ by restart and have no single one
    bottom = 14 + rows.length * ROW;
  const floorShown =
    floors.size === 1 &&
    (floor > Math.min(...all) - 0.6 * (Math.max(...all) - Math.min(...all)) ||
      scored.flat().some(trial => trial.failed));
  const floorSaid =
    floors.size > 1
      ? "The best constant prediction differs by restart."
      : `${floorShown ? "Dashed: the" : "Far below: the"} best constant prediction (${points(floor)}).`;
  const x = scale(
    [...all, ...(floorShown ? [floor] : []), ...rows.flatMap(row => [row.mean_low, row.mean_high]).filter(isNumber)],
    LEFT + 8,
    WIDTH - RIGHT - 8,
    0.03,
  );
  const strips = rows.map((row, index) => {
    const y = strip(index),
      style = styleOf(row.strategy);
    return svg(
      "g",
      {},
      isNumber(row.mean_low)
        ? svg(
            "rect",
            {
              class: `band c${style.colour}`,
              x: x(row.mean_low),
              width: Math.max(1, x(row.mean_high) - x(row.mean_low)),
              y: y - 9,
              height: 18,
              rx: 3,
            },
            svg("title", {}, `mean ${points(row.mean)} ${interval(row.mean_low, row.mean_high)}`),
          )
        : null,
      scored[index].map((trial, at) =>
        mark(
          x(trial.score),
          y + 3 * ((at % 3) - 1),
          style,
          `restart ${trial.restart}: ${points(trial.score)}${trial.failed ? `, failed (${trial.failed_by})` : ""}`,
          4,
          trial.failed,
        ),
      ),
      isNumber(row.mean)
        ? svg("line", {class: "mean", x1: x(row.mean), x2: x(row.mean), y1: y - 11, y2: y + 11})
        : null,
    );
  });
  const text = `One mark per restart, hollow where the run failed; line and band: mean and its 95 % interval. ${floorSaid}`;
  return figure(
    `All restarts: ${nameOf(cell)}`,
    text,
    canvas(
      bottom + 46,
      bottomAxis(x, 6, bottom, `${cell.metric} × 100`, value => points(value)),
      floorShown && svg("line", {class: "floor", x1: x(floor), x2: x(floor), y1: 6, y2: bottom}),
      strips,
      rowNames(rows, styleOf),
    ),
  );
}

function failurePlot(cell, rows, styleOf) {
  const bottom = 14 + rows.length * ROW,
    x = scale([0, 1], LEFT + 8, WIDTH - RIGHT - 44, 0);
  const bars = rows
    .filter(row => row.restarts)
    .map(row => {
      const y = strip(rows.indexOf(row)),
        style = styleOf(row.strategy);
      return svg(
        "g",
        {},
        svg("line", {class: "track", x1: x(0), x2: x(1), y1: y, y2: y}),
        svg("line", {class: "whisker", x1: x(row.failure_low), x2: x(row.failure_high), y1: y, y2: y}),
        mark(
          x(row.failure_rate),
          y,
          style,
          `${row.failed} of ${row.restarts} failed ${interval(row.failure_low, row.failure_high, percent)}`,
          5.5,
        ),
        svg(
          "text",
          {class: "value", x: WIDTH - RIGHT, y: y + 5, "text-anchor": "end"},
          `${row.failed}/${row.restarts}`,
        ),
      );
    });
  return figure(
    `How often it fails: ${nameOf(cell)}`,
    "Share of failed runs with Wilson's 95 % interval.",
    canvas(bottom + 46, bottomAxis(x, 6, bottom, "failed runs", percent), bars, rowNames(rows, styleOf)),
  );
}

function costPlot(cell, rows, styleOf) {
  const shown = rows.filter(row => isNumber(row.seconds) && isNumber(row.mean));
  if (!shown.length) return null;
  const ratios = shown.every(row => isNumber(row.relative_seconds)),
    costOf = row => (ratios ? row.relative_seconds : row.seconds);
  const top = 12,
    bottom = 250;
  const x = scale(shown.map(costOf), 62, WIDTH - RIGHT - 10, 0.1),
    y = scale(
      shown.map(row => row.mean),
      bottom - 8,
      top + 8,
      0.1,
    );
  const beats = (a, b) => costOf(a) <= costOf(b) && a.mean >= b.mean && (costOf(a) < costOf(b) || a.mean > b.mean);
  const ranked = shown.filter(row => row.ranked),
    best = ranked.filter(row => !ranked.some(other => beats(other, row))).sort((a, b) => costOf(a) - costOf(b));
  const line = best.map((row, index) => `${index ? "L" : "M"}${x(costOf(row))} ${y(row.mean)}`).join("");
  const grid = ticks(y.low, y.high).map(value =>
    svg(
      "g",
      {},
      svg("line", {class: "grid", x1: 54, x2: WIDTH - RIGHT, y1: y(value), y2: y(value)}),
      svg("text", {class: "tick", x: 48, y: y(value) + 4, "text-anchor": "end"}, points(value)),
    ),
  );
  const unit = ratios ? "time of a trial, the baseline's = 1" : "seconds per trial";
  const text = [
    `Mean ${cell.metric} against the ${ratios ? "time of a trial as a ratio to the baseline's on the same restarts" : "wall-clock seconds of a trial"}. Wall-clock under the load of that moment: rows that ran at another time (often those planned with fewer restarts) are not comparable.`,
    best.length
      ? `The line joins the ranked strategies that no other beats in both: ${best.map(row => row.strategy).join("; ")}.`
      : "",
    ranked.length < shown.length ? "Hollow: not ranked." : "",
  ];
  const drawing = canvas(
    bottom + 46,
    bottomAxis(x, top, bottom, unit, value => String(Number(value.toPrecision(3)))),
    grid,
    svg("path", {class: "front", d: line}),
    shown.map(row =>
      mark(
        x(costOf(row)),
        y(row.mean),
        styleOf(row.strategy),
        `${row.strategy}: ${points(row.mean)} in ${seconds(row.seconds)}`,
        6,
        !row.ranked,
      ),
    ),
  );
  const made = figure(`What it costs: ${nameOf(cell)}`, text.filter(Boolean).join(" "), drawing);
  made.append(
    legend(
      shown.map(row => row.strategy),
      styleOf,
    ),
  );
  return made;
}

function paucityPlot(cells, strategies, styleOf) {
  const top = 12,
    bottom = 250,
    ordered = [...cells].sort((a, b) => a.fraction - b.fraction);
  const lines = strategies
    .map(strategy => [
      strategy,
      ordered
        .map(cell => [cell, cell.rows.find(row => row.strategy === strategy)])
        .filter(([, row]) => row && row.ranked),
    ])
    .filter(([, seen]) => seen.length);
  if (!lines.length) return null;
  const x = scale(
      ordered.map(cell => Math.log(cell.fraction)),
      62,
      WIDTH - RIGHT - 10,
    ),
    y = scale(
      lines.flatMap(([, seen]) => seen.map(([, row]) => row.mean)),
      bottom - 8,
      top + 8,
    );
  const grid = ticks(y.low, y.high).map(value =>
    svg(
      "g",
      {},
      svg("line", {class: "grid", x1: 54, x2: WIDTH - RIGHT, y1: y(value), y2: y(value)}),
      svg("text", {class: "tick", x: 48, y: y(value) + 4, "text-anchor": "end"}, points(value)),
    ),
  );
  const shares = ordered.map(cell =>
    svg(
      "text",
      {class: "tick", x: x(Math.log(cell.fraction)), y: bottom + 18, "text-anchor": "middle"},
      percent(cell.fraction),
    ),
  );
  const curves = lines.map(([strategy, seen]) =>
    svg(
      "g",
      {},
      svg("path", {
        class: `curve c${styleOf(strategy).colour}`,
        d: seen
          .map(([cell, row], index) => `${index ? "L" : "M"}${x(Math.log(cell.fraction))} ${y(row.mean)}`)
          .join(""),
      }),
      seen.map(([cell, row]) =>
        mark(
          x(Math.log(cell.fraction)),
          y(row.mean),
          styleOf(strategy),
          `${strategy}, ${percent(cell.fraction)}: ${points(row.mean)} ${interval(row.mean_low, row.mean_high)}`,
          5,
        ),
      ),
    ),
  );
  const made = figure(
    `With less and less data: ${ordered[0].task}`,
    `Mean ${ordered[0].metric} against the share of the training data (logarithmic).`,
    canvas(
      bottom + 46,
      grid,
      shares,
      svg("text", {class: "axis", x: WIDTH / 2, y: bottom + 38, "text-anchor": "middle"}, "share of the training data"),
      curves,
    ),
  );
  made.append(
    legend(
      lines.map(([strategy]) => strategy),
      styleOf,
    ),
  );
  return made;
}

// Forest plot of paired differences: `lines` are {name, found} with what pairRows returns.
function differencePlot(lines, title, text) {
  const bottom = 14 + lines.length * ROW;
  const x = scale(
    [0, ...lines.flatMap(({found}) => [...found.differences, ...(found.interval ?? [])])],
    LEFT + 8,
    WIDTH - RIGHT - 8,
    0.03,
  );
  const style = {shape: "circle", colour: 0};
  const rows = lines.map(({name, found}, index) => {
    const y = strip(index);
    return svg(
      "g",
      {},
      svg("text", {class: "name", x: LEFT, y: rowTop(index) + 13}, name),
      found.interval
        ? svg("line", {class: "whisker", x1: x(found.interval[0]), x2: x(found.interval[1]), y1: y, y2: y})
        : null,
      found.pairs.map(([trial], at) =>
        mark(
          x(found.differences[at]),
          y + 3 * ((at % 3) - 1),
          style,
          `restart ${trial.restart}: ${signed(found.differences[at])}`,
          3,
          true,
        ),
      ),
      mark(x(found.difference), y, {shape: "diamond", colour: 0}, `mean ${signed(found.difference)}`, 6),
    );
  });
  return figure(
    title,
    text,
    canvas(
      bottom + 46,
      bottomAxis(x, 6, bottom, "difference (points)", signed),
      svg("line", {class: "zero", x1: x(0), x2: x(0), y1: 6, y2: bottom}),
      rows,
    ),
  );
}

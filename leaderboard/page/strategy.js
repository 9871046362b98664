// One strategy: what it is, what it touches, and all its trials.

function strategyView(label, section, methods, records, select) {
  const about = section.strategies.find(item => item.label === label),
    terms = Object.hasOwn(methods, about.strategy) ? methods[about.strategy] : null;
  const names = section.strategies.map(item => [item.label, item.label]);
  return [
    element("form", {class: "pair"}, choice("Strategy", "strategy", names, label, select)),
    ...(terms
      ? terms.map(termView)
      : [element("p", {class: "hint"}, "No description lies beside these records (methods.json).")]),
    ...touchedView(about.touched),
    about.fisher ? element("p", {}, `Fisher scores: ${JSON.stringify(about.fisher)}`) : null,
    trialsView(label, section, records),
  ].filter(Boolean);
}

function termView(term) {
  const lines = [
    [
      "Settings",
      Object.entries(term.settings)
        .map(([name, value]) => `${name} = ${value}`)
        .join(", ") || "none",
    ],
    ["Paper", term.paper || "–"],
    ["Deviations", term.deviations || "none"],
    ["Passes per step", `${term.cost} (forward + backward)`],
  ];
  return element(
    "article",
    {},
    element("h3", {}, term.term),
    element("p", {}, term.summary),
    term.equation ? element("p", {class: "equation"}, term.equation) : null,
    element(
      "dl",
      {},
      lines.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
    ),
  );
}

function touchedView(touched) {
  return Object.entries(touched ?? {}).map(([term, names]) =>
    element(
      "details",
      {},
      element("summary", {}, `${term} touches ${names.length} modules or parameters`),
      element("p", {class: "modules"}, names.join(", ") || "none"),
    ),
  );
}

function trialsView(label, section, records) {
  const rows = section.cells.flatMap(cell =>
    cell.rows.filter(row => row.strategy === label).flatMap(row => row.trials.map(trial => ({cell, trial}))),
  );
  const columns = [
    {
      title: "Record",
      value: ({trial}) => trial.id,
      cell: ({trial}) =>
        records === null
          ? element("code", {}, trial.id)
          : element("a", {href: `${records}${encodeURIComponent(trial.id)}.json`}, trial.id),
    },
    {title: "Task", value: ({cell}) => cell.task, cell: ({cell}) => cell.task},
    {title: "Data", value: ({cell}) => cell.fraction, cell: ({cell}) => percent(cell.fraction), number: true},
    {title: "Restart", value: ({trial}) => trial.restart, cell: ({trial}) => String(trial.restart), number: true},
    {title: "Split", value: ({trial}) => trial.split_seed, cell: ({trial}) => String(trial.split_seed), number: true},
    {
      title: "Score",
      value: ({trial}) => trial.score,
      cell: ({trial}) => points(trial.score),
      number: true,
      falling: true,
    },
    {title: "Ended", value: ({trial}) => ended(trial), cell: ({trial}) => ended(trial)},
    {
      title: "‖w − w_pre‖²",
      value: ({trial}) => trial.deviation,
      cell: ({trial}) => (isNumber(trial.deviation) ? trial.deviation.toPrecision(3) : "–"),
      number: true,
    },
    {title: "Time", value: ({trial}) => trial.seconds ?? null, cell: ({trial}) => seconds(trial.seconds), number: true},
  ];
  return element(
    "details",
    {class: "trials"},
    element("summary", {}, `All ${plural(rows.length, "trial")}`),
    sortableTable(`Trials of ${label}`, columns, rows, {}),
  );
}

const ended = trial =>
  trial.status === "failed"
    ? `failed (${trial.failed_by})`
    : trial.reason
      ? `${trial.status}: ${trial.reason}`
      : trial.status;

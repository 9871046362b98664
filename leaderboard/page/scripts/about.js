// One strategy with all its trials; and the board: what was trained, with what, and how to reuse it.

function strategyView() {
  const about = chosen.section.strategies[indexOf(chosen.strategy)];
  const named = [about.label, about.strategy].find(name => Object.hasOwn(board.methods, name)); // a family, or itself
  const none = hint("These records have no description of it (methods.json).");
  return [
    html.form({class: "pair"}, strategyChooser("Strategy", "strategy")),
    named ? board.methods[named].map(termView) : none,
    Object.entries(about.touched ?? {}).map(([term, names]) => modulesView(term, names)),
    about.fisher && html.p(`Fisher scores: ${JSON.stringify(about.fisher)}`),
    trialsView(),
  ];
}

function definitions(lines) {
  return html.dl(lines.filter(([, value]) => value).map(([name, value]) => [html.dt(name), html.dd(value)]));
}

function termView(term) {
  const settings = Object.entries(term.settings).map(([name, value]) => `${name} = ${value}`);
  return html.article(
    html.h3(term.term),
    html.p(term.summary),
    term.equation && html.p({class: "equation"}, term.equation),
    definitions([
      ["Settings", settings.join(", ") || "none"],
      ["Paper", term.paper || "–"],
      ["Deviations", term.deviations || "none"],
      ["Passes per step", `${term.cost} (forward + backward)`],
    ]),
  );
}

function modulesView(term, names) {
  const summary = html.summary(`${term} acts on ${plural(names.length, "module or parameter tensor")}`);
  return html.details(summary, html.p({class: "modules"}, names.join(", ") || "none"));
}

function trialsView() {
  const {section, strategy} = chosen;
  const trialsOf = cell => rowOf(cell, strategy)?.trials ?? [];
  const rows = section.cells.flatMap(cell => trialsOf(cell).map(trial => ({cell, trial})));
  const columns = [
    textColumn("Record", ({trial}) => trial.id, ({trial}) => recordOf(trial.id)),
    textColumn("Task", ({cell}) => cell.title),
    numberColumn("Data", ({cell}) => cell.fraction, (_, {cell}) => cell.amount),
    numberColumn("Restart", ({trial}) => trial.restart, String),
    numberColumn("Split", ({trial}) => trial.split_seed, String),
    numberColumn("Score", ({trial}) => trial.score, points, FALLING),
    textColumn("Ended", ({trial}) => ended(trial)),
    numberColumn("‖w − w_pre‖²", ({trial}) => trial.deviation, orDash(value => value.toPrecision(3))),
    numberColumn("Time", ({trial}) => trial.seconds, seconds),
  ];
  const table = sortableTable({name: "trials", caption: `Trials of ${strategy}`, columns, parts: [{rows}]});
  return html.details({class: "trials"}, html.summary(`All ${plural(rows.length, "trial")}`), table);
}

function recordOf(id) {
  return board.records === null ? html.code(id) : html.a({href: `${board.records}${encodeURIComponent(id)}.json`}, id);
}

function ended({status, failed_by: cause, reason}) {
  if (status === "failed") return `failed (${cause})`;
  return reason ? `${status}: ${reason}` : status;
}

// --- the board

function aboutBoard() {
  const {facts, protocol, environment} = chosen.section;
  const length = protocol.steps ? `${protocol.steps} steps` : plural(protocol.epochs, "epoch");
  const files = ["leaderboard.csv", "leaderboard.json", "leaderboard.md", "table.tex", board.records];
  return definitions([
    ["Model", facts.model],
    ["Protocol", saidOf(protocol)],
    ["Training", `learning rate ${protocol.lr}, ${length}, batch ${protocol.batch_size ?? "–"}`],
    ["Software", saidOf(environment)],
    ["Downloads", files.filter(isNumber).map(name => [html.a({href: name}, name), " "])],
  ]);
}

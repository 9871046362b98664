// One strategy with all its trials; and the board: what was trained, with what, and how to reuse it.

function strategyView() {
  const about = chosen.section.strategies[indexOf(chosen.section, chosen.strategy)];
  const terms = Object.hasOwn(board.methods, about.strategy) ? board.methods[about.strategy] : null;
  const none = hint("These records have no description of it (methods.json).");
  return [
    html.form({class: "pair"}, strategyChooser("Strategy", "strategy")),
    terms ? terms.map(termView) : none,
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
  const trialsOf = cell => rowOf(section, cell, strategy)?.trials ?? [];
  const rows = section.cells.flatMap(cell => trialsOf(cell).map(trial => ({cell, trial})));
  const details = html.details({class: "trials"}, html.summary(`All ${plural(rows.length, "trial")}`));
  details.addEventListener("toggle", () => details.append(trialsTable(strategy, rows)), {once: true});
  return details;
}

function trialsTable(strategy, rows) {
  const columns = [
    textColumn("Record", ({trial}) => trial.id, ({trial}) => recordOf(trial.id)),
    textColumn("Task", ({cell}) => cell.title),
    numberColumn("Data", ({cell}) => cell.fraction, (_, {cell}) => dataOf(cell)),
    numberColumn("Restart", ({trial}) => trial.restart, String),
    numberColumn("Split", ({trial}) => trial.split_seed, String),
    numberColumn("Score", ({trial}) => trial.score, points, FALLING),
    textColumn("Ended", ({trial}) => ended(trial)),
    numberColumn("‖w − w_pre‖²", ({trial}) => trial.deviation, orDash(String)),
    numberColumn("Time", ({trial}) => trial.seconds, seconds),
  ];
  return sortableTable({name: "trials", caption: `Trials of ${strategy}`, columns, parts: [{rows}]});
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
  const {section} = chosen;
  const {protocol} = section;
  const length = protocol.steps ? `${protocol.steps} steps` : plural(protocol.epochs, "epoch");
  return definitions([
    ["Model", `${section.model} (weights ${section.weights.slice(0, 12)})`],
    ["Protocol", Object.entries(protocol).map(([key, value]) => `${key} ${value}`).join(", ")],
    ["Training", `learning rate ${protocol.lr}, ${length}, batch ${protocol.batch_size ?? "–"}`],
    ["Software", Object.entries(section.environment).map(([name, value]) => `${name} ${value}`).join("; ")],
    ["Downloads", downloads()],
  ]);
}

function downloads() {
  const files = ["leaderboard.csv", "leaderboard.json", "leaderboard.md", "table.tex", board.records];
  return files.filter(isNumber).map(name => [html.a({href: name}, name), " "]);
}

// What the reader has chosen, and drawing the page from it. The choice stands in the address, so it can be shared.

const everything = JSON.parse(document.getElementById("data").textContent);
const data = everything.leaderboard;
const state = {
  section: data.sections[0],
  task: "all",
  fraction: "all",
  technique: "all",
  sorting: {column: "Mean", falling: true},
};

function tasksOf(section) {
  const found = new Map(section.cells.map(cell => [keyOf(cell), cell]));
  const names = [...found.values()].map(cell => cell.task);
  return [...found].map(([key, cell]) => {
    const alone = names.filter(name => name === cell.task).length === 1;
    return {key, label: `${cell.task}${alone ? "" : ` (${cell.metric}, dev set ${cell.data.slice(0, 8)})`}`};
  });
}

const keyOf = cell => `${cell.task} ${cell.metric} ${cell.data.slice(0, 8)}`;
const fractionsOf = section => [...new Set(section.cells.map(cell => cell.fraction))].sort((a, b) => a - b);
const techniquesOf = section => [...new Set(section.strategies.flatMap(item => Object.keys(item.methods)))].sort();

function firstChoice(section) {
  // RTE at 10 % where there is such a cell, else the first
  const task = tasksOf(section).find(item => /^(pocket-)?rte\b/.test(item.key)) ?? tasksOf(section)[0];
  const shares = section.cells.filter(cell => keyOf(cell) === task.key).map(cell => cell.fraction);
  const fraction = shares.includes(0.1) ? 0.1 : shares[0],
    labels = section.strategies.map(item => item.label);
  const best =
    bestOf(section.cells.find(cell => keyOf(cell) === task.key && cell.fraction === fraction))?.strategy ?? labels[0];
  const b = section.baseline ?? labels[0],
    a = best === b ? (labels.find(label => label !== b) ?? b) : best;
  return {
    task: task.key,
    fraction: String(fraction),
    technique: "all",
    a,
    b,
    strategy: best,
    published: section.published[0]?.name ?? "",
  };
}

function change(values) {
  if ("section" in values) {
    const section = data.sections[Number(values.section)];
    Object.assign(state, firstChoice(section), {section});
  } else Object.assign(state, values);
  history.replaceState(null, "", `#${new URLSearchParams(address())}`);
  draw();
}

function address() {
  const {task, fraction, technique, a, b, strategy, published} = state;
  return Object.entries({
    section: String(data.sections.indexOf(state.section)),
    task,
    fraction,
    technique,
    a,
    b,
    strategy,
    published,
  });
}

function readAddress() {
  // a value that does not exist here is ignored
  const given = new URLSearchParams(location.hash.slice(1)),
    section = data.sections[Number(given.get("section") ?? 0)] ?? data.sections[0];
  Object.assign(state, firstChoice(section), {section});
  const labels = section.strategies.map(item => item.label);
  const allowed = {
    task: ["all", ...tasksOf(section).map(task => task.key)],
    fraction: ["all", ...fractionsOf(section).map(String)],
    technique: ["all", ...techniquesOf(section)],
    a: labels,
    b: labels,
    strategy: labels,
    published: section.published.map(table => table.name),
  };
  for (const [key, values] of Object.entries(allowed)) if (values.includes(given.get(key))) state[key] = given.get(key);
}

function draw() {
  WIDTH = narrow.matches ? 340 : 520;
  const {section} = state,
    focused = document.activeElement?.name;
  const cells = section.cells.filter(
    cell =>
      (state.task === "all" || keyOf(cell) === state.task) &&
      (state.fraction === "all" || String(cell.fraction) === state.fraction),
  );
  const ofTechnique = new Set(
    section.strategies
      .filter(item => state.technique === "all" || Object.hasOwn(item.methods, state.technique))
      .map(item => item.label),
  );
  const keep = label => ofTechnique.has(label);
  const order = section.strategies.map(item => item.label);
  const styleOf = label => ({
    colour: order.indexOf(label) % COLOURS,
    shape: SHAPES[(order.indexOf(label) + Math.floor(order.indexOf(label) / COLOURS)) % SHAPES.length],
  });
  const set = key => value => change({[key]: value});
  const pick = label =>
    element(
      "button",
      {
        type: "button",
        class: "link",
        on: {
          click: () => {
            change({strategy: label});
            show("strategy");
          },
        },
      },
      label,
    );

  put("facts", facts(section, data));
  put("controls", ...controls(data, state, change));
  if (!cells.length) {
    put("answer", element("h2", {id: "answer-title"}, "Nothing was run there"));
    for (const id of ["table", "notes", "charts", "compare", "published"]) put(id);
  } else {
    putChanged(
      "answer",
      ...(cells.length === 1 ? answer(cells[0], section, data, pick) : summary(cells, section, data, pick)),
    );
    put("table", strategyTable(cells, keep, section, data, state, pick, styleOf));
    put("notes", ...notes(cells, keep));
    put("charts", ...charts(cells, keep, section, styleOf));
    put("compare", ...comparison(cells, state.a, state.b, section, data, everything.tails, set));
    put("published", ...publishedView(cells, section, state.published, set("published")));
  }
  put("overall", ...overall(section, data, pick, styleOf));
  put(
    "strategy-view",
    ...strategyView(state.strategy, section, everything.methods, everything.records, set("strategy")),
  );
  if (focused) document.getElementsByName(focused)[0]?.focus();
}

const bestOf = cell =>
  cell.rows.filter(row => row.ranked).reduce((best, row) => (best && best.mean >= row.mean ? best : row), null);

function summary(cells, section, data, pick) {
  const lines = cells.map(cell => {
    const best = bestOf(cell);
    return element(
      "li",
      {},
      `${nameOf(cell)}: `,
      best
        ? [
            pick(best.strategy),
            ` ${points(best.mean)}`,
            best.strategy === section.baseline
              ? ", the baseline"
              : `; over the baseline ${gain(best, section)[0]}; distinguishable: ${verdict(best, section, data)[0]}`,
          ]
        : "nothing complete",
    );
  });
  return [
    element("h2", {id: "answer-title"}, `Best in each of ${plural(cells.length, "cell")}`),
    element("ul", {class: "winners"}, lines),
  ];
}

function charts(cells, keep, section, styleOf) {
  const made = [],
    rowsOf = cell => cell.rows.filter(row => keep(row.strategy));
  const whole = section.cells.filter(cell => keyOf(cell) === state.task);
  for (const cell of cells) made.push(stripPlot(cell, rowsOf(cell), styleOf));
  if (cells.length === 1)
    made.push(failurePlot(cells[0], rowsOf(cells[0]), styleOf), costPlot(cells[0], rowsOf(cells[0]), styleOf));
  if (whole.length > 1) made.push(paucityPlot(whole, section.strategies.map(item => item.label).filter(keep), styleOf));
  return made.filter(Boolean);
}

const put = (id, ...children) => document.getElementById(id).replaceChildren(...children);

// What is read aloud when it is replaced is replaced only where it says something else.
function putChanged(id, ...children) {
  const made = element("div", {}, children);
  if (made.textContent !== document.getElementById(id).textContent) put(id, ...made.childNodes);
}

function show(id) {
  const place = document.getElementById(id);
  place.focus({preventScroll: true});
  place.scrollIntoView({block: "start"});
}

function reading() {
  return [
    "How to read this. A run failed if its score is not above that of the best constant prediction, or not above chance, or its loss diverged; failed runs count in the mean.",
    "Seconds are wall-clock time of whole trials (building, training, evaluating) on the machines that ran them, under whatever load these had; times are ratios to the baseline over the restarts of both.",
    "Differences are paired: strategies of one restart share examples, initial head and order of batches. Intervals come from a bootstrap over restarts within split seeds, and over split seeds where there are several; they do not cover another dev set.",
    `Tests are sign flips, corrected by Holm over the table, from ${data.minimum_units} splits on. A test that does not tell two strategies apart does not say that they are equal.`,
    everything.records === null ? "Records are named by their ids." : "Every trial links to its record.",
  ].map(text => element("p", {}, text));
}

document.getElementById("controls").addEventListener("submit", event => event.preventDefault());
narrow.addEventListener("change", draw);
window.addEventListener("hashchange", () => {
  if (location.hash && !location.hash.includes("=")) return; // a place on the page, no choice
  readAddress();
  draw();
});
window.addEventListener("beforeprint", () =>
  document.querySelectorAll("details").forEach(item => {
    item.open = true;
  }),
);
readAddress();
draw();
put("reading", ...reading());

// What the reader has chosen, and the controls that choose it. The choice is in the address, so it can be shared.

const ALL = "all";
const chosen = {section: board.sections[0]};
readAddress();

// Every choice with the values that it may have in a section, as texts.
function allowed(section) {
  const labels = section.strategies.map(item => item.label);
  return {
    task: [ALL, ...tasksOf(section).map(([key]) => key)],
    fraction: [ALL, ...sizesOf(section).keys()],
    a: labels,
    b: labels,
    strategy: labels,
    published: section.published.map(table => table.name),
  };
}

// The first cell in which a strategy learned something, and its best strategy against the baseline.
function firstChoice(section) {
  const cell = section.cells.find(item => bestOf(item).length) ?? section.cells[0];
  const labels = section.strategies.map(item => item.label);
  const best = bestOf(cell)[0]?.strategy ?? labels[0];
  const b = section.baseline ?? labels[0];
  return {
    section,
    task: cell.key,
    fraction: sizeOf(cell),
    filter: "",
    a: best === b ? (labels.find(label => label !== b) ?? b) : best,
    b,
    strategy: best,
    published: section.published[0]?.name,
  };
}

// A value that does not exist here is ignored.
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const section = board.sections[Number(given.get("section"))] ?? board.sections[0];
  Object.assign(chosen, firstChoice(section));
  for (const [key, values] of Object.entries(allowed(section))) {
    if (values.includes(given.get(key))) chosen[key] = given.get(key);
  }
}

function change(values) {
  Object.assign(chosen, values);
  const section = String(board.sections.indexOf(chosen.section));
  const kept = Object.keys(allowed(chosen.section)).filter(key => chosen[key] !== undefined);
  const address = new URLSearchParams([["section", section], ...kept.map(key => [key, chosen[key]])]);
  history.replaceState(null, "", `#${address}`);
  draw();
}

const chooser = (label, key, options) => choice(label, key, options, chosen[key], value => change({[key]: value}));
const strategyChooser = (label, key) =>
  chooser(label, key, chosen.section.strategies.map(item => [item.label, item.label]));

function controls() {
  const {section} = chosen;
  const at = board.sections.indexOf(section);
  const sections = board.sections.map((item, index) => [String(index), item.heading]);
  const select = value => change(firstChoice(board.sections[Number(value)]));
  return [
    choice(`Model and protocol (${at + 1} of ${sections.length})`, "section", sections, String(at), select),
    chooser("Task", "task", [[ALL, "all tasks"], ...tasksOf(section)]),
    chooser("Training data", "fraction", [[ALL, "all sizes"], ...sizesOf(section)]),
  ];
}

const indexOf = label => chosen.section.index.get(label);
const isChosen = (key, value) => chosen[key] === ALL || chosen[key] === value;
const chosenCells = () =>
  chosen.section.cells.filter(cell => isChosen("task", cell.key) && isChosen("fraction", sizeOf(cell)));

// The rows of a cell that the filter leaves.
function chosenRows(cell) {
  const wanted = chosen.filter.trim().toLowerCase();
  return cell.rows.filter(row => row.strategy.toLowerCase().includes(wanted));
}

// A strategy's name, which opens its view.
function pick(label) {
  const click = () => {
    change({strategy: label});
    const view = document.getElementById("strategy");
    view.scrollIntoView();
    view.focus({preventScroll: true});
  };
  return html.button({type: "button", class: "link", click}, label);
}

const namedStrategy = label => html.span({class: "named"}, swatch(label), pick(label));

// The content of leaderboard.json as `data.py` packed it, and how to find something in it.

const packed = Uint8Array.from(atob(document.getElementById("data").textContent), sign => sign.charCodeAt(0));
const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
const board = await new Response(stream).json();
for (const cell of board.sections.flatMap(section => section.cells)) {
  cell.rows.forEach(row => {
    row.trials = unpack(row.trials);
    if (row.tuning) row.tuning.configurations = unpack(row.tuning.configurations);
  });
  const index = at => cell.rows[at].strategy;
  cell.pairs = new Map(unpack(cell.pairs).map(pair => [`${index(pair.a)} ${index(pair.b)}`, pair]));
}

// From columns to rows: a column is a list with a value per row, or the value that all rows have.
function unpack({n, ...columns}) {
  const entries = Object.entries(columns);
  const at = index => entries.map(([key, values]) => [key, Array.isArray(values) ? values[index] : values]);
  return Array.from({length: n}, (_, index) => Object.fromEntries(at(index)));
}

const has = (rows, key) => rows.some(row => isNumber(row[key]));
const hasScore = trial => isNumber(trial.score);
const labelOf = (section, row) => section.strategies[row.strategy].label;
const indexOf = (section, label) => section.strategies.findIndex(item => item.label === label);
const rowOf = (section, cell, label) => cell.rows.find(row => row.strategy === indexOf(section, label));
const rankedOf = cell => (cell.learned ? cell.rows.filter(row => row.ranked) : []);
const bestOf = cell => cell.rows.filter(row => row.best);

function tasksOf(section) {
  return [...new Map(section.cells.map(cell => [cell.key, {key: cell.key, title: cell.title}])).values()];
}

const bySize = cells => cells.toSorted((a, b) => a.fraction - b.fraction);
const sizeOf = cell => cell.size || String(cell.fraction);
const sizesOf = section => new Map(bySize(section.cells).map(cell => [sizeOf(cell), dataOf(cell)]));
const techniquesOf = section => [...new Set(section.strategies.flatMap(item => item.methods))].toSorted();

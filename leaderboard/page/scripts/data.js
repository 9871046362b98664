// The content of leaderboard.json as `data.py` packed it, and how to find something in it.

const packed = Uint8Array.from(atob(document.getElementById("data").textContent), sign => sign.charCodeAt(0));
const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
const board = await new Response(stream).json();
const keyOf = ({task, metric, data}) => `${task} ${metric} ${data.slice(0, 8)}`;
for (const section of board.sections) {
  section.index = new Map(section.strategies.map(({label}, at) => [label, at]));
  for (const cell of section.cells) {
    cell.key = keyOf(cell);
    cell.pairs = pairsOf(cell);
  }
}

// From columns with an entry per pair to a pair by the names of its two strategies.
function pairsOf({rows, pairs: {a, b, ...columns}}) {
  const entries = Object.entries(columns);
  const at = index => Object.fromEntries(entries.map(([key, values]) => [key, values[index]]));
  return new Map(a.map((first, index) => [JSON.stringify([rows[first].strategy, rows[b[index]].strategy]), at(index)]));
}

const has = (rows, key) => rows.some(row => isNumber(row[key]));
const hasScore = trial => isNumber(trial.score);
const isSignificant = found => isNumber(found.p_holm) && found.p_holm < board.alpha;
const rowOf = (cell, label) => cell.rows.find(row => row.strategy === label);
const rankedOf = cell => (cell.learned ? cell.rows.filter(row => row.ranked) : []);
const bestOf = cell => rankedOf(cell).filter((row, _, rows) => row.mean === Math.max(...rows.map(other => other.mean)));
const FLOORS = 2; // of board.groups
const tasksOf = section => [...new Map(section.cells.map(cell => [cell.key, cell.title]))];
const bySize = cells => cells.toSorted((a, b) => a.fraction - b.fraction);
const sizeOf = cell => cell.amount.replace(" %", "");
const sizesOf = section => new Map(bySize(section.cells).map(cell => [sizeOf(cell), cell.amount]));

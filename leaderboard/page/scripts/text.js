// Numbers of leaderboard.json as text: Python rounded them once, and `toFixed` prints what Python's tables print.

const isNumber = value => value !== null && value !== undefined;
const orDash = print => value => (isNumber(value) ? print(value) : "–");

const minus = text => text.replace("-", "−");
const points = orDash(score => minus((100 * score).toFixed(1).replace("-0.0", "0.0")));
const signed = orDash(score => (score > 0 && points(score) !== "0.0" ? "+" : "") + points(score));
// A bound of a difference: its sign says on which side of 0 it lies, also where it rounds to 0.
const bound = score => (score && points(score) === "0.0" ? (score > 0 ? "+0.0" : "−0.0") : signed(score));
const interval = (low, high, print = points) => (isNumber(low) ? `[${print(low)}, ${print(high)}]` : "");
const share = rate => (100 * rate).toFixed(0);
const percent = orDash(rate => `${share(rate)} %`);
const pValue = orDash(p => (p < 0.001 ? "<0.001" : p.toFixed(3)));
const rank = orDash(value => minus(value.toFixed(2)));
const quantity = value => value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
const times = orDash(ratio => `${quantity(ratio)}×`);
const seconds = orDash(value => `${quantity(value)} s`);
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const saidOf = values => Object.entries(values).map(([name, value]) => `${name} ${value}`).join("; ");
const nameOf = cell => `${cell.title}, ${cell.size || `${cell.amount} of the data`}`;
const headingOf = cell => `${nameOf(cell)}${cell.undertrained ? " (undertrained)" : ""}`;

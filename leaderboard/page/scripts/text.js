// Numbers as text. Python has rounded them (`data.py`), so that every digit is the one of the other tables.

const isNumber = value => value !== null && value !== undefined;
const orDash = print => value => (isNumber(value) ? print(value) : "–");

const points = orDash(value => (Math.abs(value) < 0.05 ? "0.0" : value.toFixed(1).replace("-", "−")));
const signed = orDash(value => (value >= 0.05 ? "+" : "") + points(value));
// A bound of a difference: its sign says on which side of 0 it lies, also where it rounds to 0.
const bound = value => (value && points(value) === "0.0" ? (value > 0 ? "+0.0" : "−0.0") : signed(value));
const interval = (low, high, print = points) => (isNumber(low) ? `[${print(low)}, ${print(high)}]` : "");
const percent = orDash(value => `${value} %`);
const pValue = orDash(p => (p < 0.001 ? "<0.001" : p.toFixed(3)));
const rank = orDash(value => value.toFixed(2));
const quantity = value => value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
const times = orDash(ratio => `${quantity(ratio)}×`);
const seconds = orDash(value => `${quantity(value)} s`);
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const listed = names => names.join("; ");
const dataOf = cell => cell.size || percent(cell.fraction);
const nameOf = cell => `${cell.title}, ${cell.size || `${percent(cell.fraction)} of the data`}`;
const headingOf = cell => `${nameOf(cell)}${cell.undertrained ? " (undertrained)" : ""}`;

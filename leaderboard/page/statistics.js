// Paired comparisons, as leaderboard/resampling.py makes them; differences are fractions, one per restart.

const RESAMPLES = 10000;
const FLIPS = 20000;
const EXACT = 30; // differences other than 0 up to which all sign patterns are counted
const QUANTUM = 2 ** -36; // sums of whole multiples of it are exact

function randomNumbers(seed) {
  // mulberry32: a small seeded generator of numbers in [0, 1)
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length;

// Bootstrap interval of the mean: groups (splits) are drawn first, then restarts within each.
// `tail` is the expanded percentile of this number of restarts.
function bootstrapInterval(values, groups, tail) {
  if (values.length < 2 || tail === undefined) return null;
  const random = randomNumbers(1);
  const members = [...new Set(groups)].map(group => values.filter((_, index) => groups[index] === group));
  const means = new Float64Array(RESAMPLES);
  for (let sample = 0; sample < RESAMPLES; sample++) {
    let sum = 0,
      count = 0;
    for (let drawn = 0; drawn < members.length; drawn++) {
      const group = members[Math.floor(random() * members.length)];
      for (let restart = 0; restart < group.length; restart++) sum += group[Math.floor(random() * group.length)];
      count += group.length;
    }
    means[sample] = sum / count;
  }
  means.sort();
  const rank = Math.floor(RESAMPLES * tail);
  return [means[rank], means[RESAMPLES - 1 - rank]];
}

// Two-sided p-value of "the differences are symmetric around 0".
function signFlip(differences) {
  const whole = differences.map(value => Math.round(value / QUANTUM));
  const seen = Math.abs(whole.reduce((sum, value) => sum + value, 0)) - whole.length; // equal sums stay equal
  const values = whole.filter(value => value !== 0);
  if (seen <= 0) return 1;
  if (values.length <= EXACT) return exactHits(values, seen) / 2 ** values.length;
  const random = randomNumbers(2);
  let hits = 0;
  for (let flip = 0; flip < FLIPS; flip++) {
    const sum = values.reduce((sum, value) => (random() < 0.5 ? sum + value : sum - value), 0);
    if (Math.abs(sum) >= seen) hits++;
  }
  return (1 + hits) / (1 + FLIPS);
}

// Sign patterns with |sum| >= seen > 0: rising sums of one half against those of the other that they need.
function exactHits(values, seen) {
  const half = Math.floor(values.length / 2);
  const left = sortedSums(values.slice(0, half)),
    right = sortedSums(values.slice(half));
  let hits = 0,
    first = right.length;
  for (const sum of left) {
    while (first > 0 && right[first - 1] >= seen - sum) first--;
    hits += right.length - first;
  }
  return 2 * hits;
}

const sortedSums = values =>
  Float64Array.from(
    values.reduce((sums, value) => sums.flatMap(sum => [sum + value, sum - value]), [0]),
  ).sort();

// Compare two rows of one cell on the restarts that both have a result of.
function pairRows(first, second, tails, minimum) {
  const place = trial => `${trial.restart} ${trial.split_seed} ${trial.split}`;
  const others = new Map(second.trials.filter(hasScore).map(trial => [place(trial), trial]));
  const pairs = first.trials
    .filter(trial => hasScore(trial) && others.has(place(trial)))
    .map(trial => [trial, others.get(place(trial))]);
  const differences = pairs.map(([a, b]) => a.score - b.score);
  if (!pairs.length) return null;
  return {
    pairs,
    differences,
    difference: mean(differences),
    interval: bootstrapInterval(
      differences,
      pairs.map(([a]) => a.split),
      tails[pairs.length],
    ),
    p: pairs.length < minimum ? null : signFlip(differences),
  };
}

const hasScore = trial => trial.score !== null;

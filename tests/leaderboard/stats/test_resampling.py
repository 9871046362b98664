"""Intervals against slow loops and scipy, sign flips against full enumeration and scipy; seeds and order."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import bootstrap, norm, permutation_test, t

from leaderboard.stats import resampling

DRAW = np.random.Generator(np.random.PCG64(11))
SCORES = DRAW.normal(0.6, 0.05, 20)
BASE = SCORES + DRAW.normal(0.0, 0.01, 20)


# --- bootstrap


def test_equal_scores_have_an_interval_without_width():
    low, high = resampling.interval([0.7] * 5)
    assert low == high == pytest.approx(0.7, abs=1e-11)


def test_two_trials_by_hand():
    """Bootstrap means of (0, 1) are 0, 1/2, 1 with shares 1/4, 1/2, 1/4, so the interval is their whole range."""
    means = resampling.bootstrap_means([0.0, 1.0])
    shares = [float((means == value).mean()) for value in (0, 0.5, 1)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.02)
    assert resampling.interval([0.0, 1.0]) == (0, 1)


def test_undefined_intervals():
    assert all(map(math.isnan, resampling.interval([0.5])))
    assert all(map(math.isnan, resampling.interval([math.nan, 0.5])))
    with pytest.raises(ValueError, match="a bootstrap needs at least one value, got none"):
        resampling.bootstrap_means([math.nan])


def test_the_interval_agrees_with_scipys_percentiles_at_the_expanded_level():
    count = len(SCORES)
    level = 1 - 2 * norm.cdf(-math.sqrt(count / (count - 1)) * t.ppf(0.975, count - 1))
    own = resampling.interval(SCORES, resamples=50_000)
    reference = bootstrap((SCORES,), np.mean, n_resamples=50_000, confidence_level=level, method="percentile", rng=3)
    assert own == pytest.approx(tuple(reference.confidence_interval), abs=4e-4)  # 4 times the noise of either


def test_groups_agree_with_a_slow_two_stage_loop():
    """Split effects far above the noise: drawing within one pooled group would give a far narrower interval."""
    groups = ["a", "b", "a", "b", "c", "a"]
    values = np.array([0.5, 0.7, 0.52, 0.72, 0.9, 0.48])
    draw = np.random.Generator(np.random.PCG64(5))
    members = {name: [i for i, group in enumerate(groups) if group == name] for name in "abc"}
    slow = []
    for _ in range(20_000):
        drawn: list[int] = []
        for name in draw.choice(["a", "b", "c"], 3):
            drawn += draw.choice(members[name], len(members[name])).tolist()
        slow.append(values[drawn].mean())
    own = resampling.bootstrap_means(values, groups, resamples=20_000)
    levels = (0.02, 0.1, 0.5, 0.9, 0.98)
    assert np.quantile(own, levels) == pytest.approx(np.quantile(slow, levels), abs=0.01)
    assert own.std() > 1.3 * resampling.bootstrap_means(values).std()


def test_groups_of_one_are_a_plain_bootstrap():
    apart = resampling.bootstrap_means(SCORES, np.arange(20), resamples=50_000)
    assert apart.std() == pytest.approx(SCORES.std() / math.sqrt(20), rel=0.02)


def test_missing_entries_and_labels_of_groups_change_nothing():
    groups = np.arange(20) // 5
    expected = resampling.interval(SCORES, groups)
    assert resampling.interval([math.nan, *SCORES], ["z", *(str(9 - group) for group in groups)]) == expected


def test_one_seed_gives_one_interval_and_another_another():
    assert resampling.interval(SCORES, seed=1) == resampling.interval(SCORES, seed=1)
    assert resampling.interval(SCORES, seed=1) != resampling.interval(SCORES, seed=2)


def test_the_paired_interval_is_not_the_unpaired_one():
    """The restarts of one array move together with the other's: pairing removes what they share."""
    low, high = resampling.interval(BASE - SCORES)
    apart = resampling.bootstrap_means(BASE) - resampling.bootstrap_means(SCORES, seed=1)
    unpaired = resampling.interval_of(apart, len(SCORES))
    assert high - low < 0.5 * (unpaired[1] - unpaired[0])


def test_differences_of_paired_means_are_means_of_differences():
    means = resampling.bootstrap_means(BASE) - resampling.bootstrap_means(SCORES)
    assert means == pytest.approx(resampling.bootstrap_means(BASE - SCORES), abs=1e-10)


@pytest.mark.parametrize(("count", "least"), [(5, 0.88), (20, 0.93)])
def test_the_interval_covers_the_true_mean(count, least):
    """95 % asked; plain percentiles cover 83 % of the time with 5 trials."""
    draw = np.random.Generator(np.random.PCG64(1))
    samples = draw.normal(size=(400, count))
    found = [resampling.interval(sample, resamples=2000) for sample in samples]
    assert np.mean([low < 0 < high for low, high in found]) >= least


@pytest.mark.long
def test_how_often_intervals_cover_the_true_mean():
    """Prints the table of docs/statistics.md (run with -s): normal scores, a share of their variance is the split's."""
    draw = np.random.Generator(np.random.PCG64(1))
    for splits, restarts in ((1, 3), (1, 5), (1, 12), (1, 20), (4, 3), (4, 5), (5, 4), (10, 2)):
        groups = np.repeat(np.arange(splits), restarts)
        for share in (0, 0.2, 0.5) if splits > 1 else (0,):
            own = draw.normal(size=(1000, len(groups))) * math.sqrt(1 - share)
            common = np.repeat(draw.normal(size=(1000, splits)), restarts, axis=1) * math.sqrt(share)
            found = [resampling.interval(sample, groups) for sample in own + common]
            covered = np.mean([low < 0 < high for low, high in found])
            print(f"| {splits} | {restarts} | {share} | {100 * covered:.0f} % |")
            assert 0.7 < covered <= 1


# --- sign flips


def enumerated(values) -> float:
    """Try every pattern of signs, one by one."""
    seen = abs(sum(values))
    sums = [abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in slow_signs(len(values))]
    return sum(total >= seen - 1e-9 for total in sums) / len(sums)


def slow_signs(count):
    return itertools.product((1, -1), repeat=count)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([0.1], 1.0),
        ([0.1, 0.2], 0.5),  # 2 of 4 patterns have |sum| = 0.3
        ([0.1, -0.1], 1.0),
        ([0.1, 0.2, 0.3], 0.25),
        ([0.0, 0.0], 1.0),
        ([0.3, 0.2, 0.1, 0.1, -0.1], 4 * 2 / 32),  # 0.8 once, 0.6 with three choices of the negative one; and mirrored
    ],
)
def test_sign_flip_by_hand(differences, p):
    assert resampling.sign_flip(differences) == p == enumerated(differences)


@pytest.mark.parametrize("count", [2, 3, 7, 12])
def test_sign_flip_agrees_with_enumeration(count):
    draw = np.random.Generator(np.random.PCG64(count))
    for values in (draw.normal(0.3, 1, count), draw.integers(-3, 5, count) / 277):  # with ties and zeros
        assert resampling.sign_flip(values) == enumerated(values.tolist())


def test_sign_flip_agrees_with_scipy():
    values = SCORES[:13] - SCORES[:13].mean() + 0.02
    reference = permutation_test((values,), np.mean, permutation_type="samples", n_resamples=math.inf)
    assert resampling.sign_flip(values) == pytest.approx(reference.pvalue, abs=1e-12)


def test_zeros_and_missing_differences_do_not_matter():
    assert resampling.sign_flip([0.1, 0, math.nan, 0.2]) == 0.5
    assert math.isnan(resampling.sign_flip([])) and math.isnan(resampling.sign_flip([math.nan]))


def test_many_differences_are_sampled_with_a_seed():
    """Against the normal limit of the sum of signed differences."""
    values = np.random.Generator(np.random.PCG64(2)).normal(0.02, 0.1, 200)
    z = abs(values.sum()) / math.sqrt((values**2).sum())
    assert resampling.sign_flip(values) == pytest.approx(2 * norm.sf(z), abs=0.01)
    assert resampling.sign_flip(values) == resampling.sign_flip(values)
    assert resampling.sign_flip(values, seed=1) != resampling.sign_flip(values)


def sampled_slowly(differences, flips, seed=0) -> float:
    """One test by itself, in whole numbers: a row of signs for every flip."""
    whole = [round(value * 2**36) for value in differences]
    seen, draw = abs(sum(whole)) - len(whole), np.random.Generator(np.random.PCG64(seed))
    whole = [value for value in whole if value]
    signs = (2 * draw.integers(0, 2, size=(flips, len(whole))) - 1).tolist()
    hits = sum(abs(sum(s * v for s, v in zip(row, whole, strict=True))) >= seen for row in signs)
    return (1 + hits) / (1 + flips)


def test_tests_made_together_are_those_made_alone():
    """Of unlike length, with ties, zeros, missing entries, few and many differences, and sums above 2^53."""
    draw = np.random.Generator(np.random.PCG64(4))
    many = [draw.integers(-3, 4, count) / 277 for count in (50, 50, 64, 66, 75)] + [draw.normal(3e4, 3e5, 40)]
    few = [[0.1, 0, math.nan, 0.2], [], [math.nan], [0.0, 0.0], [0.1] * 12]
    together = resampling.sign_flips([*many, *few], flips=300, seed=5)
    assert together[: len(many)] == [sampled_slowly(values, 300, 5) for values in many]
    assert together[len(many) :] == pytest.approx([0.5, math.nan, math.nan, 1.0, 2 / 2**12], nan_ok=True)
    assert resampling.sign_flips([]) == []


def test_order_changes_no_p_value():
    values = (BASE - SCORES).tolist()
    assert resampling.sign_flip(values) == resampling.sign_flip(values[::-1]) == resampling.sign_flip(sorted(values))


@pytest.mark.parametrize("count", [1, 2, 12, 20, 30, 31])
def test_the_smallest_p_is_reached_when_all_differences_agree(count):
    assert resampling.sign_flip(np.linspace(0.1, 0.2, count)) == pytest.approx(resampling.smallest_p(count))


def test_no_differences_have_no_smallest_p():
    assert math.isnan(resampling.smallest_p(0))

"""Theory checks: exact references in float64, runs that can be repeated, verdicts that can fail."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from benchmarks.theory import least_squares, retention, theorem
from benchmarks.theory.__main__ import main
from benchmarks.theory.digits import Domain
from benchmarks.theory.experiments import environment
from benchmarks.theory.published import Curve, curves, directions, half_width
from benchmarks.theory.retention import Network, Plan, Run, finetune, pretrain, shuffled, sweep
from regularizers.surgery.mixing import MixedLinear

TINY = Plan(pretrain_epochs=(1, 2), pretrain_seeds=1, finetune_epochs=1, restarts=2, probabilities=(0.0, 0.5))


@pytest.fixture(autouse=True)
def own_accelerator() -> Iterator[None]:
    """Other tests of the same process may have chosen another device for accelerate's global state."""
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


def domain(count: int, seed: int) -> Domain:
    generator = torch.Generator().manual_seed(seed)
    images, labels = torch.rand(count, 784, generator=generator), torch.randint(0, 10, (count,), generator=generator)
    return Domain("random", "", "", images, labels)


SOURCE, TARGET = domain(78, 0), domain(78, 1)
TRAIN, VALIDATION = SOURCE.split(TINY.validation)  # 70 and 8 images
PARTS = (*TARGET.split(TINY.validation), VALIDATION)


def start() -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in Network(0).named_parameters()}


# Least squares


def expected_loss_minimiser(problem: least_squares.Problem, p: float) -> np.ndarray:
    """The minimiser of the expected loss as one stacked least-squares problem over the four masks, from eq. 8 alone."""
    inputs, y, target = problem.inputs.numpy(), problem.y.numpy(), problem.target.numpy()
    rows, right = [], []
    for mask in product((0, 1), repeat=2):
        weight = np.sqrt(np.prod([1 - p if m else p for m in mask]))
        kept = np.array(mask) / (1 - p)
        rest = inputs @ ((1 - np.array(mask) - p) / (1 - p) * target)
        rows.append(weight * inputs * kept)
        right.append(weight * (y - rest))
    return np.linalg.lstsq(np.concatenate(rows), np.concatenate(right), rcond=None)[0]


@pytest.mark.parametrize("p", [0.0, 0.3, 0.6, 0.9])
def test_the_exact_minimiser_is_that_of_the_expected_loss(p: float) -> None:
    problem = least_squares.make_problem(5)
    np.testing.assert_allclose(
        least_squares.exact_minimiser(problem, p).numpy(), expected_loss_minimiser(problem, p), rtol=1e-10
    )


def test_trained_lines_reach_the_exact_minimiser() -> None:
    """400 steps leave some noise of the masks; p = 0 has none and is ordinary least squares."""
    problem = least_squares.make_problem(1)
    lines = least_squares.run(problem, steps=400)
    span = float((problem.target - problem.true).norm())
    for line in lines:
        assert np.linalg.norm(np.subtract(line.trained, line.exact)) < 0.05 * span, line
    fit = np.polyfit(problem.inputs[:, 0].numpy(), problem.y.numpy(), 1)
    np.testing.assert_allclose(lines[0].trained, fit, rtol=1e-3)
    to_target = [np.linalg.norm(np.subtract(line.trained, problem.target.tolist())) for line in lines]
    assert to_target == sorted(to_target, reverse=True)


# Theorem 1


def test_theorem_1_holds_with_equality_for_the_quadratic_loss() -> None:
    rows = theorem.run(3, draws=2)
    assert {row.masks for row in rows} == {"mixout", "three-point"}
    for row in rows:
        assert row.quadratic == pytest.approx(row.bound, rel=1e-12)
        assert row.logistic > row.bound


@pytest.mark.parametrize(
    ("mix", "points"),
    [
        *((theorem.mixout, ((0, p), (1, 1 - p))) for p in (0.2, 0.7)),
        (theorem.mixconnect, theorem.THREE_POINTS),
    ],
)
def test_the_excess_is_that_of_equation_4(mix: Callable[..., Tensor], points: tuple[tuple[float, float], ...]) -> None:
    """Every mask by itself; Phi written as in the paper, mu and sigma from the distribution's definition."""
    w, u, center = np.random.default_rng(1).normal(size=(3, 2, 3))
    mean = sum(value * chance for value, chance in points)
    variance = sum(value**2 * chance for value, chance in points) - mean**2
    expected = -theorem.CONVEXITY / 2 * ((w - center) ** 2).sum()
    for drawn in product(points, repeat=3):
        mask = np.diag([value for value, _ in drawn])
        phi = (u @ (np.eye(3) - mask) + w @ mask - (1 - mean) * u) / mean
        expected += np.prod([chance for _, chance in drawn]) * theorem.CONVEXITY / 2 * ((phi - center) ** 2).sum()
    loss = theorem.quadratic(torch.from_numpy(center))
    found = theorem.excess(mix, loss, torch.from_numpy(w), torch.from_numpy(u), 1 - mean, points)
    assert found == pytest.approx(expected, rel=1e-12)
    assert found == pytest.approx(theorem.CONVEXITY * variance / (2 * mean**2) * ((w - u) ** 2).sum(), rel=1e-12)


def test_a_wrong_mixout_breaks_the_equality(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the correction by p * u, a defect that a check of Theorem 1 exists to find."""
    monkeypatch.setattr(theorem, "mixout", lambda w, u, p, mask: mask * w + (1 - mask) * u)
    rows = [row for row in theorem.run(3, draws=1) if row.masks == "mixout"]
    assert not any(row.quadratic == pytest.approx(row.bound, rel=1e-3) for row in rows)


# Digits


def test_the_network_is_the_papers() -> None:
    model = Network(0)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if name.endswith("weight")}
    assert shapes["first.weight"] == (300, 784)
    assert shapes["second.weight"] == (100, 300)
    assert shapes["third.weight"] == (10, 100)
    assert float(model.first.weight.detach().std()) == pytest.approx(0.02, rel=0.01)
    assert not any(layer.bias.any() for layer in (model.first, model.second, model.third))
    hidden = nn.functional.layer_norm(model.first(SOURCE.images).relu(), (300,))
    hidden = nn.functional.layer_norm(model.second(hidden).relu(), (100,))
    torch.testing.assert_close(model(SOURCE.images), model.third(hidden))


def test_mixout_mixes_the_second_and_third_layer_and_dropout_drops_before_them() -> None:
    for strategy, mixed, rate in (("mixout(w_pre, 0.5)", True, 0.0), ("dropout(0.5)", False, 0.5)):
        model = Network(0)
        retention.train_network(model, strategy, TARGET, epochs=1, lr=1e-4, seeds=(0, 0))
        found = [isinstance(layer, MixedLinear) for layer in (model.first, model.second, model.third)]
        assert found == [False, mixed, mixed]
        assert (model.dropout1.p, model.dropout2.p) == (rate, rate)
        assert not model.training


def test_an_epoch_has_every_example_once_and_a_short_last_batch() -> None:
    batches = shuffled(TRAIN, 4)
    assert [len(batch["labels"]) for batch in batches] == [32, 32, 6]
    assert sorted(torch.cat([batch["rows"] for batch in batches]).tolist()) == list(range(70))
    assert all(torch.equal(batch["labels"], TRAIN.labels[batch["rows"]]) for batch in batches)
    again, other = shuffled(TRAIN, 4), shuffled(TRAIN, 5)
    assert torch.equal(batches[0]["rows"], again[0]["rows"])
    assert not torch.equal(batches[0]["rows"], other[0]["rows"])


def test_at_p_0_both_methods_are_plain_fine_tuning_bit_for_bit() -> None:
    plain, other = (finetune(start(), method, 0.0, 0, PARTS, TINY) for method in retention.METHODS)
    assert replace(other, method="mixout") == plain
    model = Network(0)
    model.load_state_dict(start())
    seeds = tuple(retention.derive("theory", purpose, 0) for purpose in ("order", "noise"))
    retention.train_network(model, "none", PARTS[0], epochs=1, lr=TINY.finetune_lr, seeds=seeds)  # type: ignore[arg-type]
    assert retention.squared_distance(model, start()) == plain.deviation


@pytest.mark.parametrize("method", retention.METHODS)
def test_a_restart_can_be_repeated_and_differs_from_the_next(method: str) -> None:
    torch.manual_seed(11)
    state = torch.get_rng_state()
    first = finetune(start(), method, 0.5, 0, PARTS, TINY)
    assert torch.equal(torch.get_rng_state(), state)  # the caller's generator never moves
    torch.manual_seed(12)
    assert finetune(start(), method, 0.5, 0, PARTS, TINY) == first
    assert finetune(start(), method, 0.5, 1, PARTS, TINY).deviation != first.deviation


def test_the_best_pretrained_model_is_kept() -> None:
    """Whatever the order of the tries: the weights are those that score what the best try did."""
    weights, tried = pretrain(SOURCE, replace(TINY, pretrain_seeds=2))
    assert [row[:2] for row in tried] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    model = Network(9)
    model.load_state_dict(weights)
    assert retention.accuracy(model.eval(), VALIDATION) == max(row[2] for row in tried)


def test_measures_equal_slow_ones() -> None:
    model, other = Network(0), Network(1)
    there = {name: p.detach() for name, p in other.named_parameters()}
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    wanted = sum(((a.detach().double() - b.detach().double()).numpy() ** 2).sum() for a, b in pairs)
    assert retention.squared_distance(model, there) == pytest.approx(wanted, rel=1e-12)
    with torch.no_grad():
        guesses = [int(np.argmax(model(image[None]).numpy())) for image in VALIDATION.images]
    right = [g == label for g, label in zip(guesses, VALIDATION.labels.tolist(), strict=True)]
    assert retention.accuracy(model, VALIDATION) == np.mean(right)


def test_a_sweep_has_every_method_p_and_restart_once() -> None:
    runs = sweep(start(), SOURCE, TARGET, TINY)
    keys = [(run.method, run.p, run.restart) for run in runs]
    assert sorted(keys) == sorted(product(retention.METHODS, TINY.probabilities, range(2)))
    assert all(0 <= run.source <= 1 and run.deviation > 0 for run in runs)


# Directions

PS = (0.0, 0.1, 0.2, 0.3, 0.9)


def by_method(change: Callable[[str, str, float], float] = lambda method, measure, p: 0.0) -> dict:
    """Curves on which every published direction holds, plus a change."""
    clean = {
        ("mixout", "deviation"): lambda p: 2 - p,
        ("dropout", "deviation"): lambda p: 2 + p,
        ("mixout", "source"): lambda p: 0.7 + 0.01 * p,
        ("dropout", "source"): lambda p: 0.7 - 0.3 * p,
        ("mixout", "target"): lambda p: 0.9,
        ("dropout", "target"): lambda p: 0.9,
    }
    return {key: Curve(PS, tuple(f(p) + change(*key, p) for p in PS), (None,) * 5) for key, f in clean.items()}


def test_the_published_directions_hold_where_they_hold() -> None:
    found = directions(by_method())
    assert len(found) == 5
    assert all(d.holds and d.holds_where_published and not d.breaches for d in found)


@pytest.mark.parametrize(
    ("at", "method", "measure", "change", "breach"),
    [
        (0, "mixout", "deviation", 0.5, (0.2, 0.3)),
        (1, "dropout", "deviation", -0.5, (0.2, 0.3)),
        (2, "mixout", "source", 0.02, (0.3, 0.3)),
        (2, "mixout", "source", -0.02, (0.3, 0.3)),
        (3, "dropout", "source", 0.05, (0.2, 0.3)),
        (4, "dropout", "source", 0.2, (0.3, 0.3)),
    ],
)
def test_each_direction_can_fail(
    at: int, method: str, measure: str, change: float, breach: tuple[float, float]
) -> None:
    touched = by_method(lambda m, q, p: change if (m, q, p) == (method, measure, 0.3) else 0.0)
    judged = directions(touched)[at]
    assert not judged.holds and not judged.holds_where_published and breach in judged.breaches


def test_a_breach_beyond_the_published_p_is_another_one() -> None:
    judged = directions(by_method(lambda m, q, p: 3.0 if (m, q, p) == ("mixout", "deviation", 0.9) else 0.0))[0]
    assert not judged.holds and judged.holds_where_published and judged.breaches == ((0.3, 0.9),)
    only_far = {key: Curve(PS[::4], c.mean[::4], c.half[::4]) for key, c in by_method().items()}
    assert directions(only_far)[0].holds_where_published is None


def test_bands_are_t_intervals() -> None:
    sample = [1.0, 2.0, 4.0, 4.0, 9.0]  # variance 9.5
    assert half_width(sample) == pytest.approx(2.7764451 * (9.5 / 5) ** 0.5, rel=1e-6)
    assert half_width([1.0]) is None
    runs = [Run("mixout", p, r, deviation=p + r, target=0.5, source=0.5) for p in (0.5, 0.0) for r in range(3)]
    runs += [replace(run, method="dropout") for run in runs]
    found = curves(runs)["mixout", "deviation"]
    assert (found.p, found.mean) == ((0.0, 0.5), (1.0, 1.5))


# The command


def test_one_command_makes_the_report(tmp_path: Path) -> None:
    options = ["--quick", "--pretrain-epochs", "1", "--finetune-epochs", "1", "--restarts", "1"]
    assert main(["--output", str(tmp_path / "new" / "report"), *options]) == 0
    folder = tmp_path / "new" / "report"
    figures = ["digits.png", "least_squares.png", "theorem.png"]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*figures, "report.md", "values.json"])
    text = (folder / "report.md").read_text()
    assert sorted(re.findall(r"\]\((.*?)\)", text)) == figures
    for name in figures:
        data = (folder / name).read_bytes()
        assert data.startswith(b"\x89PNG") and len(data) < 150_000
    values = json.loads((folder / "values.json").read_text())
    assert len(values["digits"]["runs"]) == 2 * len(retention.QUICK["probabilities"])
    assert str(tmp_path) not in text + json.dumps(values)  # a report travels
    for direction in values["digits"]["directions"]:
        row = next(line for line in text.splitlines() if line.startswith("| " + direction["statement"]))
        assert ("does not hold" in row) == (not (direction["holds"] and direction["holds_where_published"]))


@pytest.mark.parametrize("program", [["regbench", "theory"], ["python -m benchmarks.theory"]])
def test_the_report_names_its_command_without_folders(program: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [*program, "--output", "theory", "--source", "/data/emnist"])
    assert environment()["command"] == "regbench theory --output theory --source emnist"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--source", "somewhere"], "--source and --target must be given together, got no --target; leave both out"),
        (["--target", "somewhere"], "--source and --target must be given together, got no --source; leave both out"),
        (["--restarts", "0"], "epochs, seeds and restarts must be at least 1, got 0"),
        (["--pretrain-epochs", "3", "-1"], "epochs, seeds and restarts must be at least 1, got -1"),
        (["--probabilities", "0", "1"], r"p must be in \[0, 1\), got 1.0"),
        (["--probabilities", "0", "nan"], r"p must be in \[0, 1\), got nan"),
        (["--probabilities", "0.1", "0.2"], "the p of the curves must rise from 0, got 0.1 0.2"),
        (["--probabilities", "0", "0.3", "0.3"], "the p of the curves must rise from 0, got 0 0.3 0.3"),
        (["--probabilities", "0"], "the p of the curves must rise from 0, got 0"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_exit_2(
    options: list[str], message: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    assert re.search(message, refused(main, "--output", tmp_path / "out", *options))
    assert not (tmp_path / "out").exists()

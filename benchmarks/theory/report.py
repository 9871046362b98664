"""The theory report: Markdown for people, JSON with every number behind it."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.theory.digits import Domain
from benchmarks.theory.least_squares import NOISE, POINTS, Line, Problem
from benchmarks.theory.published import MEASURES, PUBLISHED_P, Curve, Direction
from benchmarks.theory.retention import METHODS, PAPER, PRETRAINING, Data, Plan, Pretrained, Run
from benchmarks.theory.theorem import CONVEXITY, SHAPE, Excess

KEYS = [(method, measure) for method in METHODS for measure in MEASURES]
ROUNDING = 1e-12  # relative; float64 sums over a few hundred masks stay far below


@dataclass(frozen=True)
class Findings:
    """Everything the command measured."""

    environment: dict[str, Any]
    problem: Problem
    steps: int
    lines: list[Line]
    excesses: list[Excess]
    domains: tuple[Domain, Domain]
    data: Data
    plan: Plan
    pretrained: Pretrained
    runs: list[Run]
    curves: dict[tuple[str, str], Curve]
    directions: list[Direction]
    seconds: dict[str, float]


def markdown(found: Findings) -> str:
    """The report; figures are expected next to it."""
    parts = (_head(found), _least_squares(found), _theorem(found.excesses), _digits(found), _directions(found))
    return "\n\n".join(parts) + "\n"


def values(found: Findings) -> dict[str, Any]:
    """Every number as JSON-able data; accuracies are fractions."""
    return {
        "environment": found.environment,
        "seconds": found.seconds,
        "least_squares": {
            "true": found.problem.true.tolist(),
            "target": found.problem.target.tolist(),
            "steps": found.steps,
            "lines": _rows(found.lines),
        },
        "theorem": {"convexity": CONVEXITY, "excess": _rows(found.excesses)},
        "digits": {
            "domains": [{"name": d.name, "note": d.note, "sha256": d.fingerprint} for d in found.domains],
            "plan": dataclasses.asdict(found.plan),
            "pretrained": [dict(zip(("epochs", "seed", "source"), row, strict=True)) for row in found.pretrained.tried],
            "runs": _rows(found.runs),
            "directions": [
                {**dataclasses.asdict(d), "holds": d.holds, "holds_where_published": d.holds_where_published}
                for d in found.directions
            ],
        },
    }


def _rows(items: Iterable[Any]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(item) for item in items]


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


def _head(found: Findings) -> str:
    e = found.environment
    took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in found.seconds.items())
    return f"""# Theory checks of mixout

What Lee, Cho and Kang (ICLR 2020, arXiv:1909.11299, [Lee20]) prove and show about mixout, checked with this project's
own code. Every number is in `values.json`.

Made by `{e["command"]}` with Python {e["python"]}, torch {e["torch"]}, one CPU thread ({e["platform"]}).
Wall-clock time: {took}."""


def _least_squares(found: Findings) -> str:
    rows = [
        (
            f"{line.p:g}",
            _pair(line.trained),
            _pair(line.exact),
            f"{_distance(line.trained, line.exact):.4f}",
            f"{_distance(line.trained, found.problem.target.tolist()):.3f}",
        )
        for line in found.lines
    ]
    table = _table(("p", "fitted (w1, w2)", "exact minimiser", "distance to it", "distance to u"), rows)
    return f"""## 1. Least squares [Supp. D]

y = w1* x + w2* + noise with w* = {_pair(found.problem.true.tolist())}, {POINTS} points, noise of standard deviation
{NOISE:g}; the target is u = {_pair(found.problem.target.tolist())}. Both weights are mixed. Trained for {found.steps}
full-batch steps from (0, 0). The exact minimiser is that of L(w) + p/(1-p) * 1/2 sum_j H_jj (w_j - u_j)^2.

![Least squares: true, target and fitted line at four p](least_squares.png)

{table}

The largest distance between a fitted line and its exact minimiser is
{max(_distance(line.trained, line.exact) for line in found.lines):.4f}; w* and u are
{_distance(found.problem.true.tolist(), found.problem.target.tolist()):.3f} apart. It comes from the masks drawn on the
way: training ends after finitely many steps, the minimiser is that of the expectation."""


def _theorem(rows: Sequence[Excess]) -> str:
    worst = max(abs(row.quadratic / row.bound - 1) for row in rows)
    slack = min(row.logistic / row.bound for row in rows)
    by_p = {row.p: row for row in rows if row.p is not None}
    table = _table(
        ("p", "m p / (1 - p)", "quadratic / bound - 1", "logistic / bound"),
        [
            (
                f"{p:g}",
                f"{CONVEXITY * p / (1 - p):.4f}",
                f"{max(abs(row.quadratic / row.bound - 1) for row in rows if row.p == p):.1e}",
                f"{min(row.logistic / row.bound for row in rows if row.p == p):.4f}",
            )
            for p in sorted(by_p)
        ],
    )
    equal = "holds" if worst < ROUNDING else "DOES NOT HOLD"
    above = "holds" if slack >= 1 else "DOES NOT HOLD"
    return f"""## 2. Theorem 1 and Corollary 1.1

E L(Phi) - L(w) is summed over every mask in float64, no sampling, for weights of {SHAPE[0]}x{SHAPE[1]} and
m = {CONVEXITY:g}, and compared with the bound m sigma^2 / (2 mu^2) ||w - u||^2; under mixout that is
m p / (2 (1 - p)) ||w - u||^2.

![Excess loss over p, quadratic loss on the curve, logistic loss above it](theorem.png)

{table}

 - Equality for a quadratic loss of Hessian m I: **{equal}**, largest relative error {worst:.1e} (mixout at every p, and
   mixconnect with mask entries 0, 0.5 and 1.5).
 - Inequality for a strongly convex loss that is not quadratic (logistic + m/2 ||w||^2): **{above}**, the excess is at
   least {slack:.4f} times the bound."""


def _digits(found: Findings) -> str:
    source, target = found.domains
    data, plan = found.data, found.plan
    epochs, seed, best = found.pretrained.best
    parts = (data.source_train, data.source_validation, data.target_train, data.target_validation)
    sizes = [f"{len(part.labels):,}" for part in parts]
    headers = ("p", *(f"{method}: {measure}" for method, measure in KEYS))
    rows = [
        (f"{p:g}", *(_cell(found.curves[key], at, key[1]) for key in KEYS))
        for at, p in enumerate(found.curves["mixout", "source"].p)
    ]
    return f"""## 3. Digits [§4, Supp. C.1]

A 784-300-100-10 network (LayerNorm after ReLU, weights N(0, 0.02^2), biases 0), batches of 32, Adam with 10 % warm-up
and linear decay. Training and validation parts both come from the training file.

 - Source: {source.name} ({source.note}; {source.fingerprint}), {sizes[0]} for training, {sizes[1]} for validation.
 - Target: {target.name} ({target.note}; {target.fingerprint}), {sizes[2]} for training, {sizes[3]} for validation.
 - Pretraining: `{PRETRAINING}`, lr {plan.pretrain_lr:g}, epochs: {_listed(plan.pretrain_epochs)}, seeds
   each: {plan.pretrain_seeds}. Kept: {epochs} epochs, seed {seed}, source accuracy {100 * best:.2f} (EMNIST: 99.2).
 - Fine-tuning: lr {plan.finetune_lr:g}, {plan.finetune_epochs} epochs, {plan.restarts} restarts, `mixout(w_pre, p)` on
   the second and third weight matrices against `dropout(p)` on the hidden layers. A restart changes shuffling and
   masks. At p = 0 both are plain fine-tuning: one run counts for both.
 - Against the paper: {_reductions(plan)}

![Deviation, target and source accuracy over p](digits.png)

Mean over restarts ± half of the 95 % interval of the mean (Student's t); accuracies x100.

{_table(headers, rows)}"""


def _reductions(plan: Plan) -> str:
    """Every field of the plan that is not the paper's."""
    words = {
        "pretrain_epochs": "pretraining epochs",
        "pretrain_seeds": "pretraining seeds",
        "pretrain_lr": "pretraining lr",
        "finetune_epochs": "fine-tuning epochs",
        "finetune_lr": "fine-tuning lr",
        "restarts": "restarts",
        "validation": "validation share",
    }
    changed = [
        f"{text} {_listed(getattr(plan, name))} instead of {_listed(getattr(PAPER, name))}"
        for name, text in words.items()
        if getattr(plan, name) != getattr(PAPER, name)
    ]
    return "; ".join([*changed, "the data sets"]) + "; p beyond 0.3 is our addition."


def _directions(found: Findings) -> str:
    rows = [
        (d.statement, d.published, _measured(d), _verdict(d.holds_where_published), _verdict(d.holds), _where(d))
        for d in found.directions
    ]
    headers = ("direction", "published", "measured, by rising p", f"p <= {PUBLISHED_P:g}", "all p", "not")
    broken = [d.statement for d in found.directions if not d.holds]
    summary = (
        "Every published direction holds at every p measured."
        if not broken
        else "Not every published direction holds here: " + "; ".join(broken) + "."
    )
    return f"""### Published directions

{summary} Judged on the means over restarts, whatever their intervals; accuracies x100.

{_table(headers, rows)}"""


def _verdict(holds: bool | None) -> str:
    return "-" if holds is None else "holds" if holds else "**does not hold**"


def _where(direction: Direction) -> str:
    return "; ".join(f"at p = {a:g}" if a == b else f"from {a:g} to {b:g}" for a, b in direction.breaches)


def _measured(direction: Direction) -> str:
    accuracy = direction.scale == "accuracy"
    return ", ".join(f"{100 * value:.2f}" if accuracy else f"{value:.3f}" for value in direction.values)


def _cell(curve: Curve, at: int, measure: str) -> str:
    scale, digits = (1, 3) if measure == "deviation" else (100, 2)
    half = curve.half[at]
    return f"{scale * curve.mean[at]:.{digits}f}" + ("" if half is None else f" ± {scale * half:.{digits}f}")


def _pair(line: Sequence[float]) -> str:
    return f"({line[0]:.3f}, {line[1]:.3f})"


def _distance(first: Sequence[float], second: Sequence[float]) -> float:
    return float(np.linalg.norm(np.subtract(first, second)))


def _listed(value: Any) -> str:
    """`1, 2, 5`; runs of more than three integers as `1..20`."""
    if not isinstance(value, tuple):
        return f"{value:g}"
    if len(value) > 3 and list(value) == list(range(value[0], value[-1] + 1)):
        return f"{value[0]}..{value[-1]}"
    return ", ".join(f"{item:g}" for item in value)

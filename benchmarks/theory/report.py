"""The sections of the theory report, as Markdown; figures are expected next to it."""

import math
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from benchmarks.theory.digits import Domain
from benchmarks.theory.least_squares import NOISE, POINTS, Line, Problem
from benchmarks.theory.published import MEASURES, PUBLISHED_P, Curve, Direction
from benchmarks.theory.retention import METHODS, PAPER, PRETRAINING, Plan
from benchmarks.theory.theorem import CONVEXITY, SHAPE, Excess

KEYS = [(method, measure) for method in METHODS for measure in MEASURES]
ROUNDING = 1e-12  # relative; float64 sums over a few hundred masks stay far below


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


def head(made: dict[str, Any], seconds: dict[str, float]) -> str:
    """By what it was made, and how long that took."""
    took = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
    return f"""# Theory checks of mixout

What Lee, Cho and Kang (ICLR 2020, arXiv:1909.11299, [Lee20]) prove and show about mixout, checked with this project's
own code. Every number is in `values.json`.

Made by `{made["command"]}` with Python {made["python"]}, torch {made["torch"]}, one CPU thread ({made["platform"]}).
Wall-clock time: {took}."""


def least_squares(problem: Problem, lines: Sequence[Line], steps: int) -> str:
    """The fitted lines next to the exact minimisers."""
    true, target = problem.true.tolist(), problem.target.tolist()
    rows = [
        (
            f"{line.p:g}",
            _pair(line.trained),
            _pair(line.exact),
            f"{math.dist(line.trained, line.exact):.4f}",
            f"{math.dist(line.trained, target):.3f}",
        )
        for line in lines
    ]
    table = _table(("p", "fitted (w1, w2)", "exact minimiser", "distance to it", "distance to u"), rows)
    return f"""## 1. Least squares [Supp. D]

y = w1* x + w2* + noise with w* = {_pair(true)}, {POINTS} points, noise of standard deviation
{NOISE:g}; the target is u = {_pair(target)}. Both weights are mixed. Trained for {steps}
full-batch steps from (0, 0). The exact minimiser is that of L(w) + p/(1-p) * 1/2 sum_j H_jj (w_j - u_j)^2.

![Least squares: true, target and fitted line at four p](least_squares.png)

{table}

The largest distance between a fitted line and its exact minimiser is
{max(math.dist(line.trained, line.exact) for line in lines):.4f}; w* and u are
{math.dist(true, target):.3f} apart. It comes from the masks drawn on the
way: training ends after finitely many steps, the minimiser is that of the expectation."""


def theorem(rows: Sequence[Excess]) -> str:
    """The excess of both losses over the bound."""
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


def digits(
    domains: tuple[Domain, Domain],
    plan: Plan,
    tried: Sequence[tuple[int, int, float]],
    curves: dict[tuple[str, str], Curve],
) -> str:
    """What was trained on what, and the three curves over p; tried: as `retention.pretrain` gives it."""
    source, target = domains
    epochs, seed, best = max(tried, key=lambda row: row[2])
    sizes = [f"{len(part.labels):,}" for domain in domains for part in domain.split(plan.validation)]
    headers = ("p", *(f"{method}: {measure}" for method, measure in KEYS))
    rows = [
        (f"{p:g}", *(_cell(curves[key], at, key[1]) for key in KEYS))
        for at, p in enumerate(curves["mixout", "source"].p)
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


def directions(judged: Sequence[Direction]) -> str:
    """Whether the published directions hold."""
    rows = [
        (d.statement, d.published, _measured(d), _verdict(d.holds_where_published), _verdict(d.holds), _where(d))
        for d in judged
    ]
    headers = ("direction", "published", "measured, by rising p", f"p <= {PUBLISHED_P:g}", "all p", "not")
    broken = [d.statement for d in judged if not d.holds]
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


def _listed(value: Any) -> str:
    """`1, 2, 5`; runs of more than three integers as `1..20`."""
    if not isinstance(value, tuple):
        return f"{value:g}"
    if len(value) > 3 and list(value) == list(range(value[0], value[-1] + 1)):
        return f"{value[0]}..{value[-1]}"
    return ", ".join(f"{item:g}" for item in value)

"""Every method on every family: one step of a tiny random model, or the reason why the method does not act there.

`regbench matrix` prints it. A cell is a step that moves weights, two evaluations that agree, and a model that gives
the same after its weights were saved and loaded; anything else is an error, never an empty cell.
"""

import re
from collections.abc import Iterable
from typing import Any, cast

import torch
from tabulate import tabulate
from torch import Tensor

from regularizers.context import Context, SkipTrial, Training
from regularizers.loop import make_optimizer, step
from regularizers.registry import find, methods
from regularizers.strategy import BoundStrategy, Strategy, parse
from regularizers.surgery.forward import available
from regularizers.surgery.site_tables import ALIASES, TABLES
from regularizers.surgery.sites import Site, base_prefix, find_sites
from regularizers.testing.tiny_families import family_batch, tiny_family
from regularizers.testing.tiny_trial import SingleProcessAccelerator, example_scores, recipe

ACTS = "+"
NUMBER = re.compile(r"(?<=\.)\d+(?=\.)|(?<=\.)\d+$")


def attach(family: str, strategy: Strategy) -> BoundStrategy:
    """The strategy on a fresh tiny model of the family, ready for its first step."""
    model, head = tiny_family(family)
    scores = example_scores(model, strategy)
    generator, training = torch.Generator().manual_seed(1), Training(steps=2)
    bound = strategy.bind(Context(model, head, generator, fisher=scores, examples=8, training=training))
    bound.attach()
    return bound


def act(family: str, strategy: Strategy) -> str:
    """`ACTS`, or why the strategy is skipped on this family. Raises AssertionError for what it does wrong."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        try:
            bound = attach(family, strategy)
        except SkipTrial as skip:
            return str(skip)
        before = {name: w.detach().clone() for name, w in bound.context.model.named_parameters()}
        batch = family_batch()
        bound.start(lambda: [batch, batch])
        bound.context.training.optimizer = make_optimizer(bound, recipe(1e-2))
        bound.context.model.train()
        step(bound, batch, recipe(1e-2), cast(Any, SingleProcessAccelerator()))
        after = dict(bound.context.model.named_parameters())
        assert all(w.isfinite().all() for w in after.values()), f"{strategy} on {family}: not finite"
        assert any(not torch.equal(before[name], w) for name, w in after.items()), f"{strategy} on {family}: no step"
        first = evaluate(bound)
        assert torch.equal(first, evaluate(bound)), f"{strategy} on {family}: two evaluations differ"
        again = attach(family, strategy)
        again.context.model.load_state_dict(bound.context.model.state_dict())
        live, loaded = logits(bound), logits(again)
        assert torch.equal(live, loaded), f"{strategy} on {family}: differs after saving and loading"
    return ACTS


@torch.no_grad()
def evaluate(bound: BoundStrategy) -> Tensor:
    """Logits under the weights that the strategy evaluates."""
    with bound.evaluation():
        return logits(bound)


@torch.no_grad()
def logits(bound: BoundStrategy) -> Tensor:
    """Logits (4, 2) of the model as it is, in evaluation mode."""
    bound.context.model.eval()
    return bound.context.compute(family_batch()).logits


def example(name: str) -> Strategy:
    """The strategy with which a method is tried."""
    return parse(find(name).example or name)


def matrix(families: Iterable[str], names: Iterable[str]) -> dict[str, dict[str, str]]:
    """{method: {family: `ACTS` or the reason}}."""
    families = list(families)
    return {name: {family: act(family, example(name)) for family in families} for name in names}


def render(cells: dict[str, dict[str, str]], style: str = "simple") -> str:
    """The matrix as a table, with the reasons numbered below it."""
    reasons: dict[str, int] = {}
    rows = []
    for name, row in cells.items():
        found = [ACTS if cell == ACTS else str(reasons.setdefault(cell, len(reasons) + 1)) for cell in row.values()]
        rows.append([f"`{name}`" if style == "github" else name, *found])
    families = next(iter(cells.values()))
    table = tabulate(rows, ["", *families], style, disable_numparse=True)
    notes = "\n".join(f"{number}. {reason}" for reason, number in reasons.items())
    return f"{table}\n\n{notes}"


def site_table(style: str = "simple") -> str:
    """The families with their sites, whose they are, the mixed layers of both readings, and what the head reads."""
    rows = []
    for name, family in TABLES.items():
        model, head = tiny_family(name)
        sites, prefix = find_sites(model, head), base_prefix(model)
        own, ours = (_names([s for s in sites.dropouts if s.ours is mine]) for mine in (False, True))
        mixed = [_short(layer.removeprefix(prefix) for layer in sites.mixed[reading]) for reading in ("paper", "fed")]
        aliases = ", ".join(alias for alias, base in ALIASES.items() if base == name)
        rows.append([name, aliases or "-", own, ours or "-", *mixed, family.reads, available("packed", name)])
    headings = ["family", "same table", "the model's own sites", "ours", "paper", "fed", "head reads", "forward"]
    return tabulate(rows, headings, style)


def _names(sites: Iterable[Site]) -> str:
    return _short(site.name for site in sites)


def _short(names: Iterable[str]) -> str:
    """Names with their numbers replaced by `i`, each once."""
    return ", ".join(dict.fromkeys(NUMBER.sub("i", name) for name in names))


def report(*, markdown: bool) -> str:
    """Sites of every family, and every method on every family."""
    style = "github" if markdown else "simple"
    return f"{site_table(style)}\n\n{render(matrix(TABLES, sorted(methods())), style)}"

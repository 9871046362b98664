"""Every method on every family: one step of a tiny random model, or the reason why the method does not act there.

`regbench matrix` prints it. A cell is a step that moves weights, two evaluations that agree, and a model that gives
the same after its weights were saved and loaded; anything else is an error, never an empty cell.
"""

import re
from collections.abc import Iterable

import torch
from tabulate import tabulate
from torch import Tensor

from regularizers.context import SkipTrial
from regularizers.registry import find, methods
from regularizers.strategy import Strategy, example_of
from regularizers.surgery.forward import available
from regularizers.surgery.site_tables import ALIASES, TABLES
from regularizers.surgery.sites import Site, base_prefix, find_sites
from regularizers.testing.tiny_families import family_batch, tiny_family
from regularizers.testing.tiny_trial import Trial, first_difference

ACTS = "+"
NUMBER = re.compile(r"(?<=\.)\d+(?=\.)|(?<=\.)\d+$")


def attach(family: str, strategy: Strategy) -> Trial:
    """The strategy on a fresh tiny model of the family, ready to begin."""
    return Trial(strategy, model=tiny_family(family)[0], batch=family_batch(), steps=2)


def act(family: str, strategy: Strategy) -> str:
    """`ACTS`, or why the strategy is skipped on this family. Raises AssertionError for what it does wrong."""
    with torch.random.fork_rng(devices=[]):
        try:
            trial = attach(family, strategy)
        except SkipTrial as skip:
            return str(skip)
        before = trial.weights()
        first, second = trial.begin(lr=1e-2).train(1).outcome(), trial.outcome()
        assert all(value.isfinite().all() for value in first.values()), f"{strategy} on {family}: not finite"
        assert any(not torch.equal(w, first[name]) for name, w in before.items()), f"{strategy} on {family}: no step"
        assert first_difference(first, second) is None, f"{strategy} on {family}: two evaluations differ"
        again = attach(family, strategy)
        again.model.load_state_dict(trial.model.state_dict())
        assert torch.equal(logits(trial), logits(again)), f"{strategy} on {family}: differs after saving and loading"
    return ACTS


@torch.no_grad()
def logits(trial: Trial) -> Tensor:
    """Logits (4, 2) of the model as it is, in evaluation mode."""
    trial.model.eval()
    return trial.context.compute(trial.batch(0)).logits


def matrix(families: Iterable[str], names: Iterable[str]) -> dict[str, dict[str, str]]:
    """{method: {family: `ACTS` or the reason}}."""
    families = list(families)
    return {name: {family: act(family, example_of(find(name))) for family in families} for name in names}


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

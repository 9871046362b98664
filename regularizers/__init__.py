"""Fine-tuning regularizers: one method per file, one registry, and the one training loop that calls them.

Everything that a method is written with, built in or not, is imported from here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fisher.common.errors import InputError

if TYPE_CHECKING:
    from regularizers.applying import apply
    from regularizers.base import (
        ATTENTION_NOISE,
        AVERAGED_WEIGHTS,
        DROPOUT_SITES,
        EVERYTHING,
        MIXED_WEIGHTS,
        STARTING_WEIGHTS,
        TRAINED_WEIGHTS,
        Batch,
        Compute,
        Context,
        Output,
        Regularizer,
        SiteRate,
        SkipTrial,
        Step,
        linear_layers,
        number,
        one_of,
        outside_head,
        own_rate,
        require,
    )
    from regularizers.registry import register
    from regularizers.search import Choice, Layers, Linear, Log, Whole
    from regularizers.strategy import Strategy, parse
    from regularizers.surgery.folding import fold

__all__ = [
    "ATTENTION_NOISE", "AVERAGED_WEIGHTS", "DROPOUT_SITES", "EVERYTHING", "MIXED_WEIGHTS", "STARTING_WEIGHTS",
    "TRAINED_WEIGHTS", "Batch", "Choice", "Compute", "Context", "InputError", "Layers", "Linear", "Log", "Output",
    "Regularizer", "SiteRate", "SkipTrial", "Step", "Strategy", "Whole", "apply", "fold", "linear_layers",
    "number", "one_of", "outside_head", "own_rate", "parse", "register", "require",
]  # fmt: skip
_HOME = {
    "apply": "applying",
    "fold": "surgery.folding",
    "register": "registry",
    "Strategy": "strategy",
    "parse": "strategy",
    **dict.fromkeys(("Choice", "Layers", "Linear", "Log", "Whole"), "search"),
}


def __getattr__(name: str) -> Any:
    """Import what a name needs on first use: torch is not loaded for a command's --help."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'base')}"), name)

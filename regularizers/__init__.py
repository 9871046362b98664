"""Fine-tuning regularizers: one method per file, one registry, and the one training loop that calls them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fisher.common.errors import InputError

if TYPE_CHECKING:
    from regularizers.applying import apply
    from regularizers.base import Context, Output, Regularizer
    from regularizers.registry import register
    from regularizers.strategy import Strategy, parse
    from regularizers.surgery.folding import fold

__all__ = ["Context", "InputError", "Output", "Regularizer", "Strategy", "apply", "fold", "parse", "register"]
_HOME = {
    "apply": "applying",
    "fold": "surgery.folding",
    "register": "registry",
    "Strategy": "strategy",
    "parse": "strategy",
}


def __getattr__(name: str) -> Any:
    """Import what a name needs on first use: torch is not loaded for a command's --help."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'base')}"), name)

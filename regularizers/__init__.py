"""Fine-tuning regularizers: one method per file, one registry, and the one training loop that calls them."""

from fisher.common.errors import InputError
from regularizers.base import Context, Output, Regularizer
from regularizers.registry import register
from regularizers.strategy import Strategy, parse

__all__ = ["Context", "InputError", "Output", "Regularizer", "Strategy", "parse", "register"]

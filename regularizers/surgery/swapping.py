"""Let a model carry other weights for a while; afterwards it has its own again, bit for bit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def swapped_parameters(parameters: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> Iterator[None]:
    """Within it `parameters[name]` has the value `values[name]` for every name in `values` (equal shapes)."""
    own = {name: parameters[name].detach().clone() for name in values}
    try:
        write(parameters, values)
        yield
    finally:
        write(parameters, own)


@torch.no_grad()
def write(parameters: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copy the values into the parameters, in place."""
    for name, value in values.items():
        parameters[name].copy_(value)

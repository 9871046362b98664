"""Numbers to compute with."""

import pytest
import torch


@pytest.fixture
def numbers():
    """Return a function from a shape to fixed normal draws in float64."""
    return lambda *shape, seed=0: torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

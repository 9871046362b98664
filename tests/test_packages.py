"""A checkout runs where neither it nor what it can do without is installed."""

from importlib.metadata import PackageNotFoundError

import pytest

from benchmarks.__main__ import main
from benchmarks.trial.environment import environment
from fisher.common.packages import requirements_of, version_of


def test_what_is_installed_has_its_version_and_requirements() -> None:
    assert version_of("regbench")[0].isdigit()
    assert any(text.startswith("torch") for text in requirements_of("regbench"))


def test_a_checkout_that_is_not_installed_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("fisher.common.packages.version", missing)
    monkeypatch.setattr("fisher.common.packages.requires", missing)
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, "regbench not installed\n")
    assert environment.__wrapped__(1)["datasets"] == "not installed"
    assert requirements_of("regbench") == []

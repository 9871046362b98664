"""Suites: what ships is sound, what is resolved reads back, what is wrong is named by file and key."""

import tomllib
from pathlib import Path

import pytest

from benchmarks.suite import builtin_suites, load_suite, override
from benchmarks.tasks import find_task
from fisher.errors import InputError
from regularizers.strategy import parse

GOOD = {"tasks": ["rte"], "strategies": ["none"], "fractions": [0.1], "restarts": 2}


@pytest.mark.parametrize("name", builtin_suites())
def test_every_built_in_suite_parses_to_the_last_word(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert suite.description
    assert [str(parse(text)) for text in suite.strategies] == list(suite.strategies), "suites use the canonical form"
    assert [find_task(task).name for task in suite.tasks] == list(suite.tasks)


@pytest.mark.parametrize("name", builtin_suites())
def test_the_resolved_suite_reads_back_as_itself(name: str, tmp_path: Path) -> None:
    suite = load_suite(name)
    (tmp_path / "kept.toml").write_text(suite.to_toml())
    assert load_suite(str(tmp_path / "kept.toml")) == suite


def write(path: Path, **changes: object) -> str:
    """A suite file with some keys changed, or left out where the value is None."""
    import tomli_w

    content = {key: value for key, value in (GOOD | changes).items() if value is not None}
    path.write_text(tomli_w.dumps(content))
    return str(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": ["rte"]}, "unknown key 'task'; did you mean tasks?"),
        ({"restarts": None}, "the key 'restarts' is missing"),
        ({"restarts": "three"}, "'restarts' must be a whole number, got 'three'"),
        ({"restarts": True}, "'restarts' must be a whole number, got True"),
        ({"restarts": 0}, "restarts must be in 1..10000, got 0"),
        ({"tasks": "rte"}, "'tasks' must be a list of texts, got 'rte'"),
        ({"fractions": ["0.1"]}, "'fractions' must be a list of numbers"),
        ({"fractions": [0.0]}, r"fractions must be in \(0, 1\], got 0"),
        ({"fractions": [1.5]}, r"fractions must be in \(0, 1\], got 1.5"),
        ({"strategies": []}, "strategies must name at least one, got none: the grid would be empty"),
        ({"split_seeds": 3}, r"split_seeds must be in 1..restarts \(2\), got 3"),
        ({"protocol": "lee"}, "protocol must be one of lee20, sharma24, got 'lee'"),
        ({"set": {"epoch": 1}}, "unknown protocol field 'epoch'; did you mean epochs?"),
        ({"set": [1]}, "'set' must be a table of key = value, got list"),
        ({"fisher": {"sample": 1}}, "unknown key fisher.sample; "),
        ({"fisher": {"samples": 0}}, "fisher.samples must be at least 1, got 0"),
        ({"fisher": {"samples": "few"}}, "fisher.samples must be a whole number, got 'few'"),
    ],
)
def test_a_wrong_suite_is_one_sentence_with_file_and_key(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "mine.toml", **changes)
    with pytest.raises(InputError, match=message) as error:
        load_suite(path)
    assert "mine.toml" in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"tasks = [", "a suite must be a TOML file"), (b"\xff\xfe", "a suite must be a TOML file")],
)
def test_what_is_no_toml_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_suite(str(tmp_path / "bad.toml"))


def test_an_unknown_suite_gets_a_suggestion_and_the_list() -> None:
    with pytest.raises(InputError, match=r"unknown suite 'poket'; did you mean pocket\? available: "):
        load_suite("poket")
    with pytest.raises(InputError, match=r"absent\.toml: the suite cannot be read"):
        load_suite("absent.toml")


def test_flags_override_fields_and_another_protocol_drops_settings_made_for_the_first() -> None:
    suite = load_suite("pocket")
    assert suite.settings, "the pocket suite tunes lee20"
    changed = override(suite, {"restarts": 7, "tasks": None}, ["epochs=5", "fisher_samples=9"])
    assert (changed.restarts, changed.tasks, changed.settings["epochs"]) == (7, suite.tasks, 5)
    assert changed.fisher.samples == 9
    assert override(suite, {"protocol": "sharma24"}, []).settings == {}
    with pytest.raises(InputError, match="--set must be given key=value, got 'epochs'"):
        override(suite, {}, ["epochs"])


def test_the_kept_file_is_plain_toml() -> None:
    assert tomllib.loads(load_suite("pocket").to_toml())["set"]["batch_size"] == 16

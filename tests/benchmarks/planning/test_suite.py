"""Suites: what ships is sound, what is resolved reads back, what is wrong is named by file and key."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from benchmarks.data.tasks import find_task
from benchmarks.planning.embedded import on_own_corpus, on_pocket
from benchmarks.planning.names import builtin_suites
from benchmarks.planning.suite_file import load_suite, override
from benchmarks.trial.protocol import make_protocol
from benchmarks.tuning.families import read_family
from regularizers.strategy import parse

GOOD = {"tasks": ["rte"], "strategies": ["none"], "fractions": [0.1], "restarts": 2}


@pytest.mark.parametrize("name", builtin_suites())
def test_every_built_in_suite_parses_to_the_last_word(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert suite.description
    content = tomllib.loads(builtin_suites()[name].read_text(encoding="utf-8"))
    for block in (content, *content.get("variants", ())):
        written = block.get("strategies", [])
        assert [str(parse(text)) for text in written] == written, "suites use the canonical form"
        families = block.get("tuning", {}).get("families", [])
        assert [str(read_family(text)) for text in families] == families, "suites use the canonical form"
        assert [find_task(task).name for task in block.get("tasks", [])] == block.get("tasks", [])


@pytest.mark.parametrize("name", builtin_suites())
def test_the_resolved_suite_reads_back_as_itself(name: str, tmp_path: Path) -> None:
    suite = load_suite(name)
    (tmp_path / "kept.toml").write_text(suite.to_toml())
    assert load_suite(str(tmp_path / "kept.toml")) == suite


def test_each_restart_has_a_split_of_its_own_unless_the_suite_says_less(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path / "own.toml", restarts=6))
    assert [suite.split_of(restart) for restart in range(6)] == [0, 1, 2, 3, 4, 5]
    shared = load_suite(write(tmp_path / "shared.toml", restarts=6, split_seeds=4))
    assert [shared.split_of(restart) for restart in range(6)] == [0, 1, 2, 3, 0, 1]
    assert "split_seeds" not in suite.to_toml() and "split_seeds = 4" in shared.to_toml()
    assert load_suite("board").split_seeds == 4


def write(path: Path, **changes: object) -> str:
    """A suite file with some keys changed, or left out where the value is None."""
    content = {key: value for key, value in (GOOD | changes).items() if value is not None}
    path.write_text(tomli_w.dumps(content))
    return str(path)


def raw(folder: Path, content: bytes) -> str:
    (folder / "bad.toml").write_bytes(content)
    return str(folder / "bad.toml")


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
        ({"split_seeds": 0}, r"split_seeds must be in 1..restarts \(2\), got 0"),
        ({"split_seeds": 3}, r"split_seeds must be in 1..restarts \(2\), got 3"),
        ({"protocol": "lee"}, "protocol must be one of lee20, sharma24, got 'lee'"),
        ({"set": {"epoch": 1}}, "unknown protocol field 'epoch'; did you mean epochs?"),
        ({"set": [1]}, r"'set' must be a table of key = value, got \[1\]"),
        ({"fisher": {"sample": 1}}, "unknown key of fisher 'sample'; did you mean samples"),
        ({"fisher": {"samples": 0}}, "fisher.samples must be at least 1, got 0"),
        ({"fisher": {"samples": "few"}}, "fisher.samples must be a whole number, got 'few'"),
        ({"strategies": ["dropuot(0.1)"]}, "strategies: unknown regularizer 'dropuot'; did you mean dropout"),
        ({"tasks": ["rtee"]}, "tasks: unknown task 'rtee'; did you mean rte"),
        ({"deviations": "none"}, "'deviations' must be a list of texts, got 'none'"),
        ({"predict_test": 1}, "'predict_test' must be true or false, got 1"),
        ({"predict_test": True, "set": {"selection": "best_dev"}}, "predict_test must go with selection=last"),
        ({"variants": []}, r"'variants' must be one or more tables, each under \[\[variants\]\]"),
        ({"variants": [{}, {"fraction": 1}]}, "variant 2: unknown key 'fraction'; did you mean fractions"),
        ({"variants": [{"model": "pocket"}]}, "variant 1: unknown key 'model'"),
        ({"variants": [{"strategies": ["x"]}]}, "variant 1: strategies: unknown regularizer 'x'"),
        ({"variants": [{"set": 3}]}, "variant 1: 'set' must be a table"),
        ({"variants": [{"restarts": 0}]}, "restarts must be in 1..10000, got 0"),
        ({"tasks": None, "variants": [{"tasks": ["rte"]}, {}]}, "the key 'tasks' is missing"),
    ],
)
def test_a_wrong_suite_is_one_sentence_with_file_and_key(
    changes: dict[str, object], message: str, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    path = write(tmp_path / "mine.toml", **changes)
    said = refusal(load_suite, path)
    assert said.startswith(path + ": ") and re.search(message, said)


def overridden(*settings: str) -> object:
    return override(load_suite("pocket"), {}, list(settings))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda folder: load_suite("poket"), r"unknown suite 'poket'; did you mean pocket\? available: "),
        (lambda folder: load_suite("absent.toml"), r"absent\.toml: no such file"),
        (lambda folder: load_suite(raw(folder, b"tasks = [")), "a suite must be a TOML file"),
        (lambda folder: load_suite(raw(folder, b"\xff\xfe")), "is not UTF-8; it looks like UTF-16"),
        (lambda folder: overridden("epochs"), "--set must be given key=value, got 'epochs'"),
        (lambda folder: overridden("predict_test=yes"), "predict_test must be true or false, got 'yes'"),
        (
            lambda folder: on_pocket(load_suite(write(folder / "mine.toml", tasks=["qqp"]))),
            r"embedded counterpart \(cola, mrpc, rte, sst2, stsb\), got qqp",
        ),
    ],
)
def test_what_is_no_suite_and_what_it_cannot_be_is_refused(
    ask: Callable[[Path], object], message: str, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    assert re.search(message, refusal(ask, tmp_path))


def test_flags_override_fields_and_another_protocol_drops_settings_made_for_the_first() -> None:
    suite = load_suite("pocket")
    assert suite.settings, "the pocket suite tunes lee20"
    changed = override(suite, {"restarts": 7, "tasks": None}, ["epochs=5", "fisher_samples=9"])
    assert (changed.restarts, changed.tasks, changed.settings["epochs"]) == (7, suite.tasks, 5)
    assert changed.fisher.samples == 9
    assert override(suite, {"protocol": "sharma24"}, []).settings == {}


VARIANTS = [{"name": "short"}, {"fractions": [0.5], "set": {"epochs": 9}}, {"protocol": "sharma24", "restarts": 1}]


def test_variants_set_axes_in_place_of_the_suites_own_and_lay_settings_over_its(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path / "mine.toml", variants=VARIANTS, set={"epochs": 2, "lr": 1e-4}))
    short, long, other = suite.blocks()
    assert (short.fractions, short.settings) == ((0.1,), {"epochs": 2, "lr": 1e-4})
    assert (long.fractions, long.settings) == ((0.5,), {"epochs": 9, "lr": 1e-4})
    assert (other.restarts, other.settings) == (1, {}), "another protocol takes no settings made for the suite's own"
    assert [variant.name for variant in suite.variants] == ["short", "2", "3"]
    assert (suite.size(), suite.every("fractions")) == (5, (0.1, 0.5))


def test_what_variants_share_is_trained_once(tmp_path: Path) -> None:
    variants = [{"strategies": ["none", "dropout(0.1)"]}, {"strategies": ["none", "dropout(0.2)"]}]
    suite = load_suite(write(tmp_path / "mine.toml", strategies=None, variants=variants))
    assert suite.size() == 3 * 2
    assert suite.every("strategies") == ("none", "dropout(0.1)", "dropout(0.2)")


def test_flags_reach_every_variant(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path / "mine.toml", variants=VARIANTS, set={"epochs": 2}))
    blocks = override(suite, {"restarts": 3, "fractions": (1.0,)}, ["epochs=5", "batch_size=32"]).blocks()
    assert {(b.restarts, b.fractions) for b in blocks} == {(3, (1.0,))}
    assert [make_protocol(b.protocol, b.settings).epochs for b in blocks] == [5, 5, 5]
    assert [make_protocol(b.protocol, b.settings).batch_size for b in blocks] == [32, 32, 32], "also where 18 is usual"
    one = override(suite, {"protocol": "sharma24"}, [])
    assert [(b.protocol, b.settings) for b in one.blocks()] == [("sharma24", {})] * 3
    assert override(suite, {}, ["predict_test=true"]).predict_test


def test_on_the_embedded_model_tasks_are_the_embedded_ones(tmp_path: Path) -> None:
    variants = [{"tasks": ["sst2", "cola"]}, {}]
    suite = load_suite(write(tmp_path / "mine.toml", variants=variants, fisher={"corpus": "wiki", "samples": 900}))
    changed, said = on_pocket(suite)
    assert [block.tasks for block in changed.blocks()] == [("pocket-cola",), ("pocket-rte",)]
    assert "sst2 -> pocket-cola, cola -> pocket-cola, rte -> pocket-rte" in said[0]
    assert on_pocket(load_suite("pocket")) == (load_suite("pocket"), []), "what is embedded stays as it is"
    changed, said = on_own_corpus(suite)
    assert (changed.fisher.corpus, changed.fisher.samples) == ("", 500)
    assert said == ["--model pocket: Fisher scores from 500 documents of the embedded corpus"]

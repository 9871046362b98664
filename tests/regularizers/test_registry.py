"""The registry: names, plugins from files, modules and distributions, and what identifies their code."""

import importlib.metadata
import json
import os
import re
from pathlib import Path

import pytest

import regularizers
from benchmarks.run import main
from fisher.common.errors import InputError
from regularizers.base import Regularizer
from regularizers.describe import first_line
from regularizers.plugin_code import code_hash
from regularizers.registry import (
    ENTRY_POINTS,
    find,
    identity,
    load_entry_points,
    load_plugin,
    methods,
    register,
)
from regularizers.strategy import parse

PLUGIN = '''
"""A plugin."""
from dataclasses import dataclass
from regularizers import Regularizer, register

@register("{name}")
@dataclass
class Shake(Regularizer):
    p: float = 0.1
'''


@pytest.fixture
def plugin(tmp_path):
    def write(name="shake", text=PLUGIN, file="shake.py"):
        path = tmp_path / file
        path.write_text(text.format(name=name) if "{name}" in text else text)
        return str(path)

    return write


def test_techniques_are_in_alphabetical_order():
    assert list(methods()) == sorted(methods())


def test_every_registered_class_says_what_it_is():
    for name, cls in methods().items():
        assert cls.name == name and 0 < len(cls.summary) <= 70 and cls.equation, name
        assert cls.paper or name in ("none", "model_default"), name
        assert cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}("), name


@pytest.mark.long
def test_everything_registered_runs_on_pocket_in_two_minutes_of_one_core(tmp_path):
    strategies = [cls.example or name for name, cls in methods().items()]
    before = sum(os.times()[:4])  # of this process and of its workers
    words = ["--suite", "smoke", "--workers", "1", "--output", str(tmp_path)]
    assert main([*words, "--strategies", *strategies]) == 0
    assert sum(os.times()[:4]) - before < 120
    records = [json.loads(path.read_text()) for path in (tmp_path / "records").glob("*.json")]
    assert {r["config"]["strategy"] for r in records} == {str(parse(text)) for text in strategies}
    assert {r["result"]["status"] for r in records} <= {"ok", "failed"}  # a run that learned nothing is a result


@pytest.mark.parametrize(
    ("name", "what", "message"),
    [
        (
            "dropout",
            type("Mine", (Regularizer,), {}),
            "the name 'dropout' is already registered by regularizers",
        ),
        ("mine", type("Mine", (), {}), "a registered class must derive from regularizers.Regularizer, got <class"),
        ("mine", lambda: None, "a registered class must derive from regularizers.Regularizer, got"),
        ("my method", type("Mine", (Regularizer,), {}), "a regularizer's name must be an identifier, got 'my method'"),
    ],
)
def test_what_cannot_be_registered(name, what, message, refusal):
    assert re.search(message, refusal(lambda: register(name)(what)))


def test_a_plugin_file(plugin):
    path = plugin()
    assert load_plugin(path) == ["shake"] == load_plugin(path)
    assert str(parse("shake(0.2) + wdecay(0, 0.1)")) == "shake(0.2) + wdecay(0, 0.1)"
    assert identity("shake") == code_hash(PLUGIN.format(name="shake")) and identity("mixout") == find("mixout").version


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"FileNotFoundError: no such file: .*bad.py"),
        *(
            (content, "could not be imported: ")
            for content in (b"\x00\x01\x02", "x = 1".encode("utf-16"), b"x = '\xff'")
        ),
        ("import nowhere_at_all", "could not be imported: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("def broken(:", "could not be imported: SyntaxError"),
        ("raise SystemExit(3)", "could not be imported: SystemExit: 3"),
        ("x = 1", r"must register a regularizer with @register\(name\), got none"),
        (PLUGIN.replace("{name}", "dropout"), "could not be imported: InputError: the name 'dropout' is already"),
        (PLUGIN.replace("(Regularizer)", "").replace("{name}", "s"), "InputError: a registered class must derive from"),
        (PLUGIN.replace("{name}", "half") + "1 / 0", "could not be imported: ZeroDivisionError: division by zero"),
    ],
)
def test_a_bad_plugin_is_one_sentence_and_the_others_stay_usable(tmp_path, content, message):
    path, before = str(tmp_path / "bad.py"), set(methods())
    if content is not None:
        Path(path).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as caught:
        load_plugin(path)
    assert str(caught.value).startswith(f"the plugin {path} ") and "\n" not in str(caught.value)
    assert set(methods()) == before
    parse("dropout(0.1)")


def test_plugins_of_installed_distributions(tmp_path, monkeypatch):
    """A distribution with an entry point, as pip lays it down; one that breaks does not stop the others."""
    (tmp_path / "sound_plugin.py").write_text(PLUGIN.format(name="sound"))
    (tmp_path / "broken_plugin.py").write_text("1 / 0")
    info = tmp_path / "plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugins\nVersion: 1.0\n")
    points = "broken = broken_plugin\nsound = sound_plugin:Shake\n"
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n{points}")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert {point.name for point in importlib.metadata.entry_points(group=ENTRY_POINTS)} >= {"broken", "sound"}
    problems = load_entry_points()
    assert [p for p in problems if "broken" in p] == [
        "the plugin broken_plugin could not be imported: ZeroDivisionError: division by zero"
    ]
    assert find("sound").__module__ == "sound_plugin"
    assert str(parse("sound")) == "sound(0.1)"


LAID_OUT = '"""Module."""\n\n# a comment\ndef f( x ):\n    """Says what it does."""\n\n    return (x + 1)  # why\n'


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("def f(x):\n    return x + 1\n", LAID_OUT, True),
        ("def f(x):\n    return x + 1\n", "def f(x):\n    return x + 2\n", False),
        ('class A:\n    """Only this."""\n', "class A:\n    pass\n", True),
        ('f"{x:{w}}"', 'f"{x:{v}}"', False),
        ("1", "True", False),
        ("return_ = None", "return_ = 0", False),
        ("return_ = 0", "return_ = 0.0", False),
    ],
)
def test_the_hash_of_code_ignores_comments_docstrings_and_layout(one, other, same):
    assert (code_hash(one) == code_hash(other)) == same


EVERY_KIND = r'''
"""Syntax trees of this differ between versions of Python: f-strings, type parameters, characters new to Unicode."""
class Shake(Regularizer):
    """Doc."""
    p: float = -1e400
    bits: bytes = b"\x00"
    sign: str = "\U0001fae8 é"

    def attach(self, context, /, *more, width=5, **rest) -> None:
        names = [f"{name!r:>{width}}" "and" f"{name=}" for name in rest if name is not None]
        match names:
            case [first, *_]:
                return {**rest, "first": (first, 1j, ..., True, 10**20)}
        return f"{self.p:{width}.{width}}{'' or 0x_ff:}"
'''


def test_the_hash_of_code_is_the_same_in_every_version_of_python():
    """As found with Python 3.11.7, 3.12.1 and 3.13.0."""
    assert code_hash(EVERY_KIND) == "a2d974e5ddd47251"


def test_a_forgotten_dataclass_is_told(plugin, refusal):
    text = PLUGIN.replace("@dataclass\n", "")
    assert "Shake must be a dataclass; put @dataclass under @register('bare')" in refusal(
        load_plugin, plugin("bare", text.replace("{name}", "bare"))
    )
    constants = text.replace("    p: float = 0.1", "    p: ClassVar[float] = 0.1").replace("{name}", "plain")
    load_plugin(plugin("plain", "from typing import ClassVar" + constants, "plain.py"))
    assert str(parse("plain")) == "plain"


def test_a_whole_number_of_a_plugin_stays_one_however_annotations_are_kept(plugin):
    """As types, or as texts under `from __future__ import annotations`."""
    for name, first in (("typed", ""), ("texts", "from __future__ import annotations\n")):
        load_plugin(
            plugin(name, first + PLUGIN.replace("p: float = 0.1", "k: int = 1").replace("{name}", name), name + ".py")
        )
        assert type(parse(f"{name}(3)").terms[0].regularizer.k) is int


def test_a_plugin_declares_what_its_hyperparameters_must_be(plugin):
    text = PLUGIN.replace("{name}", "bound").replace("import Regularizer,", "import Regularizer, number, one_of,")
    declared = text.replace(
        "p: float = 0.1", 'p: float = number("in [0, 1)", 0.1)\n    how: str = one_of("a", "b", "c")'
    )
    load_plugin(plugin("bound", declared))
    assert str(parse("bound")) == "bound(0.1)" and str(parse("bound(0.2, how=c)")) == "bound(0.2, how=c)"
    for wrong, message in (
        ("1", r"p of bound must be in \[0, 1\), got 1"),
        ("0, how=d", "how of bound must be a, b or c, got d"),
    ):
        with pytest.raises(InputError, match=message):
            parse(f"bound({wrong})")
    with pytest.raises(
        InputError, match=r"a range must be one of >= 0, .*, got below 1; check others in __post_init__"
    ):
        load_plugin(plugin("odd", declared.replace("in [0, 1)", "below 1").replace("bound", "odd"), "odd.py"))


def test_a_hyperparameter_may_be_left_out_however_that_is_annotated(plugin):
    for at, kind in enumerate(("Optional[str]", "str | None", "Union[str, None]")):
        text = PLUGIN.replace("p: float = 0.1", f"p: float = 0.1\n    path: {kind} = None").replace(
            "{name}", f"opt{at}"
        )
        load_plugin(plugin(f"opt{at}", "from typing import Optional, Union" + text, f"opt{at}.py"))
        assert parse(f"opt{at}(0.1, abc)").terms[0].regularizer.path == "abc"


def test_a_hyperparameter_that_is_declared_anew_keeps_its_range(plugin, refusal):
    text = PLUGIN.replace("(Regularizer)", "(Dropout)").replace("import register", "import register")
    inner = text.replace("import Regularizer, register", "import register").replace("{name}", "mydrop")
    load_plugin(plugin("mydrop", "from regularizers.methods.dropout import Dropout" + inner, "mydrop.py"))
    assert str(parse("mydrop")) == "mydrop(0.1)"
    assert "p of mydrop must be in [0, 1), got 1.5" in refusal(parse, "mydrop(1.5)")


def test_everything_that_a_method_is_written_with_comes_from_the_package():
    for name in regularizers.__all__:
        assert getattr(regularizers, name), name


@pytest.mark.parametrize("error", ["ValueError", "KeyError"])
def test_a_plugins_own_check_of_its_arguments_is_a_sentence(plugin, error, refusal):
    check = f"""
    def __post_init__(self):
        if self.p > 1:
            raise {error}("p must be at most 1")
"""
    load_plugin(plugin("strict", PLUGIN.replace("{name}", "strict") + check))
    assert str(parse("strict(0.5)")) == "strict(0.5)"
    assert re.search(f"strict refuses its arguments: {error}: .?p must be at most 1", refusal(parse, "strict(2)"))


def test_the_signature_that_dataclass_writes_is_no_summary(plugin):
    load_plugin(plugin("silent", PLUGIN.replace("{name}", "silent").replace('"""A plugin."""', "")))
    assert first_line(find("silent")) == ""

"""A plugin's identity: the modules of the user's that it imports count, and a warning names what does not."""

import sys

import pytest

from regularizers.registry import find, identity, load_plugin, load_plugins

METHOD = '''
@register("{name}")
@dataclass
class Shake(Regularizer):
    """Shakes."""

    p: float = 0.1
'''
HEADER = "from dataclasses import dataclass\nfrom regularizers import Regularizer, register\n"
FILES = {
    "shakers/__init__.py": "",
    "shakers/strong.py": HEADER + "from . import noise\nfrom .deep.scale import factor\n" + METHOD,
    "shakers/noise.py": "import math\nimport outside\nWIDTH = 1\n",
    "shakers/deep/__init__.py": "DEPTH = 1\n",
    "shakers/deep/scale.py": "def factor():\n    from shakers import late\n    return late.VALUE\n",
    "shakers/late.py": "VALUE = 3\n",
    "shakers/unused.py": "VALUE = 4\n",
    "outside.py": "import shakers.noise\nFAR = 5\n",
}


@pytest.fixture
def identity_with(tmp_path, monkeypatch):
    """The identity of `shake` where some files hold something else, in a folder of its own each time."""
    count = iter(range(100))

    def load(changes=(), reference="shakers.strong"):
        root = tmp_path / str(next(count))
        for name, text in (FILES | dict(changes)).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text.replace("{name}", "shake"))
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(root))
            load_plugin(reference if not reference.endswith(".py") else str(root / reference))
            found = identity("shake")
        for name in [name for name in sys.modules if name.split(".")[0] in ("shakers", "outside")]:
            del sys.modules[name]
        for table in ("_methods", "_identities"):
            getattr(sys.modules["regularizers.registry"], table).pop("shake")
        for name in [name for name in sys.modules if name.startswith("regbench_plugin_")]:
            del sys.modules[name]
        return found

    return load


@pytest.mark.parametrize("file", sorted(set(FILES) - {"shakers/unused.py"}))
def test_every_module_that_a_plugin_imports_counts(identity_with, file):
    assert identity_with() != identity_with({file: FILES[file] + "CHANGED = True\n"})


def test_comments_and_modules_that_it_does_not_import_do_not_count(identity_with):
    changes = {"shakers/unused.py": "VALUE = 5\n", "shakers/noise.py": "# wider\n" + FILES["shakers/noise.py"]}
    assert identity_with() == identity_with(changes)


def test_the_identity_is_that_of_the_class_whichever_module_is_named(identity_with):
    package = {"shakers/__init__.py": "from shakers.strong import Shake\n"}
    assert identity_with(package, "shakers") == identity_with(package, "shakers.strong")


def test_a_file_with_a_helper_next_to_it(identity_with):
    text = HEADER + "import outside\n" + METHOD
    files = {"alone.py": text, "outside.py": "FAR = 5\n"}
    assert identity_with(files, "alone.py") == identity_with(files, "alone.py")
    assert identity_with(files, "alone.py") != identity_with(files | {"outside.py": "FAR = 6\n"}, "alone.py")


def test_what_the_identity_does_not_cover_is_named(tmp_path, monkeypatch):
    """An installed distribution of others, and a module that is imported by a computed name."""
    installed = tmp_path / "site-packages" / "vendored.py"
    installed.parent.mkdir()
    installed.write_text("")
    (tmp_path / "asked.py").write_text("")
    (tmp_path / "many.py").write_text(
        HEADER + "import importlib, numpy, vendored\nimportlib.import_module('as' + 'ked')\n" + METHOD.format(name="m")
    )
    monkeypatch.syspath_prepend(str(installed.parent))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_plugins(["many"])[-1:] == [
        "the plugin many: the identity of its trials does not cover the code of asked, vendored; "
        "use another --output when that changes"
    ]


def test_two_spellings_of_one_file_are_one_plugin(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(HEADER + METHOD.format(name="mine"))
    monkeypatch.chdir(tmp_path)
    assert load_plugin("mine.py") == load_plugin("./mine.py") == load_plugin(str(tmp_path / "mine.py")) == ["mine"]
    assert find("mine").__module__.startswith("regbench_plugin_")

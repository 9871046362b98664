"""What identifies a plugin's code: a hash of its module and of every module of the user's that it imports."""

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from fisher.common.packages import requirements_of

OURS = frozenset(("benchmarks", "fisher", "leaderboard", "regularizers"))  # each built-in has a version of its own
INSTALLED = frozenset(("site-packages", "dist-packages"))


@dataclass
class PluginCode:
    """Sources by module, in the order they were found, and the names of what is imported and not among them."""

    root: str
    sources: dict[str, str] = field(default_factory=dict)
    uncovered: set[str] = field(default_factory=set)

    def digest(self) -> str:
        """A hash of the code; that of a plugin in one file is the hash of this file."""
        hashes = {name: code_hash(source) for name, source in self.sources.items()}
        main = hashes.pop(self.root, "")
        if not hashes:
            return main
        content = json.dumps([main, *sorted(hashes.items())])
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def plugin_code(module: ModuleType) -> PluginCode:
    """The code of a plugin: its module, and what this one imports, wherever in the file, of the user's own modules.

    The user's own are those of the plugin's package, and all others that are neither the standard library's, nor
    installed, nor this project's.
    """
    code = PluginCode(module.__name__)
    _, dot, _ = module.__name__.rpartition(".")
    queue = list(_with_parents(module.__name__)) if dot else [module.__name__]
    while queue:
        name = queue.pop(0)
        if name in code.sources or not (path := _file_of(name)):
            continue
        if path.suffix != ".py":
            code.uncovered.add(name)
            continue
        with tokenize.open(path) as file:
            source = code.sources[name] = file.read()
        for imported in _imports(source, name, is_package=path.name == "__init__.py"):
            if _is_own(imported, code.root):
                queue += _with_parents(imported)
            elif _is_foreign(imported):
                code.uncovered.add(imported.split(".")[0])
    return code


def code_hash(source: str) -> str:
    """SHA-256 of the syntax tree without comments, docstrings and layout, so that only a change of code counts.

    What is hashed is a form of our own, the same in every version of Python. A file that is no Python is hashed as it
    stands.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return hashlib.sha256(source.encode()).hexdigest()[:16]
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.JoinedStr):  # Python 3.12 leaves empty texts in f-strings
            node.values = [part for part in node.values if not (isinstance(part, ast.Constant) and part.value == "")]
    return hashlib.sha256(json.dumps(_plain(tree)).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """A syntax tree as lists `[type, [field, value], ...]` without empty fields; constants as their type and text."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, ast.AST):
        return f"{type(value).__name__} {value!a}"
    fields = [(name, field) for name, field in ast.iter_fields(value) if field is not None and field != []]
    return [type(value).__name__, *([name, _plain(field)] for name, field in fields)]


def loaded_outside(code: PluginCode, loaded: set[str]) -> set[str]:
    """Own modules among those `loaded` that no import statement of the plugin names."""
    return {name for name in loaded if name not in code.sources and _is_own(name, code.root)}


def _imports(source: str, module: str, *, is_package: bool) -> Iterator[str]:
    """Dotted names that may be modules, of all import statements of a file."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(filter(None, (above, node.module)))
            yield from (base, *(f"{base}.{alias.name}" for alias in node.names))


def _with_parents(name: str) -> list[str]:
    """`a.b.c` as `a`, `a.b`, `a.b.c`: importing it runs them all."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _is_own(name: str, root: str) -> bool:
    """Whether a module is the user's own, so that its code belongs to the plugin's."""
    top = name.split(".")[0]
    if top in OURS or top in sys.stdlib_module_names:
        return False
    if top == root.split(".")[0]:
        return True
    path = _file_of(top)
    return path is not None and INSTALLED.isdisjoint(path.parts) and "frozen" not in path.parts


def _is_foreign(name: str) -> bool:
    """Whether a module belongs to an installed distribution that this project does not itself require."""
    top = name.split(".")[0]
    if top in OURS or top in sys.stdlib_module_names or _file_of(top) is None:
        return False
    known = {_normal(text) for text in requirements_of("regbench")}
    distributions = importlib.metadata.packages_distributions().get(top, [top])
    return known.isdisjoint(map(_normal, distributions))


def _normal(requirement: str) -> str:
    """A distribution's name as requirements and metadata spell it alike."""
    found = re.match(r"[\w.-]+", requirement)
    return re.sub(r"[-_.]+", "-", found[0] if found else "").lower()


def _file_of(name: str) -> Path | None:
    """The file of a module, loaded or not; None where there is no such module or it has no file."""
    module = sys.modules.get(name)
    try:
        spec = None if module else importlib.util.find_spec(name)
    except Exception:  # a parent that fails to import, whatever it raises
        return None
    found = getattr(module, "__file__", None) if module else spec and spec.has_location and spec.origin
    return Path(found) if found else None

"""The registry: `@register("name")` on a class, built in or from a stranger's file, module or distribution."""

import dataclasses
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from fisher.common.errors import InputError, require, require_known
from regularizers.base import Regularizer
from regularizers.plugin_code import PluginCode, loaded_outside, plugin_code
from regularizers.search import require_search

ENTRY_POINTS = "regbench.regularizers"
_methods: dict[str, type[Regularizer]] = {}
_identities: dict[str, int | str] = {}
_uncovered: dict[str, set[str]] = {}  # by plugin: what it imports and its identity does not cover
C = TypeVar("C", bound=type)


def register(name: str) -> Callable[[C], C]:
    """Class decorator that makes a Regularizer available under `name` in strategies.

    Raises InputError for a name that is taken or no identifier and for a class that is no Regularizer dataclass.
    """

    def add(cls: C) -> C:
        if not (isinstance(cls, type) and issubclass(cls, Regularizer)):
            raise InputError(f"a registered class must derive from regularizers.Regularizer, got {cls!r}")
        require(name.isidentifier(), "a regularizer's name must be an identifier", f"{name!r}")
        if name in _methods:
            raise InputError(f"the name {name!r} is already registered by {_methods[name].__module__}; choose another")
        fields = [name for name, kind in inspect.get_annotations(cls).items() if "ClassVar" not in str(kind)]
        require(
            not fields or "__dataclass_fields__" in vars(cls),
            f"{cls.__name__} must be a dataclass; put @dataclass under @register({name!r})",
        )
        known = {f.name for f in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
        require_search(name, cls.search, known)
        cls.name = name
        _methods[name] = cls
        return cls

    return add


def methods() -> dict[str, type[Regularizer]]:
    """Every registered class by name, built-in ones first imported on demand, in alphabetical order."""
    load_builtin()
    return dict(sorted(_methods.items()))


def find(name: str) -> type[Regularizer]:
    """The class registered under `name`; an unknown name is refused with the nearest one and the list."""
    known = methods()
    require_known("regularizer", [name], known)
    return known[name]


def identity(name: str) -> int | str:
    """What stands for the method's code in a trial's identity: a built-in's version, a plugin's code hash."""
    cls = find(name)
    return _identities.get(name, cls.version)


@functools.cache
def load_builtin() -> None:
    """Import every module of this package that may hold a method; a file there is all a built-in needs."""
    package = importlib.import_module("regularizers.methods")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"regularizers.methods.{module.name}")


def load_plugin(reference: str) -> list[str]:
    """Import a plugin (`path/to/file.py` or `package.module`) and return the names it registered.

    A plugin that cannot be imported is refused in one sentence and leaves no half-registered name behind; loading the
    same reference again is harmless.
    """
    load_builtin()
    place = str(Path(reference).resolve()) if reference.endswith(".py") else reference
    module_name = f"regbench_plugin_{hashlib.sha256(place.encode()).hexdigest()[:12]}"
    if module_name in sys.modules:
        return list(sys.modules[module_name].__dict__["_regbench_names"])
    before, loaded = set(_methods), set(sys.modules)
    try:
        module = (
            _import_file(Path(reference), module_name)
            if reference.endswith(".py")
            else importlib.import_module(reference)
        )
        code = plugin_code(module)
        names = [n for n, cls in _methods.items() if cls.__module__ in code.sources]
        _identities.update({name: _code_of(name, module, code).digest() for name in names})
    except BaseException as error:
        for name in set(_methods) - before:
            del _methods[name]
        sys.modules.pop(module_name, None)
        if isinstance(error, KeyboardInterrupt):
            raise
        raise InputError(f"the plugin {reference} could not be imported: {type(error).__name__}: {error}") from error
    require(names, f"the plugin {reference} must register a regularizer with @register(name)", "none")
    _uncovered[reference] = code.uncovered | loaded_outside(code, set(sys.modules) - loaded)
    module.__dict__["_regbench_names"] = names
    sys.modules[module_name] = module
    return names


def _code_of(name: str, module: ModuleType, code: PluginCode) -> PluginCode:
    """The code of one of a plugin's classes, whichever of the plugin's modules was named."""
    home = _methods[name].__module__
    return code if home == module.__name__ else plugin_code(sys.modules[home])


def load_plugins(references: Iterable[str]) -> list[str]:
    """Load what a command line names, then what installed distributions announce; returns sentences to warn with.

    They say which of the latter failed, and what code the identity of a plugin does not cover. Every process that
    parses strategies begins with this: the launcher, and each worker before a trial. Raises InputError for a plugin
    that was named.
    """
    for reference in references:
        load_plugin(reference)
    failed = load_entry_points()
    return [*failed, *(_not_covered(reference, names) for reference, names in _uncovered.items() if names)]


def _not_covered(reference: str, names: Iterable[str]) -> str:
    shown = ", ".join(sorted(names))
    return (
        f"the plugin {reference}: the identity of its trials does not cover the code of {shown}; "
        "use another --output when that changes"
    )


@functools.cache
def load_entry_points() -> list[str]:
    """Load the plugins that installed distributions announce, once; returns one sentence for each that failed."""
    problems = []
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            load_plugin(point.value.split(":")[0])
        except InputError as error:
            problems.append(str(error))
    return problems


def _import_file(path: Path, module_name: str) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module

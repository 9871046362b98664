"""What is installed: a checkout also runs where nothing of it is."""

from importlib.metadata import PackageNotFoundError, requires, version


def version_of(package: str) -> str:
    """The version of a package, or `not installed`: local files need no `datasets`, a checkout no `regbench`."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def requirements_of(package: str) -> list[str]:
    """What an installed package requires, as it is written there; nothing where it is not installed."""
    try:
        return requires(package) or []
    except PackageNotFoundError:
        return []

"""Points of surfaces on disk: one JSON line each, added as they come, behind a first line that says of what."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fisher.common.errors import InputError
from fisher.common.files import read_regular, write_file

Key = tuple[int, str, int, int]  # direction seed, variant, row, column


class Points:
    """The losses that are known; a line that an interruption cut off is dropped. To be used in a `with` statement."""

    def __init__(self, path: Path, recipe: Mapping[str, Any]) -> None:
        self.path = path
        self.known: dict[Key, float] = {}
        lines = [json.dumps(recipe, sort_keys=True), *self.read(recipe)]
        write_file(path, "".join(line + "\n" for line in lines).encode())
        self.file = path.open("a", encoding="utf-8")

    def __enter__(self) -> "Points":
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError):  # of a line that found no room, which `add` has reported
            self.file.close()

    def read(self, recipe: Mapping[str, Any]) -> list[str]:
        """Known points; those of another request are refused."""
        if not self.path.exists():
            return []
        try:
            first, *rest = read_regular(self.path).decode("utf-8").split("\n")
            changed = sorted(name for name, value in json.loads(first).items() if recipe.get(name) != value)
        except (OSError, ValueError, AttributeError, RecursionError):
            raise InputError(
                f"{self.path} should hold the points of landscapes but cannot be read: remove it"
            ) from None
        if changed:
            raise InputError(
                f"{self.path} holds points of another request ({', '.join(changed)} differ): choose another folder"
            )
        kept = []
        for line in rest:
            try:
                seed, variant, row, column, loss = json.loads(line)
                self.known[(seed, variant, row, column)] = float(loss)
            except (ValueError, TypeError, OverflowError, RecursionError):
                continue
            kept.append(line)
        return kept

    def add(self, key: Key, loss: float) -> None:
        self.known[key] = loss
        try:
            self.file.write(json.dumps([*key, loss]) + "\n")
            self.file.flush()
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be written ({error.strerror}): free some room and run the same command again"
            ) from error

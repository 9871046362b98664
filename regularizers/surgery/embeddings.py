"""Where a model looks its word embeddings up, and what a technique adds to them for a pass."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch import Tensor, nn

from regularizers.base import Context, Regularizer, SkipTrial

Offset = Callable[[int, Tensor], Tensor]


def tables(context: Context, technique: str) -> dict[str, nn.Module]:
    """The modules that look word embeddings up, by name: one, or T5's two, which share the weight of a third.

    Raises SkipTrial for a model without word embeddings.
    """
    model: Any = context.model
    if not hasattr(model, "get_input_embeddings"):
        raise SkipTrial(f"{technique} needs a model with word embeddings")
    holder = model.get_input_embeddings()
    modules = {name: m for name, m in model.named_modules() if isinstance(m, nn.Embedding)}
    shared = {name: m for name, m in modules.items() if m.weight is holder.weight}
    return {name: m for name, m in shared.items() if m is not holder or len(shared) == 1}


class OnEmbeddings(Regularizer):
    """What moves the word embeddings in some passes: `with self._embeddings.adding(offset): compute(batch)`."""

    body_only = True

    def attach(self, context: Context) -> list[str]:
        """Hook the word embeddings; returns the names of their tables."""
        found = tables(context, self.name)
        self._embeddings = WordEmbeddings(found.values())
        return list(found)


class WordEmbeddings:
    """The word embeddings of a model; within `adding` something is added to what is looked up."""

    def __init__(self, tables: Iterable[nn.Module]) -> None:
        self.offset: Offset | None = None
        self.count = 0
        for table in tables:
            table.register_forward_hook(self._after)

    def _after(self, table: nn.Module, args: tuple[Any, ...], x: Tensor) -> Tensor | None:
        if self.offset is None:
            return None
        self.count += 1
        return x + self.offset(self.count - 1, x)

    @contextlib.contextmanager
    def adding(self, offset: Offset) -> Iterator[None]:
        """Within it `offset(i, x)` is added to the i-th result x (rows, tokens, width) of a table, i = 0, 1, ...

        One pass of an encoder or decoder looks up once, one of T5 twice.
        """
        self.offset, self.count = offset, 0
        try:
            yield
        finally:
            self.offset = None

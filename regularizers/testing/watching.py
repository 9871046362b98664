"""Function modes of the conformance kit: who draws from torch's default generator; noise that examples share."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name

from regularizers.context import Batch, Output
from regularizers.testing.tiny_trial import Trial

STOCK = ("dropout", "scaled_dot_product_attention")  # what may draw from torch's default generator


class DefaultDraws(TorchFunctionMode):
    """Records which functions draw from torch's default generator, stock dropout excepted."""

    def __init__(self) -> None:
        super().__init__()
        self.offenders: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call, and note a function that moved the default generator."""
        before = torch.default_generator.get_state()
        result = func(*args, **(kwargs or {}))
        name = resolve_name(func) or getattr(func, "__name__", repr(func))
        if name.rsplit(".", 1)[-1] not in STOCK and not torch.equal(before, torch.default_generator.get_state()):
            self.offenders.append(name)
        return result


class SharedNoise(TorchFunctionMode):
    """Gives every example of a batch the same noise, and the k-th draw of every pass the same values.

    With it the loss of a batch is a function of its examples alone, so that duplicating or dividing the batch must
    leave the mean as it is. Needs eager attention, where dropout on probabilities is a call of its own.
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator, self.calls, self.size = generator, 0, 0

    def restart(self, size: int) -> SharedNoise:
        """Begin a pass over a batch of `size` examples."""
        self.calls, self.size = 0, size
        return self

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call; where random numbers came out for each example, let the first example's stand for all."""
        kwargs = kwargs or {}
        if resolve_name(func) == "torch.nn.functional.dropout":
            self._reseed()
            x = args[0] if args else kwargs.pop("input")
            kwargs.pop("inplace", None)
            return x * func(torch.ones_like(x[:1]), *args[1:], **kwargs)
        sources = [torch.default_generator, kwargs.get("generator") or self.generator]
        before = [source.get_state() for source in sources]
        result = func(*args, **kwargs)
        if all(torch.equal(was, source.get_state()) for was, source in zip(before, sources, strict=True)):
            return result
        self._reseed(sources[1])
        result = func(*args, **kwargs)
        if isinstance(result, Tensor) and result.dim() > 0 and len(result) == self.size:
            with torch.no_grad():
                result.copy_(result[:1].clone().expand_as(result))
        return result

    def _reseed(self, source: torch.Generator = torch.default_generator) -> None:
        self.calls += 1
        digest = hashlib.sha256(f"draw {self.calls}".encode()).digest()
        for generator in (source, torch.default_generator):
            generator.manual_seed(int.from_bytes(digest[:4], "big"))


def share_noise(trial: Trial) -> None:
    """Let every further loss of the trial be taken under `SharedNoise`."""
    mode, loss = SharedNoise(trial.context.generator), trial.bound.loss

    def shared(batch: Batch) -> Output:
        states = trial.generators()
        with mode.restart(len(batch["labels"])):
            output = loss(batch)
        trial.restore(states)
        return output

    trial.bound.loss = shared  # type: ignore[method-assign]

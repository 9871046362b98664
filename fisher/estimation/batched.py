"""Squares of per-sample gradients from one backward pass over a batch of samples.

Autograd sums a parameter's gradient over the batch before it could be squared. So while the model runs, each torch
function on a parameter is carried out on the detached parameter and noted (`uses`); when the gradient of its
result arrives, per-sample gradients are formed block by block, squared and added up. Beside the sums only the batch's
activations take memory that counts, whatever the number of samples.

A parameter with several uses (tied embeddings) waits until all have reported; they are summed per sample first.
Which tensors belong to the batch is followed from its inputs on. A value computed from parameters alone (position
embeddings, T5's relative position bias) is treated as one copy per sample from where it first meets the batch.
A use that is none of these raises `Unbatchable`.
"""

from collections import defaultdict
from functools import reduce
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from fisher.estimation.uses import PAIRING, RULES, Gradient, Use
from fisher.pretraining.objectives import Batch, Loss

Arrived = tuple[Gradient, torch.Tensor]  # what a use does, and the gradient of its result

ELEMENTS = 1 << 17  # numbers in the per-sample gradients held at once


class Unbatchable(Exception):
    """The model uses a parameter in a way whose per-sample gradient is not known here; nothing has been added."""


def add_squares(total: dict[str, torch.Tensor], model: torch.nn.Module, batch: Batch, loss: Loss) -> torch.Tensor:
    """Add sum_k (d l(x_k) / d theta_i)^2 over a batch's samples to `total`, in place; return the losses, (batch,).

    `total` has a tensor for each parameter of interest, in its dtype. The model must be in evaluation mode.
    """
    parameters = dict(model.named_parameters())
    collector = Collector({name: parameters[name] for name in total}, total, batch)
    with collector:
        losses = loss(model, batch)
    if not losses.requires_grad:
        return losses
    losses.sum().backward()
    collector.flush_rest()
    return losses.detach()


class Collector(TorchFunctionMode):
    """Lets torch functions act as they do, but notes the uses of parameters and squares their gradients."""

    def __init__(self, parameters: dict[str, torch.Tensor], total: dict[str, torch.Tensor], batch: Batch) -> None:
        super().__init__()
        self.parameters = parameters
        self.names = {id(value): name for name, value in parameters.items()}
        self.total = total
        self.size = len(next(iter(batch.values())))
        self.expected: dict[str, int] = defaultdict(int)
        self.arrived: dict[str, list[tuple[Use, torch.Tensor]]] = defaultdict(list)
        mark(batch)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = tensors_in((args, kwargs))
        used = {self.names[id(value)] for value in tensors if id(value) in self.names}
        if not any(in_batch(value) for value in tensors):
            return self.outside(func, args, kwargs, used, tensors)
        if used and func in RULES:
            return mark(self.call(func, args, kwargs))
        args, kwargs = tree_map_only(torch.Tensor, lambda value: self.spread(value, func, tensors), (args, kwargs))
        result = func(*args, **kwargs)
        if used and any(value.requires_grad for value in tensors_in(result) if id(value) not in self.names):
            raise Unbatchable(f"{min(used)} in {name_of(func)}")
        return mark(result)

    def outside(self, func: Any, args: Any, kwargs: Any, used: set[str], tensors: list[torch.Tensor]) -> Any:
        """A function of no sample: plain autograd, but its result remembers which parameters it comes from."""
        result = func(*args, **kwargs)
        made = [value for value in tensors_in(result) if value.requires_grad and id(value) not in self.names]
        sources = used.union(*(sources_of(value) for value in tensors))
        if made and not sources:
            raise Unbatchable(f"{name_of(func)} lost track of the batch")
        for value in made:
            value.sources = sources  # type: ignore[attr-defined]
        return result

    def call(self, func: Any, args: Any, kwargs: Any) -> torch.Tensor:
        """A known function on parameters; the gradient of its result is waited for."""
        try:
            result, uses = RULES[func](self.size, *args, **kwargs)
        except (NotImplementedError, TypeError, RuntimeError) as error:
            raise Unbatchable(f"{name_of(func)}: {error}") from error
        result = result if result.requires_grad else result.requires_grad_()
        self.expect(result, [use for use in uses if id(use.parameter) in self.names])
        return result.clone() if result.is_leaf else result

    def spread(self, value: torch.Tensor, func: Any, others: list[torch.Tensor]) -> torch.Tensor:
        """What is the same for all samples, as one copy per sample, so that its gradient comes back per sample."""
        if in_batch(value) or not value.requires_grad or id(value) in self.names:
            return value
        rows = {other.shape[0] for other in others if in_batch(other) and other.ndim == value.ndim}
        alike = value.shape[0] in rows and value.shape[0] % self.size == 0
        if func not in PAIRING or not sources_of(value) or not (alike or (value.shape[0] == 1 and rows == {self.size})):
            raise Unbatchable(f"{' and '.join(sorted(sources_of(value)))} in {name_of(func)}")
        copies = value.detach() if alike else value.detach().expand(self.size, *value.shape[1:])
        copies.requires_grad_()
        self.expect(copies, [self.pull_back(name, value) for name in sorted(sources_of(value))])
        return copies

    def pull_back(self, name: str, value: torch.Tensor) -> Use:
        """The use of a parameter through a value outside of the batch, by autograd, one sample after the other."""
        parameter = self.parameters[name]

        def gradient(g: torch.Tensor, part: slice, rows: slice) -> torch.Tensor:
            parts = g.reshape(self.size, -1, *value.shape[1:])
            found = []
            for k in range(*part.indices(self.size)):
                seed = torch.zeros_like(parts).index_copy_(0, torch.tensor([k], device=g.device), parts[k : k + 1])
                seed = parts[k] if value.shape[0] == 1 else seed.reshape(value.shape)
                found.append(torch.autograd.grad(value, parameter, seed, retain_graph=True)[0][rows])
            return torch.stack(found)

        return Use(parameter, gradient)

    def expect(self, result: torch.Tensor, uses: list[Use]) -> None:
        for use in uses:
            self.expected[self.names[id(use.parameter)]] += 1
        result.register_hook(lambda gradient: self.arrive(uses, gradient))

    def arrive(self, uses: list[Use], gradient: torch.Tensor) -> None:
        for use in uses:
            name = self.names[id(use.parameter)]
            self.arrived[name].append((use, gradient.detach()))
            if len(self.arrived[name]) == self.expected[name]:
                add_uses(self.total[name], self.arrived.pop(name), self.size)

    def flush_rest(self) -> None:
        """Parameters of which some use has no part in the loss."""
        for name, uses in self.arrived.items():
            add_uses(self.total[name], uses, self.size)


def add_uses(total: torch.Tensor, uses: list[tuple[Use, torch.Tensor]], size: int) -> None:
    """total += sum_k (sum over uses of the gradient of sample k)^2."""
    dense = [(use.gradient, g) for use, g in uses if use.gradient is not None]
    lookups = [(use.ids, g) for use, g in uses if use.ids is not None]
    if not dense:
        return add_lookups(total, lookups)
    height = len(total) if total.ndim == 1 else max(1, ELEMENTS * len(total) // total.numel())
    for first in range(0, len(total), height):
        rows = slice(first, min(first + height, len(total)))
        add_block(total[rows], rows, dense, lookups, size)


def add_block(
    total: torch.Tensor, rows: slice, dense: list[Arrived], lookups: list[tuple[torch.Tensor, torch.Tensor]], size: int
) -> None:
    """The same for some rows of a parameter, few enough that they stay in the processor's cache meanwhile."""
    step = max(1, ELEMENTS // total.numel())
    for start in range(0, size, step):
        part = slice(start, min(start + step, size))
        gradients = reduce(torch.add, (gradient(g, part, rows) for gradient, g in dense))
        for ids, g in lookups:
            add_rows(gradients, ids[part] - rows.start, g.reshape(size, -1, g.shape[-1])[part])
        total.addcmul_(gradients[0], gradients[0]) if len(gradients) == 1 else total.add_(gradients.square_().sum(0))


def add_rows(gradients: torch.Tensor, ids: torch.Tensor, g: torch.Tensor) -> None:
    """gradients[k, ids[k, t]] += g[k, t], in place; ids that are no row are left out."""
    offsets = torch.arange(len(ids), device=ids.device).unsqueeze(1) * gradients.shape[1]
    kept = (ids >= 0) & (ids < gradients.shape[1])
    gradients.flatten(0, 1).index_add_(0, (ids + offsets)[kept], g[kept])


def add_lookups(total: torch.Tensor, lookups: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """A table that is only looked up: gradients are sparse, so only the rows that occur are formed and squared."""
    rows = len(total)
    keys, values = [], []
    for ids, g in lookups:
        kept = ids >= 0
        keys.append((ids + torch.arange(len(ids), device=ids.device).unsqueeze(1) * rows)[kept])
        values.append(g.reshape(*ids.shape, -1)[kept])
    unique, inverse = torch.cat(keys).unique(return_inverse=True)  # one key for each (sample, row)
    sums = total.new_zeros(len(unique), total.shape[1]).index_add_(0, inverse, torch.cat(values))
    total.index_add_(0, unique % rows, sums.square_())


def in_batch(value: torch.Tensor) -> bool:
    return getattr(value, "in_batch", False)


def sources_of(value: torch.Tensor) -> set[str]:
    return getattr(value, "sources", set())


def mark(values: Any) -> Any:
    """The same values, whose tensors belong to the batch from now on."""
    for value in tensors_in(values):
        if not isinstance(value, torch.nn.Parameter):
            value.in_batch = True  # type: ignore[attr-defined]
    return values


def tensors_in(values: Any) -> list[torch.Tensor]:
    """All tensors in nested tuples, lists and dicts."""
    return [value for value in tree_leaves(values) if isinstance(value, torch.Tensor)]


def name_of(func: Any) -> str:
    return getattr(func, "__name__", str(func))

"""Dropout sites and mixed layers of a family without a table, found by watching a copy of the model; on request only.

A *site* is a dropout module that the model calls, or a probability that its attention reads, if dropping there changes
the output, and for attention also if noise on the probabilities does. The *mixed layers* are found by following values
from linear layers and dropouts to where they are used, through every function of one forward pass: exactly what `paper`
and `fed` say (`regularizers.surgery.site_tables`). Nothing is planted: a model without dropout has no hidden sites.
"""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_leaves
from transformers.pytorch_utils import Conv1D

from regularizers.surgery import noise
from regularizers.surgery.sites import Site, Sites, base_prefix, set_rate, silence

TOKENS = 6
SEEDS = 3  # every dropout is tried with so many draws: one may happen to keep all that matters


class Flow(TorchFunctionMode):
    """Follows values from linear layers and dropouts to where they are used, through every function in between.

    `paper`: layers whose output is dropped, or multiplied by dropped values (attention), before another linear layer
    takes it. `fed`: layers whose input went through a dropout since the last linear layer.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.flows: dict[int, tuple[frozenset[str], bool]] = {}
        self.alive: list[Tensor] = []
        self.dropped: set[str] = set()
        self.taken: set[str] = set()
        self.fed: set[str] = set()
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear | Conv1D):
                module.register_forward_hook(
                    lambda _, args, out, name=name: self.passed(name, args[0], out), prepend=True
                )

    @property
    def paper(self) -> set[str]:
        """Layers whose output is dropped before another linear layer takes it."""
        return self.dropped - self.taken

    def of(self, tensor: Tensor) -> tuple[frozenset[str], bool]:
        """(linear layers whose output it holds as it was, whether some of it was dropped)."""
        return self.flows.get(id(tensor), (frozenset(), False))

    def mark(self, tensor: Tensor, whole: frozenset[str], dropped: bool) -> None:
        """Note what a new value holds."""
        self.alive.append(tensor)  # so that no other tensor gets its id
        self.flows[id(tensor)] = (whole, dropped)

    def passed(self, name: str, x: Tensor, out: Tensor) -> None:
        """A linear layer took x and gave out."""
        whole, dropped = self.of(x)
        self.taken |= whole
        if dropped:
            self.fed.add(name)
        self.mark(out, frozenset({name}), False)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        inputs = [self.of(x) for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        whole, dropped = frozenset().union(*(w for w, _ in inputs)), any(d for _, d in inputs)
        multiplies = (resolve_name(func) or "").rsplit(".", 1)[-1] in ("matmul", "__matmul__", "bmm", "einsum")
        if func is nn.functional.dropout or (multiplies and dropped):
            self.dropped |= whole
            whole, dropped = frozenset(), True
        for value in tree_leaves(out):
            if isinstance(value, Tensor):
                self.mark(value, whole, dropped)
        return out


def discover(model: Any, head: frozenset[str] = frozenset()) -> Sites:
    """The sites and mixed layers of a transformers classifier, by watching what a copy of it does with a few tokens."""
    with torch.random.fork_rng(devices=[]):
        watched = copy.deepcopy(model).train()
        silence(watched)
        candidates = list(_candidates(watched, base_prefix(model)))
        rates = dict(model.named_modules())
        acting = [site for site in candidates if _acts(watched, site)]
        mixed = _mixed(watched, acting, head)
        kept = [site for site in acting if site.owner is None or _takes_noise(watched, site)]
        own = [dataclasses.replace(site, rate=float(getattr(rates[site.module], site.attribute))) for site in kept]
    return Sites(model.config.model_type, tuple(own), mixed, adapted=mixed.pop("all"))


def listing(sites: Sites) -> str:
    """One line of what was found, for the reader of a request."""
    names = ", ".join(site.name for site in sites.dropouts) or "none"
    counts = ", ".join(f"{len(layers)} mixed in {reading}" for reading, layers in sites.mixed.items())
    return f"sites=discovered found in {sites.family}: {len(sites.dropouts)} dropout sites ({names}); {counts}"


def _candidates(model: nn.Module, prefix: str) -> Iterator[Site]:
    """Every dropout module, and every probability that an attention module holds."""
    called: set[str] = set()
    handles = [m.register_forward_hook(lambda *_, n=n: called.add(n)) for n, m in model.named_modules()]
    _logits(model)
    for handle in handles:
        handle.remove()
    for name, module in model.named_modules():
        parent = name.rpartition(".")[0]
        if isinstance(module, nn.Dropout):
            inside = name.startswith(prefix)
            kind = "hidden" if inside else "head"
            owner = None if name in called else parent
            yield Site(name.removeprefix(prefix), name, kind, _before(model, name) if inside else (), 0.0, "p", owner)
        elif "attention" in type(module).__name__.lower():
            for attribute in sorted(a for a, v in vars(module).items() if "drop" in a and type(v) in (int, float)):
                site = f"{name}.{attribute}".removeprefix(prefix)
                yield Site(site, name, "attention", _before(model, f"{name}."), 0.0, attribute, name)


def _before(model: nn.Module, name: str) -> tuple[str, ...]:
    """The tensors of the nearest module around a dropout that has some."""
    while name:
        name = name.rpartition(".")[0]
        found = tuple(n for n, _ in model.named_parameters() if n.startswith(f"{name}."))
        if found:
            return found
    return ()


@torch.no_grad()
def _logits(model: Any, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    ids = torch.arange(3, 3 + TOKENS).remainder(model.config.vocab_size).unsqueeze(0)
    end = getattr(model.config, "eos_token_id", None)
    if isinstance(end, int):
        ids[0, -1] = end
    logits: Tensor = model(input_ids=ids.to(next(model.parameters()).device)).logits
    return logits


def _acts(model: nn.Module, site: Site) -> bool:
    """Whether dropping at the site changes the output."""
    plain = _logits(model)
    set_rate(model, site, 0.5)
    changed = any(not torch.equal(plain, _logits(model, seed)) for seed in range(SEEDS))
    set_rate(model, site, 0.0)
    return changed


def _takes_noise(model: Any, site: Site) -> bool:
    """Whether noise on the attention probabilities of the site reaches the output."""
    try:
        noise.attach_noise(model, site, lambda module, x: x)
        plain = _logits(model)
        noise.attach_noise(model, site, lambda module, x: 2 * x)
        return not torch.equal(plain, _logits(model))
    except (ValueError, TypeError, RuntimeError, NotImplementedError):  # an attention that is not transformers' own
        return False
    finally:
        del noise.holder(model, site).site_noise


def _mixed(model: Any, sites: list[Site], head: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """The body's linear layers in either reading, and all of them, in the model's order."""
    watched = copy.deepcopy(model)
    if hasattr(watched.config, "_attn_implementation") and watched.config._attn_implementation != "eager":
        watched.set_attn_implementation("eager")  # a fused attention hides its dropout
    for site in sites:
        set_rate(watched, site, 0.5)
    with Flow(watched) as flow:
        _logits(watched)
    linear = [n for n, m in model.named_modules() if isinstance(m, nn.Linear | Conv1D) and f"{n}.weight" not in head]
    found: Mapping[str, set[str]] = {"paper": flow.paper, "fed": flow.fed, "all": set(linear)}
    return {reading: tuple(name for name in linear if name in names) for reading, names in found.items()}

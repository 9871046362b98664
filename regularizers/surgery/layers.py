"""Where a parameter stands in a model: in the embeddings (stage 0), in layer i (i + 1) or above the layers (the top).

The layer is the first number in a parameter's name in the base model: `encoder.layer.3.output.dense.weight` stands in
layer 3, and so do GPT-2's `h.3.attn...` and T5's `encoder.block.3...` and `decoder.block.3...`. What has no number is
an embedding where its name says so and else above the layers (pooler, final normalisation), and so are the head and all
that lies outside of the base model.
"""

import re

from torch import nn

from regularizers.base import Context, SkipTrial
from regularizers.surgery.site_tables import FAMILIES
from regularizers.surgery.sites import base_prefix

NUMBER = re.compile(r"(?:^|\.)(\d+)(?=\.)")
EMBEDDING = re.compile(r"embed|^(shared|wte|wpe)\.")


def layer_number(name: str) -> int | None:
    """The first number in a dotted name: 3 for `encoder.layer.3.output.dense.weight`."""
    match = NUMBER.search(name)
    return None if match is None else int(match[1])


def stages(context: Context) -> tuple[dict[str, int], int]:
    """Stage of every parameter by name, and the top stage (layers + 1). Raises SkipTrial for a model without layers."""
    _refuse_shared(context.model)
    prefix, names = base_prefix(context.model), [name for name, _ in context.model.named_parameters()]
    inside = {n: n.removeprefix(prefix) for n in names if n not in context.head and n.startswith(prefix)}
    numbers = {name: layer_number(base) for name, base in inside.items()}
    layers = sorted({number for number in numbers.values() if number is not None})
    if not layers:
        raise SkipTrial("the model must have numbered layers, got none in the names of its parameters")
    of_layer = {number: at for at, number in enumerate(layers, start=1)}
    top = len(layers) + 1

    def stage(name: str) -> int:
        number = numbers.get(name)
        if number is not None:
            return of_layer[number]
        return 0 if name in inside and EMBEDDING.search(inside[name]) else top

    return {name: stage(name) for name in names}, top


def layer_modules(context: Context) -> list[str]:
    """Qualified names of the layers, in the model's order: `bert.encoder.layer.0`, ..."""
    _refuse_shared(context.model)
    prefix, found = base_prefix(context.model), {}
    for name, _ in context.model.named_parameters():
        match = NUMBER.search(name, len(prefix))
        if match is not None and name.startswith(prefix) and name not in context.head:
            found[name[: match.end()]] = True
    if not found:
        raise SkipTrial("the model must have numbered layers, got none in the names of its parameters")
    return list(found)


def _refuse_shared(model: nn.Module) -> None:
    """Raise SkipTrial where what is set by layer has no meaning, because all layers are one."""
    family = FAMILIES.get(getattr(getattr(model, "config", None), "model_type", ""))
    if family is not None and family.shared:
        raise SkipTrial(f"what differs by layer needs layers of their own: {family.shared}")


def norm_prefixes(model: nn.Module) -> tuple[str, ...]:
    """What the names of the parameters of normalisation layers start with."""
    return tuple(f"{name}." for name, module in model.named_modules() if "norm" in type(module).__name__.lower())

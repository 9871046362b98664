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


def stages(context: Context) -> tuple[dict[str, int], int]:
    """Stage of every parameter by name, and the top stage (layers + 1). Raises SkipTrial for a model without layers."""
    inside = _body_names(context)
    numbers = {name: int(match[1]) for name, base in inside.items() if (match := NUMBER.search(base))}
    of_layer = {number: at for at, number in enumerate(sorted(set(numbers.values())), start=1)}
    top = len(of_layer) + 1
    found = {name: 0 if EMBEDDING.search(base) else top for name, base in inside.items()}
    found |= {name: of_layer[number] for name, number in numbers.items()}
    return {name: found.get(name, top) for name, _ in context.model.named_parameters()}, top


def layer_modules(context: Context) -> list[str]:
    """Qualified names of the layers, in the model's order: `bert.encoder.layer.0`, ..."""
    prefix = base_prefix(context.model)
    matches = [match for base in _body_names(context).values() if (match := NUMBER.search(base))]
    return list(dict.fromkeys(prefix + match.string[: match.end()] for match in matches))


def _body_names(context: Context) -> dict[str, str]:
    """The body's parameters with their names in the base model. Raises SkipTrial where no layer has a number."""
    _refuse_shared(context.model)
    prefix, names = base_prefix(context.model), [name for name, _ in context.model.named_parameters()]
    inside = {n: n.removeprefix(prefix) for n in names if n not in context.head and n.startswith(prefix)}
    if not any(map(NUMBER.search, inside.values())):
        raise SkipTrial("the model must have numbered layers, got none in the names of its parameters")
    return inside


def _refuse_shared(model: nn.Module) -> None:
    """Raise SkipTrial where what is set by layer has no meaning, because all layers are one."""
    family = FAMILIES.get(getattr(getattr(model, "config", None), "model_type", ""))
    if family is not None and family.shared:
        raise SkipTrial(f"what differs by layer needs layers of their own: {family.shared}")


def norm_prefixes(model: nn.Module) -> tuple[str, ...]:
    """What the names of the parameters of normalisation layers start with."""
    return tuple(f"{name}." for name, module in model.named_modules() if "norm" in type(module).__name__.lower())

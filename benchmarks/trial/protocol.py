"""Fine-tuning protocols: every number that is not the strategy, the task or the model, in one frozen dataclass.

`lee20` is [Lee20 §5, C.2], `sharma24` the authors' code of [Sharma24]. Clip, eps and bias correction of `lee20` and its
maximum length are assumptions: the paper does not state them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fisher.common.errors import InputError, require, require_known
from regularizers.loop import Recipe

CHOICES = {
    "schedule": ("linear", "constant"),
    "head_init": ("normal", "model"),
    "metric": ("primary", "combined"),
    "data": ("official", "pooled", "resampled"),
    "selection": ("last", "best_dev"),
    "precision": ("fp32", "bf16"),
    "forward": ("packed", "padded", "stock"),
    "evaluate": ("epoch", "last"),
    "sites": ("table", "discovered"),
}
DISCOVER = "--set sites=discovered looks for them by structure"  # what helps a family without a site table
RANGES = {  # the least and the largest value of a field
    "epochs": (1, 10**5),
    "steps": (0, 10**7),
    "batch_size": (1, 10**6),
    "max_length": (8, 10**6),
    "micro_batch": (0, 10**6),
    "clip": (0.0, math.inf),
    "warmup": (0.0, 1.0),
}
POSITIVE = ("lr", "eps")
SHARES = ("beta1", "beta2")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a trial trains and is scored; every field stands in every record.

    Fields as in `regularizers.loop.Recipe`, and: max_length in tokens; head_init `normal` = weights N(0, 0.02^2),
    biases 0, `model` = the model class's own; metric `primary` = the task's one score, `combined` = the mean of all;
    data `official` = train scored on dev, `pooled` = both joined, shuffled with the restart's seed and cut 80/20,
    `resampled` = every split seed cuts a stratified fifth of train to score on, for tasks without a dev set;
    selection `last` = the last epoch ranks, `best_dev` = the best epoch on dev; precision fp32 or bf16 autocast;
    forward `packed` = no padding, `padded` = to the longest of the batch, `stock` = the model's own, which is all
    that some families have (`regularizers.surgery.forward`); steps > 0 stands in place of epochs; evaluate
    `epoch` = on dev after each epoch, `last` = at the end alone; sites `table` = those of the family's site table,
    `discovered` = for a family without one, those that watching the model finds (`regularizers.surgery.discovery`).
    """

    name: str = "lee20"
    epochs: int = 3
    lr: float = 2e-5
    batch_size: int = 32
    max_length: int = 128
    warmup: float = 0.1
    schedule: str = "linear"
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-6
    clip: float = 1.0
    bias_correction: bool = True
    micro_batch: int = 0
    head_init: str = "normal"
    metric: str = "primary"
    data: str = "official"
    selection: str = "last"
    precision: str = "fp32"
    forward: str = "packed"
    steps: int = 0
    evaluate: str = "epoch"
    sites: str = "table"

    def recipe(self) -> Recipe:
        """The part that the training loop needs."""
        names = {f.name for f in dataclasses.fields(Recipe)} & FIELDS.keys()
        return Recipe(**{name: getattr(self, name) for name in names})

    def to_json(self) -> dict[str, Any]:
        """The protocol as records hold it: a field of `ADDED` is left out where it has its default."""
        block = dataclasses.asdict(self)
        return {key: value for key, value in block.items() if key not in ADDED or value != FIELDS[key].default}


PROTOCOLS = {
    "lee20": Protocol(),
    "sharma24": Protocol(
        name="sharma24",
        batch_size=18,
        max_length=512,
        warmup=0.0,
        head_init="model",
        metric="combined",
        data="pooled",
    ),
}
ADDED = frozenset(
    {"steps", "evaluate", "sites"}
)  # fields that records made before them lack; their default is what those ran
FIELDS = {f.name: f for f in dataclasses.fields(Protocol) if f.name != "name"}


def make_protocol(name: str, settings: Mapping[str, Any]) -> Protocol:
    """The named protocol with some fields set anew; values may be text as typed after `--set`.

    Raises InputError for an unknown protocol or field and for a value out of its range.
    """
    require(name in PROTOCOLS, f"protocol must be one of {', '.join(PROTOCOLS)}", repr(name))
    require_known("protocol field", settings, FIELDS)
    values = {key: check(key, read(key, value)) for key, value in settings.items()}
    return dataclasses.replace(PROTOCOLS[name], **values)


def read(key: str, value: Any, kind: str = "") -> Any:
    """A value as its type wants it, from TOML or from text; `kind`: the type's name, by default that of the field."""
    kind = kind or str(FIELDS[key].type)
    text = str(value).strip()
    try:
        if kind == "bool":
            return {"true": True, "false": False}[text.lower()]
        return {"int": int, "float": float}.get(kind, str)(text)
    except (KeyError, ValueError):
        wanted = {"bool": "true or false", "int": "a whole number", "float": "a number"}[kind]
        raise InputError(f"{key} must be {wanted}, got {text!r}") from None


def check(key: str, value: Any) -> Any:
    """The value itself if it is in the field's range."""
    known, (least, most) = CHOICES.get(key, (value,)), RANGES.get(key, (value, value))
    require(value in known, f"{key} must be one of {', '.join(map(str, known))}", repr(value))
    require(not isinstance(value, float) or math.isfinite(value), f"{key} must be finite", value)
    require(value >= least, f"{key} must be at least {least}", value)
    require(value <= most, f"{key} must be at most {most}", value)
    require(key not in POSITIVE or value > 0, f"{key} must be positive", value)
    require(key not in SHARES or 0 <= value < 1, f"{key} must be in [0, 1)", value)
    return value

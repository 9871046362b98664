"""What the conformance kit trains: tiny random models, a few fixed token batches, and one small trial under control.

Nothing is read from disk or network. Everything that a trial depends on (weights of the body, start of the head, noise,
torch's default generator) has a seed of its own here, so that a check changes exactly one of them.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification

from fisher.scores import Scores
from regularizers.context import Batch, Context, Output, Training
from regularizers.loop import Recipe, make_optimizer, step
from regularizers.strategy import Strategy
from regularizers.surgery.forward import prepare
from regularizers.surgery.sites import base_prefix, head_of
from regularizers.testing.tiny_families import SPECIAL

CLASSES = 3
VOCABULARY = 60
LENGTH = 6  # tokens per example
SIZE = 7  # examples per batch; like 5, 9 and 14, a size that no dimension of the model has
STEPS = 4  # planned steps of a trial
LAYERS = 2
HEAD = frozenset({"classifier.weight", "classifier.bias"})


def recipe(lr: float = 1e-3, micro_batch: int = 0, clip: float = 0.0, eps: float = 1e-6) -> Recipe:
    """A recipe without schedule, whose numbers do not matter."""
    return Recipe(
        epochs=1,
        lr=lr,
        beta1=0.9,
        beta2=0.999,
        eps=eps,
        warmup=0.0,
        schedule="constant",
        clip=clip,
        bias_correction=True,
        micro_batch=micro_batch,
    )


class SingleProcessAccelerator:
    """What the loop needs of accelerate's Accelerator where there is one process and one precision."""

    autocast = contextlib.nullcontext
    num_processes = 1
    process_index = 0

    def backward(self, loss: Tensor) -> None:
        """Add to the gradients."""
        loss.backward()


def tiny_config(family: str = "bert", **changes: Any) -> Any:
    """The shape of a model of two layers and width 16, with some fields set anew."""
    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 12,
        "num_labels": CLASSES,
    }
    return AutoConfig.for_model(family, **shape | changes)


@functools.cache
def _template(family: str, outputs: int, attention: str, layers: int) -> nn.Module:
    config = tiny_config(family, num_labels=outputs, num_hidden_layers=layers, **SPECIAL)
    with torch.random.fork_rng(devices=[]):
        return AutoModelForSequenceClassification.from_config(config, attn_implementation=attention)


def tiny_model(
    family: str,
    outputs: int = CLASSES,
    *,
    body: int = 0,
    head: int = 1,
    attention: str = "sdpa",
    layers: int = LAYERS,
) -> nn.Module:
    """A classifier of width 16; `body` and `head` seed their weights, one output is a regression head."""
    model = copy.deepcopy(_template(family, outputs, attention, layers))
    generators = {False: torch.Generator().manual_seed(body), True: torch.Generator().manual_seed(head)}
    outside = head_of(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 0.3 if parameter.dim() > 1 else 0.1
            parameter.normal_(0.0, scale, generator=generators[name in outside])
            if name.endswith("weight") and ("LayerNorm" in name or ".ln_" in name):
                parameter.add_(1.0)
    return model


tiny_bert = functools.partial(tiny_model, "bert")


def make_batch(seed: int, outputs: int = CLASSES, size: int = SIZE) -> Batch:
    """A fixed batch of `size` sequences of 6 tokens, the first one padded; labels are classes, or values in [0, 5)."""
    generator = torch.Generator().manual_seed(1000 + seed)
    mask = torch.ones(size, LENGTH, dtype=torch.int64)
    mask[0, -2:] = 0
    labels = torch.randint(0, outputs, (size,), generator=generator)
    return {
        "input_ids": torch.randint(1, VOCABULARY, (size, LENGTH), generator=generator) * mask,
        "token_type_ids": torch.zeros(size, LENGTH, dtype=torch.int64),
        "attention_mask": mask,
        "labels": labels if outputs > 1 else torch.rand(size, generator=generator) * 5,
    }


def example_scores(model: nn.Module, strategy: Strategy) -> dict[str, Scores]:
    """Made-up Fisher scores for every source that the strategy names: positive, different for every entry."""
    generator, prefix, head = torch.Generator().manual_seed(77), base_prefix(model), head_of(model)
    values = {
        name.removeprefix(prefix): torch.rand(p.shape, generator=generator)
        for name, p in model.named_parameters()
        if name not in head
    }
    return {source: Scores(values) for source in strategy.fisher_sources()}


class Trial:
    """One small training with one strategy; every step goes through the loop that real trials use.

    Args:
        family, outputs, attention: of the model; body, head: seeds of its weights; noise: seed of `context.generator`.
        default: seed of torch's default generator, set before the strategy attaches.
        fisher: scores by source, made up for all that the strategy names unless given.
        dtype: of the model when the strategy attaches; layers: how many it has; way: its forward pass.
        steps: that are planned.
        model, batch: what is trained in place of a tiny model, and its batch of every step.
        initial: what the context's `initial` holds in place of the model's own start.
    """

    def __init__(
        self,
        strategy: Strategy,
        *,
        family: str = "bert",
        outputs: int = CLASSES,
        attention: str = "sdpa",
        body: int = 0,
        head: int = 1,
        noise: int = 2,
        default: int = 3,
        dtype: torch.dtype = torch.float32,
        initial: dict[str, Tensor] | None = None,
        fisher: Mapping[str, Scores] | None = None,
        layers: int = LAYERS,
        way: str = "stock",
        steps: int = STEPS,
        model: nn.Module | None = None,
        batch: Batch | None = None,
    ) -> None:
        self.strategy, self.family, self.outputs, self.given = strategy, family, outputs, batch
        self.forwards = self.backwards = 0
        if model is None:
            model = tiny_model(family, outputs, body=body, head=head, attention=attention, layers=layers)
        self.model = model.to(dtype)
        self.run_model = prepare(self.model, way)
        torch.manual_seed(default)
        self.context = Context(
            self.model,
            head_of(self.model),
            torch.Generator().manual_seed(noise),
            fisher=example_scores(self.model, strategy) if fisher is None else fisher,
            examples=SIZE * STEPS,
            training=Training(steps=steps),
            forward=self._forward,
            initial=initial or {},
        )
        self.bound = strategy.bind(self.context)
        self.touched = [name for names in self.bound.attach().values() for name in names]

    def _forward(self, model: nn.Module, batch: Batch) -> Tensor:
        self.forwards += 1
        logits = self.run_model(model, batch)
        if logits.requires_grad:
            logits.register_hook(self._count)
        return logits

    def _count(self, gradient: Tensor) -> None:
        self.backwards += 1

    def begin(self, lr: float = 1e-3) -> Trial:
        """What the loop does before its first step; returns the trial."""
        self.bound.start(lambda: [self.batch(at) for at in range(STEPS)])
        self.context.training.optimizer = make_optimizer(self.bound, recipe(lr))
        self.model.train()
        return self

    def batch(self, at: int, size: int = SIZE) -> Batch:
        """The batch of step `at`, where the model is and with its precision."""
        weight = next(self.model.parameters())
        batch = self.given or make_batch(at, self.outputs, size)
        if self.family != "bert":
            batch.pop("token_type_ids", None)
        return {k: v.to(weight if v.is_floating_point() else weight.device) for k, v in batch.items()}

    def train(self, steps: int) -> Trial:
        """Further optimizer steps on the fixed batches; returns the trial."""
        for _ in range(steps):
            self.step(self.batch(self.context.training.step))
        return self

    def step(self, batch: Batch, micro_batch: int = 0) -> Tensor:
        """One optimizer step of the real loop; returns its loss."""
        loss = step(self.bound, batch, recipe(micro_batch=micro_batch), cast(Any, SingleProcessAccelerator()))
        self.context.training.step += 1
        return loss

    def loss(self, batch: Batch) -> Output:
        """The regularized loss of one batch in training mode."""
        self.model.train()
        return self.bound.loss(batch)

    def shift(self, seed: int = 5) -> Trial:
        """Move every trained weight off its start, so that a target and the weight differ; returns the trial."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.context.parameters().values():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator).to(parameter))
        return self

    def weights(self) -> dict[str, Tensor]:
        """A copy of every parameter."""
        return {name: p.detach().clone() for name, p in self.model.named_parameters()}

    def outcome(self) -> dict[str, Tensor]:
        """What the training led to: live weights, evaluated weights and logits of the evaluated model."""
        self.model.eval()
        with self.bound.evaluation(), torch.no_grad():
            logits = self.run_model(self.model, self.batch(STEPS))
            evaluated = {f"evaluated {name}": w for name, w in self.weights().items()}
        self.model.train()
        return {**self.weights(), **evaluated, "logits": logits}

    def generators(self) -> tuple[Tensor, Tensor]:
        """States of the method's generator and of torch's default one."""
        return self.context.generator.get_state(), torch.get_rng_state()

    def restore(self, states: tuple[Tensor, Tensor]) -> None:
        """Back to what `generators` gave: the same noise follows again."""
        self.context.generator.set_state(states[0])
        torch.set_rng_state(states[1])


def first_difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> str | None:
    """Name of the first tensor whose bits differ (or that one of them lacks); None where all are equal."""
    for name in {**a, **b}:
        if name not in a or name not in b or not torch.equal(bits(a[name]), bits(b[name])):
            return name
    return None


def bits(tensor: Tensor) -> Tensor:
    """The tensor's bytes, so that NaN equals NaN and -0 differs from 0."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)

"""One technique in a training loop of one's own: `regularizers.apply`.

    bound = regularizers.apply(model, "sam(0.05)", lr=2e-5)
    for batch in loader:
        loss = bound.step(batch)      # forward, backward, clipping and the optimizer's step
    with bound.evaluation():
        evaluate(model)
    model = bound.fold()              # plain weights, for save_pretrained

The loss is the model's own (`model(**batch).loss`), so sequence and token classification and language modelling work
alike. Logits are handed to the techniques one row per prediction: positions whose label is -100 are left out, and those
of a causal language model are shifted to the label they predict. The step is the one that trials take.
"""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from transformers.loss.loss_utils import ForCausalLMLoss

from fisher.common.errors import InputError
from fisher.scores import Scores, load_scores
from regularizers.base import Regularizer, require
from regularizers.context import Batch, Context, Output, SkipTrial, Training
from regularizers.loop import Recipe, make_optimizer, step
from regularizers.strategy import BoundStrategy, Strategy, parse
from regularizers.surgery.folding import carried
from regularizers.surgery.sites import head_of
from regularizers.surgery.swapping import write

IGNORED = -100  # a label that no loss is computed of, as in transformers


def own_outputs(model: nn.Module, batch: Batch) -> tuple[Tensor, Any]:
    """(loss, outputs) of a transformers model."""
    outputs = model(**batch)
    return outputs.loss, outputs


@dataclass
class OwnLoss(Context):
    """A context whose loss is the model's own, or what `outputs` says: (model, batch) -> (loss, outputs)."""

    outputs: Callable[[nn.Module, Batch], tuple[Tensor, Any]] = field(default=own_outputs)

    def compute(self, batch: Batch) -> Output:
        """One forward pass; logits are (predictions, classes), or (batch, ...) where every example has one."""
        require_labels(batch)
        loss, outputs = self.outputs(self.model, batch)
        logits: Any = getattr(outputs, "logits", None)
        require(isinstance(logits, Tensor), f"{type(self.model).__name__} must return logits", "none")
        if self._per_token(batch):
            labels = self._labels(batch)
            logits = logits[:, : labels.shape[1]][labels != IGNORED]
        return Output(loss, logits)

    def count(self, batch: Batch) -> int:
        """How many losses the mean is of: the labelled tokens, or the examples."""
        return int((self._labels(batch) != IGNORED).sum()) if self._per_token(batch) else len(batch["labels"])

    def _per_token(self, batch: Batch) -> bool:
        return batch["labels"].dim() == 2 and not batch["labels"].is_floating_point()

    def _labels(self, batch: Batch) -> Tensor:
        """Labels (batch, predictions); a causal language model's first token is predicted by nothing."""
        model: Any = self.model
        causal = getattr(model, "loss_function", None) is ForCausalLMLoss and not model.config.is_encoder_decoder
        return batch["labels"][:, 1:] if causal else batch["labels"]


def require_labels(batch: Batch) -> None:
    """Raise InputError for a batch without labels, which every example or token has one of."""
    answers = "question answering has a start and an end instead, which no technique reads"
    why = answers if "start_positions" in batch else ""
    require("labels" in batch, "a batch must have labels", ", ".join(batch), why)


def bind(model: nn.Module, strategy: Strategy, context: Context) -> tuple[BoundStrategy, dict[str, list[str]]]:
    """Attach a strategy; returns it with the modules or parameters that each term touches.

    Raises InputError where a technique cannot act on this model.
    """
    already = carried(model)
    if already is not None:
        before = " + ".join(text for _, _, text in already.terms)
        raise InputError(f"a model must have one strategy, got {strategy} after {before}; call regularizers.fold first")
    bound = strategy.bind(context)
    try:
        touched = bound.attach()
        for term, names in touched.items():
            acts = bool(names) or term.removeprefix("head:") == "none"
            require(acts, f"{term} must touch a part of the model", "none that it could")
    except (InputError, SkipTrial) as reason:
        bound.surgery.undo()
        write(dict(model.named_parameters()), {name: context.initial[name] for name, _ in model.named_parameters()})
        raise InputError(f"{strategy} cannot act on this {type(model).__name__}: {reason}") from reason
    return bound, touched


def scores_of(strategy: Strategy) -> dict[str, Scores]:
    """The Fisher scores that the terms name, from their files; raises InputError for those that name none."""
    sources = [source for source in strategy.fisher_sources() if source != "published"]
    hint = 'make one with regbench fisher estimate and write fisher="scores.safetensors"'
    require("estimate" not in sources, f"{strategy} must name a file of Fisher scores", "fisher=estimate", hint)
    return {source: load_scores(source) for source in sources}


class Unplanned(Training):
    """The progress of a training of unknown length."""

    def __getattribute__(self, name: str) -> Any:
        """Refuse to say how many steps are planned."""
        must = "a term of the strategy must know how many steps are planned"
        require(name != "steps", must, "none", "give apply steps=...")
        return super().__getattribute__(name)


class Applied:
    """A strategy at work on one model; what `apply` returns. `touched` lists what each term acts on."""

    def __init__(
        self, strategy: BoundStrategy, touched: dict[str, list[str]], recipe: Recipe, accelerator: Accelerator
    ) -> None:
        self.strategy, self.touched = strategy, touched
        self.recipe, self.accelerator = recipe, accelerator
        self.optimizer = make_optimizer(strategy, recipe)
        strategy.context.training.optimizer = self.optimizer

    def step(self, batch: Batch) -> Tensor:
        """One optimizer step on a batch (a dict of tensors with labels, on the model's device); returns its loss."""
        model = self.strategy.context.model
        require(carried(model) is self.strategy, "step must come before fold; apply the strategy again to train on")
        require_labels(batch)
        model.train()
        loss = step(self.strategy, batch, self.recipe, self.accelerator)
        self.strategy.context.training.step += 1
        return loss

    def evaluation(self) -> contextlib.AbstractContextManager[None]:
        """Within it the model carries the weights that are evaluated."""
        return self.strategy.evaluation()

    def fold(self) -> nn.Module:
        """Fold the strategy into plain weights and return the model; no step can follow."""
        return self.strategy.fold()

    def notes(self) -> list[str]:
        """What the terms say of the training, such as that one of them did practically nothing."""
        return self.strategy.notes()


def apply(
    model: nn.Module,
    strategy: str,
    *,
    lr: float,
    seed: int = 0,
    clip: float = 1.0,
    micro_batch: int = 0,
    steps: int = 0,
    data: Iterable[Batch] | None = None,
    outputs: Callable[[nn.Module, Batch], tuple[Tensor, Any]] = own_outputs,
    accelerator: Accelerator | None = None,
) -> Applied:
    """Attach a strategy such as `mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)` to a model, with Adam as its optimizer.

    Args:
        model: as it starts; what it holds now is w_pre (w_0 outside `base_model_prefix`). Its dropout is set to 0.
        lr: learning rate; a schedule of torch or transformers takes `bound.optimizer`.
        seed: of the strategy's own noise. clip: global gradient norm, 0 for none.
        micro_batch: examples per forward pass, 0 for the whole batch.
        steps: optimizer steps in all, for techniques that act in a part of the training.
        data: the batches of one epoch, for techniques that look at the training data first or count its examples.
        outputs: (model, batch) -> (loss, outputs with `logits`), for a loss that is not the model's own.
        accelerator: accelerate's, for another precision than the weights'.

    Raises InputError for a strategy that cannot be read and for one that cannot act on this model.
    """
    require(isinstance(model, nn.Module), "apply must be given a model", type(model).__name__)
    require(lr > 0, "lr must be > 0", lr)
    parsed, batches = parse(strategy), list(data or ())
    for batch in batches:
        require_labels(batch)
    for term in parsed.terms:
        looks = type(term.regularizer).start is not Regularizer.start
        require(
            bool(batches) or not looks, f"{term} looks at the training data first; apply must be given data", "none"
        )
    bound, touched = bind(
        model,
        parsed,
        OwnLoss(
            model,
            head_of(model),
            torch.Generator().manual_seed(seed),
            fisher=scores_of(parsed),
            examples=sum(len(batch["labels"]) for batch in batches),
            training=Training(steps=steps) if steps else Unplanned(),
            outputs=outputs,
        ),
    )
    bound.start(lambda: batches)
    recipe = Recipe(
        epochs=1,
        lr=lr,
        beta1=0.9,
        beta2=0.999,
        eps=1e-6,
        warmup=0.0,
        schedule="constant",
        clip=clip,
        bias_correction=True,
        micro_batch=micro_batch,
    )
    return Applied(bound, touched, recipe, accelerator or Accelerator())

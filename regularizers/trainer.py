"""The Trainer of transformers with a strategy: `RegularizedTrainer(strategy="mixout(w_pre, 0.7)", model=..., ...)`.

Arguments, callbacks, gradient accumulation, bf16, evaluation and checkpoints are the Trainer's own. What differs:

    the step      draws the strategy's noise once and takes the gradients as `regularizers.loop` does
    evaluation    is of the weights that the strategy evaluates (running averages, merged corrections)
    saving        `save_model` and every checkpoint hold plain weights that `from_pretrained` loads
    checkpoints   hold next to them, in `strategy.safetensors`, what resuming needs: w_pre, the weights as they train,
                  the terms' state and their noise
    after train   the model is plain again, with the evaluated weights

w_pre is what the model holds when `train` begins, w_0 the same outside its `base_model_prefix`.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint

from fisher.common.errors import InputError
from fisher.common.flatten import flatten, unflatten
from regularizers.applying import OwnLoss, bind, require_labels, scores_of
from regularizers.base import require
from regularizers.context import Batch
from regularizers.loop import gradients, parameter_groups
from regularizers.resume import CannotSave, TechniqueState
from regularizers.strategy import BoundStrategy, parse
from regularizers.surgery.folding import fold, plain_weights
from regularizers.surgery.sites import head_of

STATE = "strategy.safetensors"
NOISE = "layers that are computed again would draw other noise"
TERMS = {  # arguments that are a technique here: {name: (its neutral value, the term to write)}
    "weight_decay": (0, "wdecay(0, {})"),
    "label_smoothing_factor": (0, "label_smoothing({})"),
    "neftune_noise_alpha": (None, "neftune({})"),
}
OFF = {  # arguments that must keep their neutral value: {name: why}
    "fp16": "techniques see scaled gradients; use bf16",
    "gradient_checkpointing": NOISE,
    "activation_checkpointing": NOISE,
    "auto_find_batch_size": "a second attempt would start from weights that the first has moved",
    "deepspeed": "a strategy acts on whole weights in one process",
    "fsdp": "a strategy acts on whole weights in one process",
}
TAKES_GROUPS = "optim must be an optimizer that takes groups of parameters, such as adamw_torch"


def check_arguments(args: TrainingArguments) -> None:
    """Raise InputError for arguments that a strategy replaces and for those that would change what it computes."""
    for name, (neutral, term) in TERMS.items():
        value = getattr(args, name)
        written = f"write the term {term.format(value)} in the strategy"
        require(value in (neutral, None), f"{name} must be {neutral}", value, written)
    for name, why in OFF.items():
        value = getattr(args, name, None)
        require(not value, f"{name} must be off", value, why)
    processes = max(args.world_size, args.n_gpu)
    one = "set CUDA_VISIBLE_DEVICES to one device and start without a launcher"
    require(processes == 1, "RegularizedTrainer must run on one device", processes, one)


class RegularizedTrainer(Trainer):
    """A `transformers.Trainer` that trains with a strategy, a sum of techniques written as in regbench.

    All other arguments are the Trainer's. Raises InputError for a strategy that cannot be read, and from `train` for
    one that cannot act on the model. After `train`, `touched` lists what each term acted on, and `notes` what a reader
    of the result must know (such as that a term did practically nothing).
    """

    def __init__(self, *args: Any, strategy: str, **options: Any) -> None:
        self.strategy, self.bound = parse(strategy), None
        self.touched: dict[str, list[str]] = {}
        self.notes: list[str] = []
        self._micro_batches: list[Batch] = []
        self._resumed: dict[str, Any] | None = None
        super().__init__(*args, **options)
        check_arguments(self.args)
        given = self.optimizer is not None or self.lr_scheduler is not None
        groups = "choose one with optim or optimizer_cls_and_kwargs, so that the strategy sets its groups"
        require(not given, "optimizers must be left out", "one", groups)
        self.callback_handler.callbacks.insert(0, _Strategy(self))

    bound: BoundStrategy | None

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Attach the strategy and make the optimizer of its groups; called when `train` begins."""
        bound = self._attach()
        bound.start(self._training_data)
        kind, options = self.optimizer_cls_and_kwargs or self.get_optimizer_cls_and_kwargs(self.args, self.model)
        takes_groups = isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)
        own = {"params", "model", "optimizer_dict"} & options.keys()
        require(takes_groups and not own, TAKES_GROUPS, getattr(kind, "__name__", kind))
        groups = [{**group, "weight_decay": 0.0} for group in parameter_groups(bound, self.args.learning_rate)]
        optimizer = kind(groups, **options)
        apply = optimizer.step
        optimizer.step = lambda closure=None: bound.update(apply)
        bound.context.training.optimizer = self.optimizer = optimizer
        self._technique = TechniqueState(bound)
        return optimizer

    def _attach(self) -> BoundStrategy:
        fold(self.model)
        names = ("is_activation_checkpointing", "is_gradient_checkpointing")  # the second before transformers 5.20
        known = [name for name in names if hasattr(type(self.model), name)]
        again = known and getattr(self.model, known[0])
        require(not again, "gradient checkpointing of the model must be off", "on", NOISE)
        start = {} if self._resumed is None else self._resumed["start"]
        context = OwnLoss(
            self.model,
            head_of(self.model),
            torch.Generator().manual_seed(self.args.seed),
            fisher=scores_of(self.strategy),
            examples=len(self.train_dataset) if hasattr(self.train_dataset, "__len__") else 0,
            initial={name: value.to(self.args.device) for name, value in start.items()},
            outputs=self._loss_and_outputs,
        )
        self.bound, self.touched = bind(self.model, self.strategy, context)
        return self.bound

    def _loss_and_outputs(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Any]:
        loss, outputs = self.compute_loss(self.model_wrapped, dict(batch), return_outputs=True)
        return loss, outputs

    def _training_data(self) -> list[Batch]:
        """The batches of the training set in its order; nothing is drawn from torch's default generator."""
        with torch.random.fork_rng(devices=[]):
            found = [dict(self._prepare_inputs(batch)) for batch in self.get_test_dataloader(self.train_dataset)]
        for batch in found:
            require_labels(batch)
        return found

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Keep a micro-batch; with the last one of a step, take the gradients of all. Returns the step's mean loss."""
        assert self.bound is not None
        require_labels(inputs)
        self._micro_batches.append(dict(self._prepare_inputs(inputs)))
        if not self.accelerator.sync_gradients:
            return torch.zeros((), device=self.args.device)
        micro_batches, self._micro_batches = self._micro_batches, []
        model.train()
        training = self.bound.context.training
        training.step, training.steps = self.state.global_step, self.state.max_steps
        return gradients(self.bound, micro_batches, self.accelerator)

    def evaluation_loop(self, *args: Any, **options: Any) -> Any:
        """Evaluate or predict with the weights that the strategy evaluates."""
        with self.bound.evaluation() if self.bound is not None else contextlib.nullcontext():
            return super().evaluation_loop(*args, **options)

    def fold(self) -> nn.Module:
        """Fold the strategy into plain weights and return the model; done at the end of `train`."""
        if self.bound is not None:
            self.notes, self.bound = self.bound.notes(), None
        return fold(self.model)

    def _save(self, output_dir: str | None = None, state_dict: Mapping[str, Tensor] | None = None) -> None:
        """Save plain weights, as `from_pretrained` loads them, whatever the strategy has made of the layers."""
        if self.bound is not None and state_dict is None:
            state_dict = plain_weights(self.bound)
        super()._save(output_dir, state_dict)

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **options: Any) -> Any:
        """Train as the Trainer does. Raises InputError where there is nothing to resume the strategy from."""
        folder: Any = resume_from_checkpoint or None
        if folder is True:
            folder = get_last_checkpoint(self.args.output_dir)  # without one the Trainer says so
        self._resumed = None if folder is None else self._read(Path(folder) / STATE)
        return super().train(resume_from_checkpoint, *args, **options)

    def put_state(self) -> None:
        """Give the strategy the state of the checkpoint that training resumes from, if it does."""
        if self._resumed is not None:
            self._technique.put(self._resumed)
            self._resumed = None

    def keep_state(self, folder: Path) -> None:
        """Write what resuming needs next to a checkpoint. Raises InputError for terms that cannot be saved."""
        assert self.bound is not None
        try:
            state = self._technique.take()
        except CannotSave as reason:
            raise InputError(f"{reason}; or set save_only_model=True") from reason
        whole = {"strategy": str(self.strategy), "start": self.bound.context.initial, **state}
        save_file(flatten(whole), folder / STATE)

    def _read(self, path: Path) -> dict[str, Any]:
        """What resuming needs. Raises InputError where a checkpoint has none of it or is of another strategy."""
        require(path.is_file(), "resume_from_checkpoint must be a checkpoint of RegularizedTrainer", f"no {path}")
        try:
            state = unflatten(load_file(path))
        except (SafetensorError, ValueError, OSError) as error:
            raise InputError(f"{path} must be as RegularizedTrainer wrote it, but: {error}") from error
        same = state["strategy"] == str(self.strategy)
        require(same, f"resuming must be with the strategy of the checkpoint, {state['strategy']}", self.strategy)
        return dict(state)

    def _load_best_model(self) -> None:
        self.fold()
        super()._load_best_model()


class _Strategy(TrainerCallback):
    """Resumes and keeps the strategy's state, and lets every other callback see the plain model at the end."""

    def __init__(self, trainer: RegularizedTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        """Resume; optimizer and schedule are loaded by now."""
        self.trainer.put_state()

    def on_save(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        """Add the state to a checkpoint that training may be resumed from."""
        if not args.save_only_model and not state.is_hyper_param_search:
            self.trainer.keep_state(Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}")

    def on_train_end(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        """Fold."""
        self.trainer.fold()

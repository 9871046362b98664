"""The work that is measured: one task's training split, and trainings of one strategy on it, ready to step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from benchmarks.data.origin import Origin
from benchmarks.planning.grid import make_grid
from benchmarks.planning.suite import Suite
from benchmarks.planning.suite_file import load_suite
from benchmarks.speed import device as devices
from benchmarks.trial import models
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.identity import model_identity
from benchmarks.trial.inputs import Resources, load_inputs
from benchmarks.trial.trial import PreparedTrial, build
from fisher.scores import save_scores
from regularizers.base import Batch
from regularizers.loop import make_optimizer


class Bench:
    """One task at one share of its training data, with a model; every training starts from the same weights and head.

    Embedded tasks are trained as the pocket suite does, others by the protocol lee20. Guided dropout gets the squares
    of the weights for Fisher scores: what a step costs does not depend on their values. `clock` gives the seconds that
    count on the device; the process must have settled on that (`benchmarks.speed.device`).
    """

    def __init__(
        self,
        model: str,
        task: str,
        fraction: float,
        folder: Path,
        data_dir: str | None,
        offline: bool,
        *,
        device: str = "cpu",
        precision: str = "fp32",
    ) -> None:
        self.device, self.clock = device, devices.clock(device)
        self.source = models.find_model(model, offline=offline)
        origin = Origin(data_dir, offline=offline)
        self.fraction, self.task = fraction, origin.task(task)
        settings = load_suite("pocket").settings if self.task.kind == "embedded" else {}
        self.settings = {**settings, "precision": precision}
        self.data = origin.load(self.task.name)
        scores = folder / "scores.safetensors"
        self.resources = Resources(self.source, origin, fisher={"estimate": str(scores)})
        if not scores.exists():
            body, head = models.build(self.source, 2, seed=0, head_init="normal")
            prefix = f"{body.base_model_prefix}."
            squares = {n.removeprefix(prefix): p.detach().square() for n, p in body.named_parameters() if n not in head}
            about = dict.fromkeys(("model", "weights", "objective", "reduction", "corpus_hash"), "none")
            save_scores(scores, squares, {**about, "kind": "squared weights", "samples": 0, "seed": 0})

    def config(self, strategy: str, **settings: Any) -> TrialConfig:
        """The config of restart 0 of a strategy."""
        return self.configs(strategy, 1, **settings)[0]

    def configs(self, strategy: str, restarts: int, **settings: Any) -> list[TrialConfig]:
        """The configs of a strategy's restarts."""
        suite = Suite(
            name="speed",
            tasks=(self.task.name,),
            strategies=(strategy,),
            fractions=(self.fraction,),
            restarts=restarts,
            settings=self.settings | settings,
        )
        return make_grid(
            suite,
            lambda name: self.data,
            model=model_identity(self.source),
            family=self.source.family,
            fisher=lambda strategy: None,
        )

    def batches(self, count: int = 0) -> list[Batch]:
        """The first `count` training batches of restart 0 (0: a whole epoch)."""
        return self.training("none").order(0)[: count or None]

    def training(self, strategy: str, *, dtype: torch.dtype = torch.float32, **settings: Any) -> PreparedTrial:
        """A fresh training, as a trial builds it, its optimizer made, nothing trained."""
        config = self.config(strategy, **settings)
        made = build(config, self.resources, load_inputs(config, self.resources))
        context = made.strategy.context
        context.model.to(dtype).train()
        context.training.optimizer = make_optimizer(made.strategy, made.recipe)
        return made

    def tokens(self) -> dict[str, float]:
        """Real tokens of a batch, and those of it padded to its longest row and to max_length, on average."""
        every, longest = self.batches(), self.config("none").protocol.max_length
        masks = [batch["attention_mask"] for batch in every]
        mean = {"real": sum(int(mask.sum()) for mask in masks), "padded": sum(mask.numel() for mask in masks)}
        mean["padded to max_length"] = sum(longest * len(mask) for mask in masks)
        return {name: round(value / len(masks), 1) for name, value in mean.items()}

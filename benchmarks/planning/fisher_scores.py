"""Fisher scores for the strategies that want them: found or estimated once, before the first trial, and recorded."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.planning.suite import AUTO, FisherRecipe
from benchmarks.pocket import CORPUS, MODEL_DIR
from benchmarks.trial.forgetting import has_head
from benchmarks.trial.models import Source, weights_of
from fisher.common.errors import require
from fisher.estimation.estimate import estimate
from fisher.pretraining.corpus import corpus_hash, read_corpus
from fisher.pretraining.objectives import Text
from fisher.scores import load_scores, save_scores
from leaderboard.records.identity import canonical
from regularizers.strategy import Strategy


class ScoreBook:
    """The scores that the strategies of one run use: recipes for the trials' identity, files for the workers."""

    def __init__(self, folder: Path, source: Source, recipe: FisherRecipe) -> None:
        self.folder, self.source, self.recipe = folder, source, recipe
        self.files: dict[str, str] = {}
        self.recipes: dict[str, Any] = {}
        self.texts: list[Text] = []

    def plan(self, strategies: list[Strategy]) -> None:
        """Write down the recipe of every source that a strategy names; nothing is estimated yet."""
        for source in sorted({s for strategy in strategies for s in strategy.fisher_sources()}):
            if source == "estimate":
                self.recipes[source] = self._plan_estimate()
                self.files[source] = str(self.folder / f"{short_hash(self.recipes[source])}.safetensors")
            elif source != "published":
                scores = load_scores(Path(source), weights=weights_of(self.source))
                self.recipes[source] = {key: value for key, value in scores.metadata.items() if key != "corpus"}
                self.files[source] = str(Path(source).resolve())

    def of(self, strategy: Strategy) -> dict[str, Any] | None:
        """The recipes that a strategy depends on, by source; None where it needs no scores."""
        sources = strategy.fisher_sources()
        return {source: self.recipes.get(source, "published") for source in sources} or None

    def missing(self) -> bool:
        """Whether scores must be estimated before the first trial."""
        return "estimate" in self.files and not Path(self.files["estimate"]).exists()

    def estimate(self, say: Callable[[str], None]) -> None:
        """Estimate what is missing and keep it under its recipe's hash."""
        if not self.missing():
            return
        recipe, path = self.recipes["estimate"], Path(self.files["estimate"])
        say(f"estimating Fisher scores: {recipe['samples']} samples, objective {recipe['objective']}")
        scores = estimate(
            self.source.reference,
            self.texts,
            objective=recipe["objective"],
            samples=recipe["samples"],
            seed=recipe["seed"],
            max_length=recipe["max_length"] or None,
        )
        save_scores(path, scores.values, scores.metadata)
        say(f"Fisher scores kept in {path}")

    def _plan_estimate(self) -> dict[str, Any]:
        self.texts = self._corpus()
        objective = self.recipe.objective
        if objective == AUTO:
            objective = "mlm" if has_head(self.source, "mlm") else "mlm-tied"
        require(
            self.recipe.samples <= len(self.texts),
            f"fisher_samples must be at most {len(self.texts)}, the corpus' documents",
            self.recipe.samples,
        )
        return {
            "objective": objective,
            "samples": self.recipe.samples,
            "seed": self.recipe.seed,
            "max_length": self.recipe.max_length,
            "corpus_hash": corpus_hash(self.texts),
            "weights": weights_of(self.source),
            "kind": "empirical",
            "reduction": "mean",
        }

    def _corpus(self) -> list[Text]:
        require(
            self.recipe.corpus or self.source.reference == str(MODEL_DIR),
            "guided strategies must have Fisher scores: give --set fisher_corpus=FILE (one document a line), or "
            "write fisher=FILE or fisher=published in the strategy; got none of these",
        )
        return read_corpus(self.recipe.corpus or CORPUS)


def short_hash(recipe: dict[str, Any]) -> str:
    """Name of the file that keeps the scores of a recipe."""
    return hashlib.sha256(canonical(recipe).encode()).hexdigest()[:12]

"""Loss landscapes of a pretrained model: points kept as they come, surfaces, sharpness and table."""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fisher.common.errors import InputError, require
from fisher.common.files import read_regular, write_file
from fisher.common.progress import progress
from fisher.pretraining.checkpoint import checkpoint_hash
from fisher.pretraining.corpus import corpus_hash, read_corpus
from fisher.scores import load_scores
from fisher.surfaces.directions import parse_variant
from fisher.surfaces.plane import CENTRE, Key, Plane, Request, compute, keys_of, sharpness

MAX_EXTENT = 1000  # a row moved by a thousand times its own norm


class Points:
    """The losses that are known; a line that an interruption cut off is dropped."""

    def __init__(self, path: Path, recipe: Mapping[str, Any]) -> None:
        self.path = path
        self.known: dict[Key, float] = {}
        lines = [json.dumps(recipe, sort_keys=True), *self.read(recipe)]
        write_file(path, "".join(line + "\n" for line in lines).encode())

    def read(self, recipe: Mapping[str, Any]) -> list[str]:
        """Known points; those of another request are refused."""
        if not self.path.exists():
            return []
        try:
            first, *rest = read_regular(self.path).decode("utf-8").split("\n")
            changed = sorted(name for name, value in json.loads(first).items() if recipe.get(name) != value)
        except (OSError, ValueError, AttributeError, RecursionError):
            raise InputError(
                f"{self.path} should hold the points of landscapes but cannot be read: remove it"
            ) from None
        require(
            not changed,
            f"{self.path} holds points of another request ({', '.join(changed)} differ): choose another folder",
        )
        kept = []
        for line in rest:
            try:
                seed, variant, row, column, loss = json.loads(line)
                self.known[(seed, variant, row, column)] = float(loss)
            except (ValueError, TypeError, OverflowError, RecursionError):
                continue
            kept.append(line)
        return kept

    def add(self, key: Key, loss: float) -> None:
        self.known[key] = loss
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([*key, loss]) + "\n")
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be written ({error.strerror}): free some room and run the same command again"
            ) from error


def surfaces(plane: Plane, points: Points, seeds: Sequence[int], variants: Sequence[str]) -> list[dict[str, Any]]:
    """One entry per seed and variant: the grid of losses, the centre, what moved, and the sharpness."""
    grid = range(plane.request.grid)
    made = []
    for seed in seeds:
        for variant in variants:
            losses = [[points.known[(seed, variant, row, column)] for column in grid] for row in grid]
            centre = points.known[(seed, variant, CENTRE, CENTRE)]
            figures = {"centre": centre, "sharpness": sharpness(losses, centre), **plane.extent_of(seed, variant)}
            made.append({"seed": seed, "variant": variant, **figures, "losses": losses})
    return made


def finite_or_null(value: Any) -> Any:
    """The same lists and dicts with null for numbers that JSON does not have: the loss can overflow far out."""
    if isinstance(value, dict):
        return {key: finite_or_null(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_null(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(made: Sequence[dict[str, Any]], request: Request) -> str:
    """Markdown: one line per variant, means over seeds (and the smallest and largest sharpness)."""
    seeds, side = {entry["seed"] for entry in made}, f"[-{request.extent:g}, {request.extent:g}]"
    lines = [
        f"Sharpness: mean rise of the loss over a {request.grid} x {request.grid} grid on {side}^2. Objective "
        f"{request.objective}, {request.samples} samples, directions from {len(seeds)} seed(s), tensors ranked among "
        f"{request.among}.",
        "",
        "| variant | tensors | of these moved | parameters moved | perturbation norm | sharpness | least | most "
        "| per squared norm |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for variant in dict.fromkeys(entry["variant"] for entry in made):
        lines.append(table_row(variant, [entry for entry in made if entry["variant"] == variant]))
    return "\n".join(lines) + "\n"


def table_row(variant: str, rows: Sequence[dict[str, Any]]) -> str:
    def mean(name: str) -> float:
        return sum(row[name] for row in rows) / len(rows)

    rises = [row["sharpness"] for row in rows]
    squared = sum(row["perturbation_norm"] ** 2 for row in rows) / len(rows)
    ratio = f"{1e3 * mean('sharpness') / squared:.3f}e-3" if squared else "-"
    return (
        f"| {variant} | {mean('tensors'):g} | {mean('moved_tensors'):.3g} | {mean('moved_parameters'):,.0f} "
        f"| {mean('perturbation_norm'):.1f} | {mean('sharpness'):.2f} | {min(rises):.2f} | {max(rises):.2f} | {ratio} |"
    )


def run(args: argparse.Namespace) -> None:
    request = request_of(args)
    variants = list(dict.fromkeys(str(parse_variant(text)) for text in args.variants))
    seeds = list(dict.fromkeys(args.seeds))
    plane = Plane(request)
    recipe = {name: value for name, value in asdict(request).items() if name not in ("model", "corpus", "scores")}
    recipe["score_file"] = load_scores(request.scores).metadata
    keys = keys_of(seeds, variants, request.grid)
    points = Points(args.output / "points.jsonl", recipe)
    with progress("points", len(keys)) as advance:
        left = [key for key in keys if key not in points.known]
        for number, (key, loss) in enumerate(compute(plane, left, args.workers), start=1):
            points.add(key, loss)
            advance(len(keys) - len(left) + number)
    made = surfaces(plane, points, seeds, variants)
    content = {"request": {**recipe, "corpus": Path(request.corpus).name}, "axis": plane.coordinates, "surfaces": made}
    text = json.dumps(finite_or_null(content), indent=1, allow_nan=False) + "\n"
    write_file(args.output / "landscape.json", text.encode())
    write_file(args.output / "landscape.md", table(made, request).encode())
    if args.plot:
        from fisher.plots import plot_landscape

        plot_landscape(content, args.output)
    print(table(made, request))


def request_of(args: argparse.Namespace) -> Request:
    """The request with what the score file says where the command line is silent."""
    require(0 < args.extent <= MAX_EXTENT, f"--extent must be above 0 and at most {MAX_EXTENT}", f"{args.extent:g}")
    weights = checkpoint_hash(args.model)
    metadata = load_scores(args.scores, weights=weights).metadata
    return Request(
        model=args.model,
        weights=weights,
        corpus=args.corpus,
        corpus_hash=corpus_hash(read_corpus(args.corpus)),
        scores=str(args.scores),
        objective=metadata["objective"],
        reduction=metadata["reduction"],
        samples=args.samples,
        sample_seed=args.sample_seed,
        max_length=args.max_length or metadata.get("max_length"),
        among=args.among,
        normalise=args.normalise,
        grid=args.grid,
        extent=args.extent,
    )

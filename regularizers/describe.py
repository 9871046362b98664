"""What a method is, in words: `regbench list` and `regbench describe NAME`."""

import dataclasses
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, BertConfig

from fisher.common.errors import InputError
from fisher.scores import Scores, load_scores
from regularizers.base import Context, Regularizer, SkipTrial, kind_of
from regularizers.registry import find, methods
from regularizers.strategy import Strategy, example_of, parse, usage
from regularizers.surgery.sites import head_of
from regularizers.testing.tiny_trial import example_scores, tiny_bert

ABSURD: tuple[Any, ...] = (-1e9, 1e9, "?")  # values that a constructor refuses, saying what it takes
HOOKS = ("attach", "start", "groups", "draw", "loss", "gradients", "update", "evaluation")
KEPT_SCORES = "fisher.safetensors"  # in a model's folder: scores of its own weights
NUMBERED = re.compile(r"(?<=\.)\d+(?=\.)")


def first_line(cls: type[Regularizer]) -> str:
    """A class's summary, else the first line of its docstring."""
    return cls.summary or _written(cls).partition("\n")[0]


def _written(cls: type[Regularizer]) -> str:
    """A class's docstring, but for the signature that `dataclass` puts where there is none."""
    text = inspect.getdoc(cls) or ""
    return "" if text.startswith(f"{cls.__name__}(") else text


def cost_of(cls: type[Regularizer]) -> str:
    """Forward + backward passes per optimizer step."""
    passes = cls.passes if isinstance(cls.passes, tuple) else example_of(cls).terms[0].regularizer.passes
    return f"{passes[0]}+{passes[1]}"


def listing(*, markdown: bool = False) -> str:
    """Every registered method: how it is written, what it does, who published it, passes per step.

    As Markdown (a table for the documentation) with the equation and the hooks that carry it as well.
    """
    if markdown:
        return markdown_table()
    rows = [(usage_of(cls), first_line(cls), cost_of(cls), cls.paper or "-") for cls in methods().values()]
    table = tabulate(rows, ("method", "what it does", "cost", "paper"), "simple", disable_numparse=True)
    return f"{table}\n\ncost: forward + backward passes per optimizer step; plain fine-tuning takes 1+1"


def markdown_table() -> str:
    """The listing as a table for the documentation."""
    rows = [
        (f"`{usage_of(cls)}`", first_line(cls), f"`{cls.equation}`", hooks_of(cls), cost_of(cls), cls.paper or "-")
        for cls in methods().values()
    ]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    headers = ("method", "what it does", "equation", "hooks", "cost", "paper")
    lines = [headers, ("---",) * len(headers), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def hooks_of(cls: type[Regularizer]) -> str:
    """The hooks of the base class that a method overrides."""
    return ", ".join(hook for hook in HOOKS if getattr(cls, hook) is not getattr(Regularizer, hook)) or "-"


def usage_of(cls: type[Regularizer]) -> str:
    """How it is written, with positional arguments alone: `mixout(target, p)`."""
    names = [f.name for f in dataclasses.fields(cls) if f.init and not f.kw_only]
    return f"{cls.name}({', '.join(names)})" if names else cls.name


def read_method(text: str) -> tuple[type[Regularizer], Strategy]:
    """A method by NAME, with its own example, or a strategy whose first term as written is the method."""
    name = re.split(r"\W", text.strip().removeprefix("head:"), maxsplit=1)[0]
    cls = find(name)
    return cls, example_of(cls) if text.strip() == name else parse(text)


def describe(text: str, *, model: str | None = None, fisher: str | None = None) -> str:
    """Everything a user should know before using the method: equation, parameters, deviations, sites, cost.

    Args:
        text: a method's name, or a strategy such as `guided_dropout(0, 0.099, fisher=published)`.
        model: hub id or folder: the model whose sites are listed; a tiny BERT without.
        fisher: file of Fisher scores for methods that need them; default: `fisher.safetensors` in the model's folder.

    Raises InputError for an unknown method, a strategy or model that cannot be read, and scores that do not fit.
    """
    cls, strategy = read_method(text)
    module = inspect.getmodule(cls)
    notes = inspect.getdoc(module) or _written(cls)
    parts = [
        f"{cls.name}: {first_line(cls)}",
        f"written     {usage(cls)}\nexample     {strategy}\nequation    {cls.equation or '-'}\n"
        f"paper       {cls.paper or '-'}\ndeviations  {cls.deviations or 'none'}\n"
        f"cost        {cost_of(cls)} (forward + backward passes per step)\nversion     {cls.version}",
        parameters(cls, strategy),
        notes,
        places(strategy, model, fisher or kept_scores(model)),
    ]
    return "\n\n".join(part for part in parts if part)


def explain(strategy: Strategy) -> list[dict[str, Any]]:
    """What a reader of tables should know of each term: its equation, paper, cost and every hyperparameter's value."""
    return [
        {
            "term": str(term),
            "name": term.regularizer.name,
            "summary": first_line(type(term.regularizer)),
            "equation": term.regularizer.equation,
            "paper": term.regularizer.paper,
            "deviations": term.regularizer.deviations,
            "cost": cost_of(type(term.regularizer)),
            "settings": settings(term.regularizer),
        }
        for term in strategy.terms
    ]


def settings(regularizer: Regularizer) -> dict[str, str]:
    """Every hyperparameter with its value, defaults included."""
    return {f.name: str(getattr(regularizer, f.name)) for f in dataclasses.fields(regularizer) if f.init}


def parameters(cls: type[Regularizer], strategy: Strategy) -> str:
    """A table of the hyperparameters: name, default, what the constructor says a value must be, where tuners look."""
    example = next(term.regularizer for term in strategy.terms if type(term.regularizer) is cls)
    rows = []
    for field in dataclasses.fields(cls):
        default = "required" if field.default is dataclasses.MISSING else field.default
        rows.append((field.name, default, requirement(example, field), searched(cls, field.name)))
    headers = ("parameter", "default", "must be", "searched")
    return tabulate(rows, headers, "simple", disable_numparse=True) if rows else ""


def searched(cls: type[Regularizer], name: str) -> str:
    """Where tuners look for a hyperparameter, with the paper's value; `-` where they leave it alone."""
    if (space := cls.search.get(name)) is None:
        return "-"
    paper = "" if space.paper is None else f"; paper {space.paper:g}"
    own = f"; in place of the shared {space.replaces}" if space.replaces else ""
    return f"{space}{paper}{own}"


def requirement(example: Regularizer, field: dataclasses.Field[Any]) -> str:
    """What a value must be, in the words of the error that an absurd value raises."""
    text = "str" in kind_of(field)
    said = []
    for value in ABSURD[2:] if text else ABSURD[:2]:
        try:
            dataclasses.replace(example, **{field.name: value})
        except InputError as error:
            said.append(re.sub(rf"^.*\b{example.name}\b.*? must (be )?", "", str(error).split(", got ")[0]))
        except (TypeError, ValueError):
            continue
    free = "a text" if text else "true or false" if "bool" in kind_of(field) else "any number"
    return " and ".join(dict.fromkeys(said)) or free


def kept_scores(reference: str | None) -> str | None:
    """The file of scores that lies in a model's folder, if there is one."""
    path = None if reference is None else Path(reference, KEPT_SCORES)
    return str(path) if path is not None and path.is_file() else None


def load_model(reference: str | None, strategy: Strategy) -> nn.Module:
    """The structure of a model, without its weights: a hub id, a folder, or a BERT (12 layers for published scores)."""
    if reference is None:
        if "published" not in strategy.fisher_sources():
            return tiny_bert()
        config: Any = BertConfig(num_labels=2)
    else:
        try:
            config = AutoConfig.from_pretrained(reference, num_labels=2, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f"--model must be a hub id or a folder with a model, got {reference!r}: {first}"
            ) from error
    with torch.device("meta"):
        return AutoModelForSequenceClassification.from_config(config)


def context_for(strategy: Strategy, model: nn.Module, fisher: str | None) -> Context:
    """A context with the scores of the file, or with made-up ones, which no list of sites depends on."""
    scores: Mapping[str, Scores] = example_scores(model, strategy)
    if fisher is not None:
        scores = dict.fromkeys(strategy.fisher_sources(), load_scores(fisher))
    return Context(model, head_of(model), fisher=scores)


def places(strategy: Strategy, model: str | None, fisher: str | None) -> str:
    """The modules or parameters that each term touches, and the schedule of guided dropout where scores are known."""
    built = load_model(model, strategy)
    context = context_for(strategy, built, fisher)
    where = model or ("a BERT of 12 layers" if built.device.type == "meta" else "a tiny BERT of 2 layers")
    lines = [f"touched on {where}:"]
    try:
        touched = strategy.bind(context).attach()
    except SkipTrial as skip:
        return f"on {where} it is skipped: {skip}"
    for term, names in touched.items():
        lines.append(f"  {term}: {len(names)}")
        lines += [f"    {pattern}" for pattern in condense(names)]
    table = schedule_table(strategy, context, fisher)
    return "\n".join(lines) + (f"\n\n{table}" if table else "")


def condense(names: list[str]) -> list[str]:
    """Names with their layer numbers gathered: `encoder.layer.{0-11}.output.dropout`."""
    numbers: dict[str, list[int]] = {}
    for name in names:
        layer = NUMBERED.search(name)
        numbers.setdefault(NUMBERED.sub("{}", name, count=1), []).extend([int(layer[0])] if layer else [])
    return [pattern.replace("{}", f"{{{_ranges(found)}}}") if found else pattern for pattern, found in numbers.items()]


def _ranges(numbers: list[int]) -> str:
    """[0, 1, 2, 5] as `0-2, 5`."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def scheduled(strategy: Strategy) -> Regularizer | None:
    """The term that schedules dropout by site, if there is one."""
    own = [t.regularizer for t in strategy.terms if type(t.regularizer).site_rates is not Regularizer.site_rates]
    return own[0] if own else None


def schedule_table(strategy: Strategy, context: Context, fisher: str | None) -> str:
    """The schedule of dropout, site by site, from least to most informative."""
    method = scheduled(strategy)
    if method is None:
        return ""
    if fisher is None and method.fisher_source() != "published":
        return "the schedule needs scores: give --fisher FILE, or write fisher=published for a 12-layer BERT"
    rows = sorted(method.site_rates(context), key=lambda row: -row[3])
    score = "published rank" if method.fisher_source() == "published" else "score"
    table = [(site, f"{value:.4g}", f"{p:.5f}") for site, _, value, p in rows]
    mean = sum(row[3] for row in rows) / len(rows)
    return f"schedule (mean p {mean:.5f}):\n" + tabulate(table, ("site", score, "p"), "simple", disable_numparse=True)


def plot_schedule(path: Path, text: str, *, model: str | None, fisher: str | None) -> None:
    """Draw the schedule of dropout as a PNG: probability by site in the model's order.

    Raises InputError for a strategy without guided dropout, without scores, and a file that cannot be written.
    """
    _, strategy = read_method(text)
    method, fisher = scheduled(strategy), fisher or kept_scores(model)
    if method is None or (fisher is None and method.fisher_source() != "published"):
        hint = "add --fisher FILE or write fisher=published"
        raise InputError(f"--plot must be given guided_dropout with scores, got {strategy}; {hint}")
    rows = method.site_rates(context_for(strategy, load_model(model, strategy), fisher))
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(6.0, 0.24 * len(rows)), 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for kind in dict.fromkeys(row[1] for row in rows):
        own = [(at, row[3]) for at, row in enumerate(rows) if row[1] == kind]
        axes.bar([at for at, _ in own], [p for _, p in own], label=kind)
    axes.set_xticks(range(len(rows)), [row[0] for row in rows], rotation=90, fontsize=7)
    axes.set_ylabel("dropout probability")
    axes.set_title(str(strategy))
    figure.legend(title="site", loc="outside right upper")
    try:
        figure.savefig(path, dpi=150, format="png")
    except OSError as error:
        raise InputError(f"--plot must be a file that can be written, got {path}: {error.strerror}") from error

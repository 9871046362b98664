"""Results of every built-in method on a fixed toy training, kept in versions.json with its `version`.

When a change of code moves these figures, results of old and new trials may not be mixed: raise the method's `version`,
then write the file anew with `python tests/regularizers/test_versions.py`.
"""

import json
import math
import sys
from pathlib import Path

import pytest
import torch
from transformers import BertForSequenceClassification

from fisher.scores import Scores
from regularizers.base import Context
from regularizers.loop import Recipe, make_optimizer, step
from regularizers.registry import find, methods
from regularizers.strategy import parse
from regularizers.testing.tiny_trial import SingleProcessAccelerator, tiny_config

FILE = Path(__file__).with_name("versions.json")
TOLERANCE = 1e-6  # relative; far above rounding on other machines, far below any change of an equation
EXAMPLES = {
    "guided_dropout": "guided_dropout(0, 0.3)",
    "head": "mixout(w_pre, 0.7) + head:mixout(w_0, 0.7)",
    "wdecay": "wdecay(w_pre, 0.5)",
}
# eps far above rounding: Adam would blow the noise of a gradient that is 0 by symmetry (the keys' biases) up to lr
RECIPE = Recipe(
    epochs=1, lr=1e-2, beta1=0.9, beta2=0.999, eps=1e-4, warmup=0.0, schedule="constant", clip=1.0,
    bias_correction=True, micro_batch=0,
)  # fmt: skip


def built_in():
    return [name for name, cls in methods().items() if cls.__module__.startswith("regularizers.")]


def strategy_of(name):
    return parse(EXAMPLES.get(name) or find(name).example or name)


def model_and_batches():
    generator = torch.Generator().manual_seed(5)
    config = tiny_config(vocab_size=20, hidden_size=8, intermediate_size=12, max_position_embeddings=8, num_labels=2)
    model = BertForSequenceClassification(config).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.3)
            if name.endswith("LayerNorm.weight"):
                parameter.add_(1.0)
    ids = torch.randint(1, 20, (3, 4, 6), generator=generator)
    labels = torch.randint(0, 2, (3, 4), generator=generator)
    ones = torch.ones(4, 6, dtype=torch.int64)
    batches = [{"input_ids": x, "attention_mask": ones, "labels": y} for x, y in zip(ids, labels, strict=True)]
    return model, batches


def outputs(name):
    """[losses of three steps, sum of |w|, of w^2, and of the evaluated logits] of one toy training."""
    accelerator = SingleProcessAccelerator()
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(1)
        model, batches = model_and_batches()
        start = {n: p for n, p in model.named_parameters() if n.startswith("bert.")}
        scores = Scores({n.removeprefix("bert."): p.detach().square() for n, p in start.items()})
        strategy = strategy_of(name)
        fisher = {source: scores for source in strategy.fisher_sources()}
        head = frozenset({"classifier.weight", "classifier.bias"})
        context = Context(model, head, torch.Generator().manual_seed(1), fisher=fisher, examples=12)
        context.training.steps = len(batches)
        torch.manual_seed(2)
        bound = strategy.bind(context)
        bound.attach()
        bound.start(lambda: batches)
        context.training.optimizer = make_optimizer(bound, RECIPE)
        losses = []
        for batch in batches:
            model.train()
            losses.append(step(bound, batch, RECIPE, accelerator).item())
            context.training.step += 1
        model.eval()
        with bound.evaluation(), torch.no_grad():
            weights = torch.cat([p.detach().flatten().double() for p in model.parameters()])
            logits = context.compute(batches[0]).logits.double()
    return [*losses, weights.abs().sum().item(), weights.square().sum().item(), *logits.flatten().tolist()[:4]]


def same(one, two):
    return len(one) == len(two) and all(
        math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=1e-9) for a, b in zip(one, two, strict=True)
    )


def kept():
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def test_every_built_in_method_is_kept():
    missing = sorted(set(built_in()) - set(kept()))
    assert not missing, f"{', '.join(missing)}: run python tests/regularizers/test_versions.py and commit versions.json"


@pytest.mark.parametrize("name", sorted(kept()))
def test_results_change_only_with_the_version(name):
    entry = kept()[name]
    cls = find(name) if name in methods() else find("mixout")
    again = "write the file anew: python tests/regularizers/test_versions.py"
    assert str(strategy_of(name)) == entry["strategy"], f"the example of {name} changed; {again}"
    assert cls.version >= entry["version"], f"the version of {name} must never fall, it was {entry['version']}"
    if cls.version > entry["version"]:
        pytest.fail(f"{name} is at version {cls.version}, its figures at {entry['version']}; {again}")
    assert same(outputs(name), entry["outputs"]), (
        f"the results of {name} changed but its version is still {cls.version}: raise `version` in "
        f"{cls.__module__.replace('.', '/')}.py, then {again}"
    )


def main():
    """Write the file; a method whose results changed must have a higher version than the file's."""
    old, new = kept(), {}
    for name in sorted({*built_in(), "head"}):
        version = (find(name) if name != "head" else find("mixout")).version
        entry = {"version": version, "strategy": str(strategy_of(name)), "outputs": outputs(name)}
        before = old.get(name)
        unchanged = before and before["strategy"] == entry["strategy"] and same(before["outputs"], entry["outputs"])
        if before and not unchanged and before["strategy"] == entry["strategy"] and version <= before["version"]:
            sys.exit(f"the results of {name} changed: raise its version above {version} first")
        new[name] = before if unchanged and before["version"] == version else entry
    FILE.write_text(json.dumps(new, indent=1) + "\n")
    print(f"{FILE.name}: {len(new)} methods")


if __name__ == "__main__":
    main()

"""The kit's tiny trial as the tests of methods use it: three layers, float64, five batches; tiny models of families."""

import pytest
import torch

from fisher.scores import REQUIRED, save_scores
from regularizers.loop import make_optimizer, step
from regularizers.registry import methods
from regularizers.strategy import parse
from regularizers.surgery.site_tables import TABLES
from regularizers.testing.tiny_families import family_batch, tiny_family
from regularizers.testing.tiny_trial import (
    SingleProcessAccelerator,
    Trial,
    example_scores,
    make_batch,
    recipe,
    tiny_bert,
)

ACCELERATOR = SingleProcessAccelerator()
STRATEGIES = {name: cls.example or name for name, cls in methods().items()} | {
    "ewc": "ewc(10, FILE)",
    "guided_dropout": "guided_dropout(FILE)",
    "surgical": "surgical(1, FILE)",
    "data": "child_tuning(0.3, variant=D)",
    "sum": "dropout(0.1) + ema(0.9) + head:mixout(w_0, 0.7) + mixout(w_pre, 0.7) + sam(0.05)",
}


class Lab(Trial):
    """One trial: built and attached on construction; `run(n)` takes the next n steps."""

    def __init__(
        self, strategy, *, outputs=3, dtype=torch.float64, lr=1e-2, clip=0.0, micro_batch=0, start=True, **fields
    ):
        settings = {
            "outputs": outputs,
            "dtype": dtype,
            "layers": 3,
            "noise": 31,
            "default": 21,
            "fisher": {},
            "steps": 5,
        }
        super().__init__(parse(strategy), **settings | fields)
        self.recipe = recipe(lr, micro_batch, clip, eps=1e-8)
        plain = tiny_bert(outputs, layers=3).to(dtype)
        self.start = {name: p.detach().clone() for name, p in plain.named_parameters()}
        self.batches = [make_batch(at, outputs, size=4) for at in range(5)]
        self.term, self.done = self.bound.terms[0][0], 0
        if start:
            self.bound.start(lambda: self.batches)
        self.context.training.optimizer = make_optimizer(self.bound, self.recipe)

    def run(self, steps):
        self.model.train()
        losses = []
        for batch in self.batches[self.done : self.done + steps]:
            self.context.training.step = self.done
            losses.append(float(step(self.bound, batch, self.recipe, ACCELERATOR)))
            self.done += 1
        return losses

    parameters = Trial.weights

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        with self.bound.evaluation():
            return self.context.compute(self.batches[0]).logits.clone()

    def rates(self):
        names = {id(p): name for name, p in self.model.named_parameters()}
        groups = self.context.training.optimizer.param_groups
        return {names[id(p)]: group["lr"] for group in groups for p in group["params"]}


@pytest.fixture(scope="session")
def scores(tmp_path_factory):
    """A file of the made-up Fisher scores that the kit hands to trials."""
    path = tmp_path_factory.mktemp("fisher") / "scores.safetensors"
    values = example_scores(tiny_bert(), parse("ewc(1)"))["estimate"].values
    save_scores(path, values, dict.fromkeys(REQUIRED, "made up") | {"kind": "diagonal"})
    return path


@pytest.fixture(params=STRATEGIES)
def technique(request, scores):
    """A strategy of every technique, one that looks at the data, and a sum; their Fisher scores are in the file."""
    return STRATEGIES[request.param].replace("FILE", f'fisher="{scores}"')


@pytest.fixture(params=sorted(TABLES))
def family(request):
    return request.param


@pytest.fixture
def family_model():
    return tiny_family


@pytest.fixture
def batch():
    return family_batch()


@pytest.fixture
def lab():
    return Lab


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
